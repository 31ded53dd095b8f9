// Certificates for one run, in memory: an authority, and a P-256 leaf.
import { generateKeyPairSync } from 'node:crypto'
import { certificatePem } from '../certs/pem.ts'
import { PodAuthority } from '../certs/pod-authority.ts'
import { keyUsage, name, subjectAltName, usage } from '../certs/x509/issue.ts'
import { oids } from '../certs/x509/oids.ts'

export interface Pair {
  /** PEM. */
  readonly cert: string
  /** PEM, PKCS#8. */
  readonly key: string
}

export function makeAuthority(): PodAuthority {
  return new PodAuthority({ now: Date.now })
}

export function issuePair(authority: PodAuthority, host: string): Pair {
  const { publicKey, privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' })
  const { certificate } = authority.issue({
    subject: name([oids.commonName, host]),
    publicKey: publicKey.export({ type: 'spki', format: 'der' }),
    extensions: [keyUsage(usage.digitalSignature), subjectAltName(false, { dns: host })],
    lifetime: 86_400_000,
  })
  return {
    cert: certificatePem(certificate),
    key: privateKey.export({ type: 'pkcs8', format: 'pem' }).toString(),
  }
}
