// A certificate authority for tests: makes leaves for servers and clients, in memory.
import 'reflect-metadata'
import { webcrypto } from 'node:crypto'
import * as x509 from '@peculiar/x509'

/** PEM: a chain with the leaf first, its private key, and the authority above it. */
export interface Identity {
  readonly chain: string
  readonly key: string
  readonly ca: string
}

export interface Names {
  readonly names?: readonly string[]
  readonly ips?: readonly string[]
  readonly uris?: readonly string[]
}

export interface Authority {
  /** PEM. */
  readonly ca: string
  issue(names: Names): Promise<Identity>
}

const algorithm = { name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256' } as const
const hour = 3_600_000

export async function makeAuthority(commonName: string): Promise<Authority> {
  x509.cryptoProvider.set(webcrypto)
  const keys = await webcrypto.subtle.generateKey(algorithm, true, ['sign', 'verify'])
  const root = await x509.X509CertificateGenerator.createSelfSigned({
    name: `CN=${commonName}`,
    keys,
    ...validity(),
    signingAlgorithm: algorithm,
    extensions: [
      new x509.BasicConstraintsExtension(true, undefined, true),
      new x509.KeyUsagesExtension(x509.KeyUsageFlags.keyCertSign | x509.KeyUsageFlags.cRLSign, true),
    ],
  })
  const ca = root.toString('pem')
  return {
    ca,
    issue: async ({ names = [], ips = [], uris = [] }) => {
      const leafKeys = await webcrypto.subtle.generateKey(algorithm, true, ['sign', 'verify'])
      const leaf = await x509.X509CertificateGenerator.create({
        subject: 'O=Test',
        issuer: root.subject,
        publicKey: leafKeys.publicKey,
        signingKey: keys.privateKey,
        ...validity(),
        signingAlgorithm: algorithm,
        extensions: [
          new x509.BasicConstraintsExtension(false, undefined, true),
          new x509.KeyUsagesExtension(x509.KeyUsageFlags.digitalSignature, true),
          new x509.ExtendedKeyUsageExtension([x509.ExtendedKeyUsage.serverAuth, x509.ExtendedKeyUsage.clientAuth]),
          new x509.SubjectAlternativeNameExtension([
            ...names.map((value) => ({ type: 'dns' as const, value })),
            ...ips.map((value) => ({ type: 'ip' as const, value })),
            ...uris.map((value) => ({ type: 'url' as const, value })),
          ]),
        ],
      })
      const key = Buffer.from(await webcrypto.subtle.exportKey('pkcs8', leafKeys.privateKey))
      return { chain: leaf.toString('pem'), key: x509.PemConverter.encode(key, 'PRIVATE KEY'), ca }
    },
  }
}

function validity(): { notBefore: Date; notAfter: Date } {
  return { notBefore: new Date(Date.now() - hour), notAfter: new Date(Date.now() + 24 * hour) }
}
