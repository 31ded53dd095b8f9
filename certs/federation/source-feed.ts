// The bundle of a federated trust domain as the source of the own identity gives it along: the Workload API does.
import type { SvidSource, TrustBundle } from '../source.ts'
import type { TrustDomain } from '../spiffe-id.ts'
import { type BundleFeed, type FeedStatus, stateOf } from './feed.ts'

export class SourceFeed implements BundleFeed {
  readonly #trustDomain: TrustDomain
  readonly #source: SvidSource

  constructor(trustDomain: TrustDomain, source: SvidSource) {
    this.#trustDomain = trustDomain
    this.#source = source
  }

  get bundle(): TrustBundle | undefined {
    return this.#source.bundle(this.#trustDomain)
  }

  get status(): FeedStatus {
    const { bundle } = this
    if (bundle !== undefined) return { state: stateOf(bundle) }
    return { state: 'waiting', problem: 'the source of the identity gives no bundle of this trust domain' }
  }

  async start(): Promise<void> {}

  close(): void {}
}
