// Whether a bundle endpoint is the one that is meant, by its X509-SVID (SPIFFE Federation §5.2.2, profile https_spiffe).
import type { TrustBundle } from '../source.ts'
import { type SpiffeId, type TrustDomain, trustDomainOf } from '../spiffe-id.ts'
import { type BundleLookup, validateX509Svid } from '../svid/validate.ts'

export interface EndpointTrustOptions {
  /** Exactly this one. */
  readonly endpointId: SpiffeId
  /** The trust domain whose bundle it serves. */
  readonly trustDomain: TrustDomain
  /** The bundle to begin with, of the trust domain of `endpointId`; undefined where none is configured. */
  readonly configured: () => TrustBundle | undefined
  /** What the endpoint itself told last. */
  readonly told: () => TrustBundle | undefined
  /** Bundles that this process trusts besides. */
  readonly others: BundleLookup
  /** Epoch milliseconds. */
  readonly now: () => number
}

export class EndpointTrust {
  readonly #options: EndpointTrustOptions
  readonly #servesItself: boolean
  /** The configured bundle that an answer has taken the place of. */
  #overtaken: TrustBundle | undefined

  constructor(options: EndpointTrustOptions) {
    this.#options = options
    this.#servesItself = trustDomainOf(options.endpointId) === options.trustDomain
  }

  /**
   * Judges the certificates of a server, DER, leaf first.
   * @throws SvidError when they are no valid X509-SVID, Error when it is that of somebody else
   */
  judge(chain: readonly Uint8Array[]): void {
    const { endpointId, now } = this.#options
    const { id } = validateX509Svid({ chain, bundleFor: (domain) => this.#bundleOf(domain), now: now() })
    if (id !== endpointId) throw new Error(`the server is ${id}, not ${endpointId}`)
  }

  /** An endpoint that serves its own trust domain keeps the trust in itself current, from the first answer on. */
  taken(): void {
    this.#overtaken = this.#options.configured()
  }

  /** The configured one counts until the first answer, and again once it was changed: so an operator can begin anew. */
  #bundleOf(domain: TrustDomain): TrustBundle | undefined {
    const { endpointId, configured, told, others } = this.#options
    if (domain !== trustDomainOf(endpointId)) return undefined
    const first = configured()
    if (!this.#servesItself) return first ?? others(domain)
    return first !== undefined && first !== this.#overtaken ? first : told()
  }
}
