// The file name by which OpenSSL finds a root in a folder.
import { createHash } from 'node:crypto'
import { canonicalName } from '../x509/canonical-name.ts'
import { parseCertificate } from '../x509/certificate.ts'

/**
 * The hash of the subject, as `openssl x509 -subject_hash` shows it (SHA-1 over the canonical relative names, its first
 * four octets read from the last), and the number of the first root with it.
 * @param root DER
 */
export function hashedName(root: Uint8Array): string {
  const hash = createHash('sha1')
  for (const relativeName of canonicalName(parseCertificate(root).subject)) hash.update(relativeName)
  return `${hash.digest().subarray(0, 4).reverse().toString('hex')}.0`
}
