// A certificate for the webhook, under an authority that signs this one and is then forgotten.
import { createPrivateKey, generateKeyPairSync, X509Certificate } from 'node:crypto'
import { certificatePem } from '../../../certs/pem.ts'
import { PodAuthority } from '../../../certs/pod-authority.ts'
import {
  endEntityConstraints,
  extendedKeyUsage,
  keyUsage,
  name,
  subjectAltName,
  usage,
} from '../../../certs/x509/issue.ts'
import { oids } from '../../../certs/x509/oids.ts'

/** All PEM. */
export interface Pair {
  readonly ca: string
  readonly cert: string
  readonly key: string
}

/**
 * @param hosts DNS names under which the API server calls
 * @param lifetime milliseconds
 */
export function makePair(hosts: readonly string[], lifetime: number, now: () => number): Pair {
  const authority = new PodAuthority({ now, lifetime })
  const { publicKey, privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' })
  const { certificate } = authority.issue({
    subject: name([oids.organizationName, 'Postern'], [oids.commonName, 'Postern injector']),
    publicKey: publicKey.export({ type: 'spki', format: 'der' }),
    extensions: [
      endEntityConstraints(),
      keyUsage(usage.digitalSignature),
      extendedKeyUsage(oids.serverAuth),
      subjectAltName(false, ...hosts.map((dns) => ({ dns }))),
    ],
    lifetime,
  })
  return {
    ca: authority.certificatePem,
    cert: certificatePem(certificate),
    key: privateKey.export({ type: 'pkcs8', format: 'pem' }).toString(),
  }
}

export interface Validity {
  /** Epoch milliseconds. */
  readonly from: number
  /** Epoch milliseconds. */
  readonly to: number
}

/**
 * When a certificate that goes with its key is valid.
 * @param cert PEM, the leaf first
 * @throws when one of them cannot be read, or they do not belong together
 */
export function validityOf({ cert, key }: Pick<Pair, 'cert' | 'key'>): Validity {
  const leaf = new X509Certificate(cert)
  if (!leaf.checkPrivateKey(createPrivateKey(key))) throw new Error('the key is not the one of the certificate')
  return { from: leaf.validFromDate.getTime(), to: leaf.validToDate.getTime() }
}
