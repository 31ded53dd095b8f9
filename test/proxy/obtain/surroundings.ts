// The world that OAuth providers get in tests: real connections, a real key for the proxy's identity, the real clock.
import { createPrivateKey, X509Certificate } from 'node:crypto'
import { exportJWK, generateKeyPair, type JSONWebKeySet, SignJWT } from 'jose'
import { Agent } from 'undici'
import type { SvidSource, X509Svid } from '../../../certs/source.ts'
import type { SpiffeId } from '../../../certs/spiffe-id.ts'
import type { Surroundings } from '../../../proxy/obtain/surroundings.ts'
import { type Authority, makeAuthority } from '../../support/authorization-server.ts'

export const ownId = 'spiffe://acme.example/ns/agents/sa/postern' as SpiffeId

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
  rotate(): Promise<void>
}

export async function makeTrustDomain(): Promise<TrustDomain> {
  const authority = await makeAuthority('acme.example')
  const { privateKey, publicKey } = await generateKeyPair('ES256', { extractable: true })
  let current = await issue(authority)
  return {
    keys: { keys: [{ ...(await exportJWK(publicKey)), kid: 'jwt', alg: 'ES256' }] },
    ca: authority.ca,
    rotate: async () => {
      current = await issue(authority)
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

async function issue(authority: Authority): Promise<X509Svid> {
  const { chain, key } = await authority.issue({ uris: [ownId] })
  const leaf = new X509Certificate(chain)
  return { id: ownId, chain: [leaf.raw], key: createPrivateKey(key), expiresAt: Date.parse(leaf.validTo) }
}
