// Certificate revocation lists (RFC 5280 §5), which a source may deliver with a bundle.
import {
  type AlgorithmIdentifier,
  type Certificate,
  hex,
  readAlgorithm,
  readExtensionList,
  sameBytes,
} from '../x509/certificate.ts'
import { DerError, DerReader } from '../x509/der-reader.ts'
import { contextConstructed, tags } from '../x509/der-tags.ts'
import { checkSignature, type PublicKey, type Signed } from '../x509/keys.ts'

export interface RevocationList extends Signed {
  /** DER of the Name. */
  readonly issuer: Uint8Array
  /** Serials as lower-case hex without leading zeros. */
  readonly serials: ReadonlySet<string>
}

/** @throws DerError, also for lists that speak of other than their own issuer's certificates or of a part of them */
export function parseRevocationList(der: Uint8Array): RevocationList {
  const outer = DerReader.only(der, tags.sequence)
  const signed = outer.next(tags.sequence)
  const algorithm = outer.next(tags.sequence)
  const signature = outer.octets()
  outer.end()

  const fields = new DerReader(signed.content)
  if (fields.tag === tags.integer) fields.smallInteger()
  if (!sameBytes(fields.next(tags.sequence).whole, algorithm.whole))
    throw new DerError('the two signature algorithms differ')
  const issuer = fields.next(tags.sequence).whole
  fields.time()
  if (fields.tag === tags.utcTime || fields.tag === tags.generalizedTime) fields.time()
  const serials = readSerials(fields.optional(tags.sequence)?.content)
  const extensions = fields.optional(contextConstructed(0))
  fields.end()
  if (extensions !== undefined) refuseCritical(DerReader.only(extensions.content, tags.sequence))
  const signatureAlgorithm: AlgorithmIdentifier = readAlgorithm(new DerReader(algorithm.content))
  return { signed: signed.whole, signatureAlgorithm, signature, issuer, serials }
}

/**
 * Whether a list of this issuer names the certificate. A list that is out of date still counts: what was revoked stays so.
 * A list that the key does not verify belongs to another authority of the same name.
 */
export function isRevoked(certificate: Certificate, key: PublicKey, lists: readonly RevocationList[]): boolean {
  return lists.some(
    (list) =>
      sameBytes(list.issuer, certificate.issuer) &&
      list.serials.has(certificate.serial) &&
      checkSignature(list, key) === 'valid',
  )
}

function readSerials(content: Uint8Array | undefined): ReadonlySet<string> {
  const serials = new Set<string>()
  const list = new DerReader(content ?? new Uint8Array())
  while (!list.done) {
    const entry = list.sequence()
    serials.add(hex(entry.integer()))
    entry.time()
    if (!entry.done) refuseCritical(entry.sequence())
    entry.end()
  }
  return serials
}

/** Critical extensions of lists change whose certificates, or which of them, are meant. */
function refuseCritical(list: DerReader): void {
  for (const [oid, { critical }] of readExtensionList(list))
    if (critical) throw new DerError(`a revocation list has the critical extension ${oid}`)
}
