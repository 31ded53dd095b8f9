// What a message with X.509-SVIDs says: this workload's identities, and the bundles to trust. Taken whole or not at all.
import type { TrustBundle, X509Svid } from '../source.ts'
import { parseTrustDomain, type TrustDomain, trustDomainOf } from '../spiffe-id.ts'
import { takeOwnSvid } from '../svid/own.ts'
import { parseRevocationList } from '../svid/revocation.ts'
import { parseCertificate, sameBytes } from '../x509/certificate.ts'
import { DerReader } from '../x509/der-reader.ts'
import { tags } from '../x509/der-tags.ts'
import { readX509SvidAnswer, type X509SvidMessage } from './proto.ts'

export interface WorkloadIdentity {
  readonly svid: X509Svid
  /** What the operator says this identity is for; '' when nothing. */
  readonly hint: string
}

export interface X509Context {
  /** The first is the default (Workload API §8). Of two with the same hint only the first is here. */
  readonly identities: readonly [WorkloadIdentity, ...WorkloadIdentity[]]
  readonly bundles: ReadonlyMap<TrustDomain, TrustBundle>
}

/**
 * @param message a whole answer of FetchX509SVID
 * @param trustDomain that every identity must be of; undefined: that of the first
 * @param before what was known, so that bundles that are the same stay the same objects
 * @throws Error that says why the message is to be discarded
 */
export function readX509Context(
  message: Uint8Array,
  trustDomain: TrustDomain | undefined,
  before: X509Context | undefined,
): X509Context {
  const { svids, revocationLists, federatedBundles } = readX509SvidAnswer(message)
  const [first, ...others] = svids
  if (first === undefined) throw new Error('there is no SVID')
  const own = readIdentity(first, trustDomain)
  const domain = trustDomainOf(own.svid.id)
  const identities = distinct([own, ...others.map((svid) => readIdentity(svid, domain))])

  for (const list of revocationLists) parseRevocationList(list)
  const bundles = new Map<TrustDomain, TrustBundle>()
  // The lists name their issuers, not a trust domain; whom they concern is seen by the signature.
  const put = (of: TrustDomain, der: Uint8Array): void => {
    const bundle: TrustBundle = {
      trustDomain: of,
      x509Authorities: splitCertificates(der),
      ...(revocationLists.length === 0
        ? {}
        : { revocationLists: revocationLists.map((list) => Uint8Array.from(list)) }),
    }
    const known = before?.bundles.get(of)
    bundles.set(of, known !== undefined && sameBundle(known, bundle) ? known : bundle)
  }
  for (const [id, der] of federatedBundles) put(parseTrustDomain(id), der)
  // Last, so that no federation speaks for the own domain.
  put(domain, first.bundle)
  return { identities, bundles }
}

function readIdentity(
  { spiffeId, certificates, key, bundle, hint }: X509SvidMessage,
  trustDomain: TrustDomain | undefined,
): WorkloadIdentity {
  if (spiffeId === '') throw new Error('the SPIFFE ID is empty')
  if (certificates.length === 0) throw new Error('the certificates are empty')
  if (key.length === 0) throw new Error('the key is empty')
  if (bundle.length === 0) throw new Error('the bundle is empty')
  const svid = takeOwnSvid(splitCertificates(certificates), key)
  if (svid.id !== spiffeId) throw new Error('the certificate has another SPIFFE ID than the message')
  const domain = trustDomainOf(svid.id)
  if (trustDomain !== undefined && domain !== trustDomain)
    throw new Error(`${svid.id} is not of the trust domain ${trustDomain}`)
  return { svid: hint === '' ? svid : { ...svid, hint }, hint }
}

/** Certificates follow one another without anything between (Workload API §4.1): the length of each says where it ends. */
function splitCertificates(der: Uint8Array): readonly Uint8Array[] {
  if (der.length === 0) throw new Error('a bundle is empty')
  const certificates: Uint8Array[] = []
  const reader = new DerReader(der)
  while (!reader.done) {
    const { whole } = reader.next(tags.sequence)
    parseCertificate(whole)
    certificates.push(whole)
  }
  return certificates
}

function distinct(
  identities: readonly [WorkloadIdentity, ...WorkloadIdentity[]],
): readonly [WorkloadIdentity, ...WorkloadIdentity[]] {
  const [first, ...others] = identities
  const hints = new Set([first.hint])
  const kept = others.filter(({ hint }) => {
    if (hint === '') return true
    if (hints.has(hint)) return false
    hints.add(hint)
    return true
  })
  return [first, ...kept]
}

function sameBundle(one: TrustBundle, other: TrustBundle): boolean {
  return (
    sameList(one.x509Authorities, other.x509Authorities) &&
    sameList(one.revocationLists ?? [], other.revocationLists ?? [])
  )
}

function sameList(one: readonly Uint8Array[], other: readonly Uint8Array[]): boolean {
  return one.length === other.length && one.every((bytes, at) => sameBytes(bytes, other[at] ?? new Uint8Array()))
}
