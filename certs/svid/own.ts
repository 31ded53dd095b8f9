// One's own X509-SVID as it comes from outside: certificates and key that must fit each other.
import { createPrivateKey, createPublicKey, type KeyObject } from 'node:crypto'
import type { X509Svid } from '../source.ts'
import { type Certificate, parseCertificate, sameBytes } from '../x509/certificate.ts'
import { DerError } from '../x509/der-reader.ts'
import { basicConstraintsOf, keyUsageOf } from '../x509/extensions.ts'
import { checkSecondReading } from '../x509/second-reading.ts'
import { SvidError } from './error.ts'
import { checkLeaf } from './leaf.ts'
import { keyOf } from './path.ts'

/**
 * Takes an SVID for one's own. Its trust is not asked about: that is for those who are shown it.
 * @param chain DER, leaf first
 * @param pkcs8 DER of the private key (PKCS#8)
 * @throws SvidError when the certificates are not those of an X509-SVID, Error when the key is not that of the leaf
 */
export function takeOwnSvid(chain: readonly Uint8Array[], pkcs8: Uint8Array): X509Svid {
  try {
    const certificates = chain.map(parseCertificate)
    const [leaf, ...signing] = certificates
    if (leaf === undefined) throw new SvidError('svid_missing', 'there is no certificate')
    const id = checkLeaf(leaf)
    signing.forEach(checkSigning)
    // Else no peer could take it.
    certificates.forEach(checkSecondReading)
    const key = privateKey(pkcs8)
    // Not by `equals`: on keys of two kinds it leaves an error behind in OpenSSL's queue, which the next call then reports.
    if (!sameBytes(spki(createPublicKey(key)), spki(keyOf(leaf).key)))
      throw new Error('the private key is not that of the certificate')
    return { id, chain, key, expiresAt: Math.min(leaf.notAfter, ...signing.map(({ notAfter }) => notAfter)) }
  } catch (error) {
    if (error instanceof DerError) throw new SvidError('svid_unparsable', error.message, error)
    throw error
  }
}

function checkSigning(certificate: Certificate): void {
  if (!basicConstraintsOf(certificate).ca || keyUsageOf(certificate)?.keyCertSign !== true)
    throw new SvidError('svid_issuer_not_ca', 'a certificate after the leaf may not sign certificates')
}

function privateKey(pkcs8: Uint8Array): KeyObject {
  try {
    return createPrivateKey({ key: Buffer.from(pkcs8), type: 'pkcs8', format: 'der' })
  } catch (cause) {
    throw new Error('the private key cannot be read as PKCS#8', { cause })
  }
}

function spki(key: KeyObject): Uint8Array {
  return key.export({ type: 'spki', format: 'der' })
}
