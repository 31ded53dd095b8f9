// Whose SVIDs count: those of the own trust domain, and of those that the configuration names, each by its own bundle.
// Bundles are never merged (SPIFFE Federation §4.2), and what a source gives unasked is not trusted.
import { isDeepStrictEqual } from 'node:util'
import type { SvidSource, TrustBundle, X509Svid } from '../source.ts'
import type { TrustDomain } from '../spiffe-id.ts'
import type { BundleFeed, FeedStatus } from './feed.ts'

export interface TrustedDomainsOptions<Settings> {
  /** Where the own identity comes from, and the bundles of `local`. */
  readonly source: SvidSource
  /** The own trust domain, and those that the configuration of the source itself names. */
  readonly local: ReadonlySet<TrustDomain>
  /** Makes the feed of a federated trust domain; it is started when it is taken into use. */
  readonly feedOf: (trustDomain: TrustDomain, settings: Settings) => BundleFeed
}

interface Federated<Settings> {
  readonly settings: Settings
  readonly feed: BundleFeed
}

/** The source of the own identity, with the trust that the configuration means. */
export class TrustedDomains<Settings> implements SvidSource {
  readonly #options: TrustedDomainsOptions<Settings>
  #federated: ReadonlyMap<TrustDomain, Federated<Settings>> = new Map()
  #epoch = 0

  constructor(options: TrustedDomainsOptions<Settings>) {
    this.#options = options
  }

  /** Counts the changes, so that what was verified before one can be verified anew. */
  get epoch(): number {
    return this.#epoch
  }

  /** To be told when a bundle has changed. */
  readonly changed = (): void => {
    this.#epoch++
  }

  bundle(trustDomain: TrustDomain): TrustBundle | undefined {
    const { local, source } = this.#options
    // The own source first, so that no federation speaks for the own domain.
    return local.has(trustDomain) ? source.bundle(trustDomain) : this.#federated.get(trustDomain)?.feed.bundle
  }

  svid(): X509Svid {
    return this.#options.source.svid()
  }

  jwt(audience: readonly string[]): Promise<string> {
    return this.#options.source.jwt(audience)
  }

  /** Of the own source: those who show the identity have nothing to learn of a federation. */
  updates(signal: AbortSignal): AsyncIterable<void> {
    return this.#options.source.updates(signal)
  }

  get federated(): ReadonlyMap<TrustDomain, FeedStatus> {
    return new Map(Array.from(this.#federated, ([trustDomain, { feed }]) => [trustDomain, feed.status]))
  }

  /**
   * Makes ready to trust these domains and no others; a feed whose settings stay goes on as it is.
   * @returns takes them into use, and resolves once each new one has looked for its bundle
   */
  prepare(settings: ReadonlyMap<TrustDomain, Settings>): () => Promise<void> {
    const before = this.#federated
    const next = new Map<TrustDomain, Federated<Settings>>()
    for (const [trustDomain, each] of settings) {
      const known = before.get(trustDomain)
      const same = known !== undefined && isDeepStrictEqual(known.settings, each)
      next.set(trustDomain, same ? known : { settings: each, feed: this.#options.feedOf(trustDomain, each) })
    }
    return async () => {
      this.#federated = next
      this.changed()
      for (const [trustDomain, { feed }] of before) if (next.get(trustDomain)?.feed !== feed) void feed.close()
      const begun = Array.from(next.values(), ({ feed }) => feed).filter((feed) => !isIn(before, feed))
      await Promise.all(begun.map((feed) => feed.start()))
    }
  }

  /** Follows the own source until the signal is aborted. */
  async follow(signal: AbortSignal): Promise<void> {
    for await (const _ of this.#options.source.updates(signal)) this.changed()
  }

  async close(): Promise<void> {
    const feeds = Array.from(this.#federated.values(), ({ feed }) => feed)
    this.#federated = new Map()
    await Promise.all(feeds.map((feed) => feed.close()))
  }
}

function isIn(federated: ReadonlyMap<TrustDomain, Federated<unknown>>, feed: BundleFeed): boolean {
  return Array.from(federated.values()).some((each) => each.feed === feed)
}
