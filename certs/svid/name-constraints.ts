// Name constraints (RFC 5280 §4.2.1.10): whether the names of a certificate are those that an authority above it may certify.
import { canonicalName } from '../x509/canonical-name.ts'
import { type Certificate, sameBytes } from '../x509/certificate.ts'
import { DerReader } from '../x509/der-reader.ts'
import { tags } from '../x509/der-tags.ts'
import { alternativeNamesOf, ascii, type GeneralName, type NameConstraints, nameKinds } from '../x509/extensions.ts'
import { oids } from '../x509/oids.ts'
import { SvidError } from './error.ts'

/**
 * Holds every name of the certificate, the subject among them, against the constraints of one authority above it.
 * Self-issued certificates are not excepted, other than in RFC 5280: that is stricter and simpler.
 * @throws SvidError, or DerError when a name is malformed
 */
export function checkNames(certificate: Certificate, { permitted, excluded }: NameConstraints): void {
  for (const name of namesOf(certificate)) {
    if (excluded.some((base) => base.tag === name.tag && covers(base, name)))
      throw new SvidError('svid_name_constraints', 'a name is excluded by an issuer')
    const ofKind = permitted.filter((base) => base.tag === name.tag)
    if (ofKind.length > 0 && !ofKind.some((base) => covers(base, name)))
      throw new SvidError('svid_name_constraints', 'a name is not among those that an issuer permits')
  }
}

function* namesOf(certificate: Certificate): Iterable<GeneralName> {
  yield* alternativeNamesOf(certificate).names
  // The content of [4] is a whole Name: its tag is explicit, as the type is a choice.
  if (certificate.subject.length > 2) yield { tag: nameKinds.directory, content: certificate.subject }
  yield* emailsOf(certificate.subject)
}

/** Addresses in the subject count as e-mail names (RFC 5280 §4.2.1.10, for certificates of old). */
function* emailsOf(subject: Uint8Array): Iterable<GeneralName> {
  const list = DerReader.only(subject, tags.sequence)
  while (!list.done) {
    const attributes = new DerReader(list.next(tags.set).content)
    while (!attributes.done) {
      const fields = attributes.sequence()
      const type = fields.oid()
      const { content } = fields.any()
      if (type === oids.emailAddress) yield { tag: nameKinds.email, content }
    }
  }
}

function covers(base: GeneralName, name: GeneralName): boolean {
  switch (base.tag) {
    case nameKinds.uri:
      return coversHost(ascii(base), hostOf(ascii(name)), false)
    case nameKinds.dns:
      return coversHost(ascii(base), ascii(name), true)
    case nameKinds.email:
      return coversEmail(ascii(base), ascii(name))
    case nameKinds.ip:
      return coversAddress(base.content, name.content)
    case nameKinds.directory:
      return coversDirectory(base.content, name.content)
    default:
      // Names of other kinds cannot be held against their constraint, and so do not pass (RFC 5280 §4.2.1.10).
      throw new SvidError('svid_name_constraints', 'a constraint of this kind cannot be evaluated')
  }
}

/** `.a.example` covers what is below a.example; `a.example` itself, and for DNS names also what is below; '' everything. */
function coversHost(base: string, host: string, withSubdomains: boolean): boolean {
  const wanted = base.toLowerCase()
  const given = host.toLowerCase()
  if (wanted === '') return true
  if (wanted.startsWith('.')) return given.endsWith(wanted) && given.length > wanted.length
  return given === wanted || (withSubdomains && given.endsWith(`.${wanted}`))
}

/** @throws SvidError when there is no host name to compare: such a URI must be rejected (RFC 5280 §4.2.1.10) */
function hostOf(uri: string): string {
  const [, authority] = uri.split('://', 2)
  const host = authority?.split(/[/?#]/, 1)[0]?.replace(/^.*@/, '').replace(/:\d*$/, '')
  if (host === undefined || host === '' || host.startsWith('[') || /^[\d.]+$/.test(host))
    throw new SvidError('svid_name_constraints', 'a URI names no host that a constraint could be held against')
  return host
}

function coversEmail(base: string, email: string): boolean {
  const at = email.lastIndexOf('@')
  const host = email.slice(at + 1)
  const wantedAt = base.lastIndexOf('@')
  if (wantedAt === -1) return coversHost(base, host, false)
  return base.slice(0, wantedAt) === email.slice(0, at) && coversHost(base.slice(wantedAt + 1), host, false)
}

/** @param range address and mask, each as long as the address */
function coversAddress(range: Uint8Array, address: Uint8Array): boolean {
  if (range.length !== address.length * 2) return false
  return address.every((byte, at) => {
    const mask = range[address.length + at] ?? 0
    return (byte & mask) === ((range[at] ?? 0) & mask)
  })
}

function coversDirectory(base: Uint8Array, name: Uint8Array): boolean {
  const wanted = canonicalName(base)
  const given = canonicalName(name)
  return wanted.every((relative, at) => {
    const other = given[at]
    return other !== undefined && sameBytes(relative, other)
  })
}
