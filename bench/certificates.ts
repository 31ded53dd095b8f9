// Certificates for one run, in memory: an authority, and a P-256 leaf for each name.
import 'reflect-metadata'
import { webcrypto } from 'node:crypto'
import * as x509 from '@peculiar/x509'

export interface Pair {
  /** PEM. */
  readonly cert: string
  /** PEM, PKCS#8. */
  readonly key: string
}

const algorithm = { name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256' }
const day = 86_400_000

export class BenchAuthority {
  readonly #keys: webcrypto.CryptoKeyPair
  readonly #root: x509.X509Certificate

  private constructor(keys: webcrypto.CryptoKeyPair, root: x509.X509Certificate) {
    this.#keys = keys
    this.#root = root
  }

  static async create(): Promise<BenchAuthority> {
    x509.cryptoProvider.set(webcrypto)
    const keys = await webcrypto.subtle.generateKey(algorithm, true, ['sign', 'verify'])
    const root = await x509.X509CertificateGenerator.createSelfSigned({
      name: 'CN=bench authority',
      keys,
      signingAlgorithm: algorithm,
      notBefore: new Date(Date.now() - day),
      notAfter: new Date(Date.now() + day),
      extensions: [
        new x509.BasicConstraintsExtension(true, undefined, true),
        new x509.KeyUsagesExtension(x509.KeyUsageFlags.keyCertSign, true),
      ],
    })
    return new BenchAuthority(keys, root)
  }

  get pem(): string {
    return this.#root.toString('pem')
  }

  async issue(name: string): Promise<Pair> {
    const keys = await webcrypto.subtle.generateKey(algorithm, true, ['sign', 'verify'])
    const leaf = await x509.X509CertificateGenerator.create({
      subject: `CN=${name}`,
      issuer: this.#root.subject,
      publicKey: keys.publicKey,
      signingKey: this.#keys.privateKey,
      signingAlgorithm: algorithm,
      notBefore: new Date(Date.now() - day),
      notAfter: new Date(Date.now() + day),
      extensions: [
        new x509.KeyUsagesExtension(x509.KeyUsageFlags.digitalSignature, true),
        new x509.SubjectAlternativeNameExtension([{ type: 'dns', value: name }]),
      ],
    })
    const key = Buffer.from(await webcrypto.subtle.exportKey('pkcs8', keys.privateKey))
    return {
      cert: leaf.toString('pem'),
      key: `-----BEGIN PRIVATE KEY-----\n${key.toString('base64')}\n-----END PRIVATE KEY-----\n`,
    }
  }
}
