// Asks a bundle endpoint again and again (SPIFFE Federation §5.1, §6): what it said last holds until it says something newer.
import { isDeepStrictEqual } from 'node:util'
import { type BundleDocument, readBundleDocument } from '../bundle/document.ts'
import { BundleError } from '../bundle/error.ts'
import type { TrustBundle } from '../source.ts'
import type { TrustDomain } from '../spiffe-id.ts'
import { type BundleFeed, type FeedStatus, stateOf } from './feed.ts'

export interface PolledFeedOptions {
  readonly trustDomain: TrustDomain
  /** Gets the document; rejects with what is wrong, in time. */
  readonly fetch: () => Promise<string>
  /** Milliseconds until it is asked again, where the document does not say it. */
  readonly refresh: number
  /** Epoch milliseconds; for the status alone, so that a clock that is set changes nothing. */
  readonly now: () => number
  /** Resolves after so many milliseconds, or when the signal is aborted. */
  readonly wait: (milliseconds: number, signal: AbortSignal) => Promise<void>
  /** Told when another bundle is in force. */
  readonly onChange: () => void
  /** Told of each answer that is taken. */
  readonly onTaken: () => void
  /** Told of each failure; what was there before stays. */
  readonly onProblem: (problem: Error) => void
}

/** Whatever a document says, it is asked for at most and at least so often. Milliseconds. */
export const refreshBounds = { least: 1_000, most: 24 * 3_600_000 }
/** While there is nothing yet to keep, it is asked again sooner: after this, then twice as long each time. Milliseconds. */
const firstPause = 1_000

export class PolledFeed implements BundleFeed {
  readonly #options: PolledFeedOptions
  readonly #stopped = new AbortController()
  readonly #first = Promise.withResolvers<void>()
  #document: BundleDocument | undefined
  /** The highest that was ever told, also when an answer without one came after it. */
  #sequence: bigint | undefined
  #pause = firstPause
  #refreshedAt: number | undefined
  #nextRefresh: number | undefined
  #problem: string | undefined

  /** It begins to ask with `start`. */
  constructor(options: PolledFeedOptions) {
    this.#options = options
  }

  start(): Promise<void> {
    void this.#follow(this.#stopped.signal)
    return this.#first.promise
  }

  get bundle(): TrustBundle | undefined {
    return this.#document?.bundle
  }

  get status(): FeedStatus {
    return {
      state: stateOf(this.bundle),
      sequence: this.#document?.sequence,
      refreshedAt: this.#refreshedAt,
      nextRefresh: this.#nextRefresh,
      problem: this.#problem,
    }
  }

  close(): void {
    this.#stopped.abort()
    this.#first.resolve()
  }

  async #follow(signal: AbortSignal): Promise<void> {
    const { wait, now } = this.#options
    while (!signal.aborted) {
      await this.#ask(signal)
      this.#first.resolve()
      const interval = this.#interval()
      this.#nextRefresh = now() + interval
      await wait(interval, signal)
    }
  }

  async #ask(signal: AbortSignal): Promise<void> {
    const { trustDomain, fetch, now, onTaken, onProblem } = this.#options
    try {
      const document = readBundleDocument(trustDomain, await fetch())
      if (signal.aborted) return
      this.#take(document)
      this.#refreshedAt = now()
      this.#problem = undefined
      onTaken()
    } catch (cause) {
      if (signal.aborted) return
      this.#problem = cause instanceof Error ? cause.message : String(cause)
      onProblem(new Error(`the bundle of ${trustDomain}: ${this.#problem}`, { cause }))
    }
  }

  /** @throws BundleError when it is older than what was told before */
  #take(document: BundleDocument): void {
    const { sequence } = document
    if (sequence !== undefined) {
      if (this.#sequence !== undefined && sequence < this.#sequence)
        throw new BundleError('bundle_older', `its sequence ${sequence} is lower than ${this.#sequence}`)
      this.#sequence = sequence
    }
    const before = this.#document
    // The same object while it says the same, so that what was validated by it stays so.
    const same = before !== undefined && isDeepStrictEqual(before.bundle, document.bundle)
    this.#document = same ? { ...document, bundle: before.bundle } : document
    if (!same) this.#options.onChange()
  }

  #interval(): number {
    const { refresh } = this.#options
    if (this.#document === undefined) {
      const pause = Math.min(this.#pause, refresh)
      this.#pause *= 2
      return pause
    }
    // A hint of nothing is none; as with SPIRE.
    const { refreshHint = 0 } = this.#document
    const wanted = refreshHint > 0 ? refreshHint * 1_000 : refresh
    return Math.min(Math.max(wanted, refreshBounds.least), refreshBounds.most)
  }
}
