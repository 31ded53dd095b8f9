// Attests by a projected service-account token of Kubernetes, verified here with the cluster's public keys.
import { type Claims, checkTerms, termsOf } from '../../certs/jwt-svid/claims.ts'
import { readClaims, readCompact } from '../../certs/jwt-svid/compact.ts'
import { JwtSvidError, type JwtSvidFault } from '../../certs/jwt-svid/error.ts'
import { verifySignature } from '../../certs/jwt-svid/key.ts'
import { parseSpiffeId, type SpiffeId, type TrustDomain } from '../../certs/spiffe-id.ts'
import type { Caller, Connection } from '../exchange.ts'
import { type Reason, Refusal } from '../refusal.ts'
import type { Attestor } from './attestor.ts'
import type { KeySet } from './key-set.ts'
import { withKernel } from './with-kernel.ts'

export interface KubernetesTokenAttestorOptions {
  /** Of which the callers are: `spiffe://<trust domain>/ns/<namespace>/sa/<service account>`. */
  readonly trustDomain: TrustDomain
  /** Compared as it is with `iss`. */
  readonly issuer: string
  /** Must be among those of the token, or any pod's token for the cluster itself would do. */
  readonly audience: string
  readonly keys: Pick<KeySet, 'keysFor'>
  /** Epoch milliseconds. */
  readonly now: () => number
  /** Must confirm the caller; undefined on listeners with TLS, where nobody on the way reads the token. */
  readonly kernel: Attestor | undefined
}

export class KubernetesTokenAttestor implements Attestor {
  readonly name = 'kubernetes-token'
  readonly #options: KubernetesTokenAttestorOptions

  constructor(options: KubernetesTokenAttestorOptions) {
    this.#options = options
  }

  async attest(connection: Connection, signal: AbortSignal): Promise<Caller | undefined> {
    const presented = connection.proxyAuthorization?.bearer()
    if (presented === undefined) return undefined
    const caller = await presented.judgedBy((token) => this.#verify(token))
    const { kernel } = this.#options
    return kernel === undefined ? caller : await withKernel(caller, kernel, connection, signal)
  }

  async #verify(token: string): Promise<Caller> {
    const { trustDomain, issuer, audience, keys, now } = this.#options
    try {
      const compact = readCompact(token)
      const claims = readClaims(compact)
      // Before any key is looked for: tokens of others must not make us ask the cluster.
      if (claims.iss !== issuer) refuse('kubernetes_token_wrong_issuer', 'it is of another issuer')
      const terms = termsOf(claims)
      const account = accountOf(claims, trustDomain)
      const authorities = await keys.keysFor(compact.keyId)
      if (authorities === undefined) refuse('kubernetes_keys_unavailable', 'the keys of the cluster cannot be read')
      await verifySignature(compact, authorities)
      checkTerms(terms, audience, now())
      return { ...account, proofs: ['kubernetes-token'], expiresAt: terms.expiresAt }
    } catch (error) {
      if (!(error instanceof JwtSvidError)) throw error
      throw new Refusal(reasons[error.code] ?? 'kubernetes_token_malformed', { detail: error.detail, cause: error })
    }
  }
}

const reasons: Partial<Record<JwtSvidFault, Reason>> = {
  jwt_svid_unknown_key: 'kubernetes_token_unknown_key',
  jwt_svid_weak_key: 'kubernetes_token_unknown_key',
  jwt_svid_bad_signature: 'kubernetes_token_bad_signature',
  jwt_svid_wrong_audience: 'kubernetes_token_wrong_audience',
  jwt_svid_not_yet_valid: 'kubernetes_token_not_yet_valid',
  jwt_svid_expired: 'kubernetes_token_expired',
}

/** Names of objects as the cluster writes them (RFC 1123 §2.1); both are path segments of a SPIFFE ID. */
const label = /^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$/
const subdomain = /^(?=.{1,253}$)[a-z0-9]([a-z0-9-]*[a-z0-9])?(\.[a-z0-9]([a-z0-9-]*[a-z0-9])?)*$/

/** Who the pod is. Only bound tokens have `kubernetes.io`; those without never expire and lie about in secrets. */
function accountOf(claims: Claims, trustDomain: TrustDomain): { readonly id: SpiffeId; readonly pod?: Pod } {
  const bound = objectOf(claims['kubernetes.io'])
  const namespace = bound?.namespace
  const account = objectOf(bound?.serviceaccount)?.name
  if (
    typeof namespace !== 'string' ||
    typeof account !== 'string' ||
    !label.test(namespace) ||
    !subdomain.test(account)
  )
    refuse('kubernetes_token_no_account', 'it is not bound to a service account')
  if (claims.sub !== `system:serviceaccount:${namespace}:${account}`)
    refuse('kubernetes_token_no_account', 'its subject is not the service account that it is bound to')
  const id = parseSpiffeId(`spiffe://${trustDomain}/ns/${namespace}/sa/${account}`)
  const pod = podOf(bound?.pod)
  return pod === undefined ? { id } : { id, pod }
}

type Pod = NonNullable<Caller['pod']>

function podOf(value: unknown): Pod | undefined {
  if (value === undefined) return undefined
  const { name, uid } = objectOf(value) ?? {}
  if (typeof name !== 'string' || !subdomain.test(name) || typeof uid !== 'string' || !/^[\w-]{1,64}$/.test(uid))
    refuse('kubernetes_token_malformed', 'what it says of its pod is not a name and a uid')
  return { name, uid }
}

function objectOf(value: unknown): Claims | undefined {
  return typeof value === 'object' && value !== null ? { ...value } : undefined
}

function refuse(reason: Reason, detail: string): never {
  throw new Refusal(reason, { detail })
}
