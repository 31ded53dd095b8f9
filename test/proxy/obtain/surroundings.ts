// The world that OAuth providers get in tests: real connections, a real key for the proxy's identity, the real clock.
import { exportJWK, generateKeyPair, type JSONWebKeySet, SignJWT } from 'jose'
import { Agent } from 'undici'
import type { SvidSource } from '../../../certs/source.ts'
import { parseSpiffeId } from '../../../certs/spiffe-id.ts'
import type { Surroundings } from '../../../proxy/obtain/surroundings.ts'
import { makeAuthority, ownSvid } from '../../support/pki.ts'

export const ownId = parseSpiffeId('spiffe://acme.example/ns/agents/sa/postern')

export function surroundingsOf(changes: Partial<Surroundings> = {}): Surroundings {
  return {
    clock: Date.now,
    environment: {},
    svids: undefined,
    dispatcher: ({ ca, certificate }) =>
      new Agent({
        connect: {
          ca: [...ca],
          ...(certificate === undefined ? {} : { cert: certificate.chain, key: certificate.key }),
        },
      }),
    ...changes,
  }
}

/** A trust domain of one workload: the proxy. */
export interface TrustDomain {
  readonly svids: SvidSource
  /** Keys of its JWT-SVIDs. */
  readonly keys: JSONWebKeySet
  /** PEM of its X.509 root. */
  readonly ca: string
  /** Issues the X509-SVID anew. */
  rotate(): void
}

export async function makeTrustDomain(): Promise<TrustDomain> {
  const authority = makeAuthority()
  const { privateKey, publicKey } = await generateKeyPair('ES256', { extractable: true })
  let current = ownSvid(authority, ownId)
  return {
    keys: { keys: [{ ...(await exportJWK(publicKey)), kid: 'jwt', alg: 'ES256' }] },
    ca: authority.pem,
    rotate: () => {
      current = ownSvid(authority, ownId)
    },
    svids: {
      svid: () => current,
      bundle: () => undefined,
      jwt: (audience) =>
        new SignJWT({})
          .setProtectedHeader({ alg: 'ES256', kid: 'jwt', typ: 'JWT' })
          .setSubject(ownId)
          .setAudience([...audience])
          .setIssuedAt()
          .setExpirationTime('5m')
          .sign(privateKey),
      async *updates() {},
    },
  }
}
