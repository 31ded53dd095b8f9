// Makes revocation lists (RFC 5280 §5), for the embedded authority.
import { bitString, integer, sequence, time } from './der-writer.ts'
import type { Signer } from './issue.ts'

export interface RevocationListFields {
  /** DER of the Name. */
  readonly issuer: Uint8Array
  /** Epoch milliseconds. */
  readonly thisUpdate: number
  /** Epoch milliseconds. */
  readonly nextUpdate: number
  /** Big-endian magnitudes. */
  readonly serials: readonly Uint8Array[]
}

/** @returns DER of the list; each serial is revoked as of its update */
export function issueRevocationList(fields: RevocationListFields, signer: Signer): Uint8Array {
  const { issuer, thisUpdate, nextUpdate, serials } = fields
  const entries = serials.map((serial) => sequence(integer(serial), time(thisUpdate)))
  const signed = sequence(
    integer(1),
    signer.algorithm,
    issuer,
    time(thisUpdate),
    time(nextUpdate),
    // An empty list of entries is left out altogether (§5.1.2.6).
    ...(entries.length === 0 ? [] : [sequence(...entries)]),
  )
  return sequence(signed, signer.algorithm, bitString(signer.sign(signed)))
}
