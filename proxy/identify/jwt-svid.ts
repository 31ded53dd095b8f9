// Attests by a JWT-SVID in `Proxy-Authorization: Bearer`, meant for the egress of this trust domain and nobody else.
import { JwtSvidError } from '../../certs/jwt-svid/error.ts'
import { type ValidJwtSvid, validateJwtSvid } from '../../certs/jwt-svid/validate.ts'
import type { TrustDomain } from '../../certs/spiffe-id.ts'
import type { BundleLookup } from '../../certs/svid/validate.ts'
import type { Caller, Connection } from '../exchange.ts'
import { Refusal } from '../refusal.ts'
import type { Secret } from '../secret.ts'
import type { Attestor } from './attestor.ts'
import { withKernel } from './with-kernel.ts'

export interface JwtSvidAttestorOptions {
  /** What a token must be meant for; `egressOf` makes it. */
  readonly audience: string
  /** The bundle of one trust domain, as the source has it now. */
  readonly bundleFor: BundleLookup
  /** Counts the changes of bundles. */
  readonly epoch?: () => number
  /** Epoch milliseconds. */
  readonly now: () => number
  /** Must confirm the caller; undefined on listeners with TLS, where nobody on the way reads the token. */
  readonly kernel: Attestor | undefined
}

/** Whom callers ask a token for. */
export function egressOf(trustDomain: TrustDomain): string {
  return `spiffe://${trustDomain}/egress`
}

export class JwtSvidAttestor implements Attestor {
  readonly name = 'jwt-svid'
  readonly #options: JwtSvidAttestorOptions

  constructor(options: JwtSvidAttestorOptions) {
    this.#options = options
  }

  get epoch(): number {
    return this.#options.epoch?.() ?? 0
  }

  async attest(connection: Connection, signal: AbortSignal): Promise<Caller | undefined> {
    const token = connection.proxyAuthorization?.bearer()
    if (token === undefined) return undefined
    const { id, expiresAt } = await this.#validate(token)
    const caller: Caller = { id, proofs: ['jwt-svid'], expiresAt }
    const { kernel } = this.#options
    return kernel === undefined ? caller : await withKernel(caller, kernel, connection, signal)
  }

  async #validate(presented: Secret): Promise<ValidJwtSvid> {
    const { audience, bundleFor, now } = this.#options
    try {
      return await presented.judgedBy((token) => validateJwtSvid({ token, audience, bundleFor, now: now() }))
    } catch (error) {
      if (error instanceof JwtSvidError) throw new Refusal(error.code, { detail: error.detail, cause: error })
      throw error
    }
  }
}
