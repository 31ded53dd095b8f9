// Certificate revocation lists for tests (RFC 5280 §5).
import { contextConstructed } from '../../certs/x509/der-tags.ts'
import { bitString, element, integer, sequence, time } from '../../certs/x509/der-writer.ts'
import type { Signer } from '../../certs/x509/issue.ts'
import { type Authority, signerOf } from './pki.ts'

export interface ListShape {
  readonly issuer?: Uint8Array
  readonly signer?: Signer
  /** DER of each Extension of the list. */
  readonly extensions?: readonly Uint8Array[]
  /** DER of each Extension of every entry. */
  readonly entryExtensions?: readonly Uint8Array[]
}

/** A list of this authority with these serials, its next update long past. */
export function makeRevocationList(
  authority: Authority,
  serials: readonly Uint8Array[],
  { issuer = authority.name, signer = signerOf(authority.key), extensions = [], entryExtensions = [] }: ListShape = {},
): Uint8Array {
  const entries = serials.map((serial) =>
    sequence(integer(serial), time(0), ...(entryExtensions.length === 0 ? [] : [sequence(...entryExtensions)])),
  )
  const signed = sequence(
    integer(1),
    signer.algorithm,
    issuer,
    time(0),
    time(1000),
    ...(entries.length === 0 ? [] : [sequence(...entries)]),
    ...(extensions.length === 0 ? [] : [element(contextConstructed(0), sequence(...extensions))]),
  )
  return sequence(signed, signer.algorithm, bitString(signer.sign(signed)))
}
