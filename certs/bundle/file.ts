// The bundle of a trust domain as a file holds it: roots in PEM, or a SPIFFE bundle document, which has keys for tokens too.
import { pemBlocks } from '../pem.ts'
import type { TrustBundle } from '../source.ts'
import type { TrustDomain } from '../spiffe-id.ts'
import { parseCertificate } from '../x509/certificate.ts'
import { readBundleDocument } from './document.ts'

/**
 * @throws Error when a PEM file holds no certificate: one in the middle of being written must not take the place of a
 * good one. A document says that it is whole, and so may be empty.
 */
export function readBundleFile(trustDomain: TrustDomain, text: string): TrustBundle {
  if (/^\s*\{/.test(text)) return readBundleDocument(trustDomain, text).bundle
  const x509Authorities = pemBlocks(text).flatMap(({ label, der }) => (label === 'CERTIFICATE' ? [der] : []))
  if (x509Authorities.length === 0) throw new Error('there is no CERTIFICATE in PEM, nor a SPIFFE bundle document')
  for (const der of x509Authorities) parseCertificate(der)
  return { trustDomain, x509Authorities }
}
