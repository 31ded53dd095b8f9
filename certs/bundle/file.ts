// The bundle of a trust domain as a file holds it: roots in PEM, a SPIFFE bundle document, or a map of several such.
import { pemBlocks } from '../pem.ts'
import type { TrustBundle } from '../source.ts'
import type { TrustDomain } from '../spiffe-id.ts'
import { parseCertificate } from '../x509/certificate.ts'
import { documentOf } from './document.ts'
import { BundleError } from './error.ts'
import { mapOf } from './map.ts'
import { readObject } from './members.ts'

/**
 * @throws Error when a PEM file holds no certificate: one in the middle of being written must not take the place of a
 * good one. A document says that it is whole, and so may be empty.
 */
export function readBundleFile(trustDomain: TrustDomain, text: string): TrustBundle {
  if (/^\s*\{/.test(text)) return fromJson(trustDomain, text)
  const x509Authorities = pemBlocks(text).flatMap(({ label, der }) => (label === 'CERTIFICATE' ? [der] : []))
  if (x509Authorities.length === 0) throw new Error('there is no CERTIFICATE in PEM, nor a SPIFFE bundle document')
  for (const der of x509Authorities) parseCertificate(der)
  return { trustDomain, x509Authorities }
}

function fromJson(trustDomain: TrustDomain, text: string): TrustBundle {
  const object = readObject(text)
  if (!object.has('trust_domains')) return documentOf(trustDomain, object).bundle
  const document = mapOf(object).get(trustDomain)
  if (document === undefined) throw new BundleError('bundle_no_trust_domain', `the map has no bundle of ${trustDomain}`)
  return document.bundle
}
