// The bundle of a federated trust domain from a file that something else keeps current.
import { FileSource } from '../file-source.ts'
import type { TrustBundle } from '../source.ts'
import type { TrustDomain } from '../spiffe-id.ts'
import { type BundleFeed, type FeedStatus, stateOf } from './feed.ts'

export interface FileFeedOptions {
  readonly trustDomain: TrustDomain
  /** Of roots in PEM, or of a SPIFFE bundle document. */
  readonly path: string
  /** Epoch milliseconds. */
  readonly now: () => number
  /** Told when another bundle is in force. */
  readonly onChange: () => void
  /** Told of a file that cannot be used, once for each trouble; what was read before stays. */
  readonly onProblem: (problem: Error) => void
}

export class FileFeed implements BundleFeed {
  readonly #options: FileFeedOptions
  readonly #stopped = new AbortController()
  #source: FileSource | undefined
  #refreshedAt: number | undefined
  #problem: string | undefined

  constructor(options: FileFeedOptions) {
    this.#options = options
  }

  get bundle(): TrustBundle | undefined {
    return this.#source?.bundle(this.#options.trustDomain)
  }

  get status(): FeedStatus {
    return { state: stateOf(this.bundle), refreshedAt: this.#refreshedAt, problem: this.#problem }
  }

  async start(): Promise<void> {
    const { trustDomain, path, now, onProblem } = this.#options
    const source = await FileSource.open({
      identity: undefined,
      bundles: new Map([[trustDomain, path]]),
      trustDomain,
      now,
      onProblem: (problem) => {
        this.#problem = problem.message
        onProblem(new Error(`the bundle of ${trustDomain}: ${problem.message}`, { cause: problem }))
      },
    })
    if (this.#stopped.signal.aborted) return source.close()
    this.#source = source
    void this.#follow(source)
    if (this.bundle !== undefined) this.#changed()
  }

  close(): void {
    this.#stopped.abort()
    this.#source?.close()
  }

  async #follow(source: FileSource): Promise<void> {
    for await (const _ of source.updates(this.#stopped.signal)) this.#changed()
  }

  #changed(): void {
    this.#refreshedAt = this.#options.now()
    this.#problem = undefined
    this.#options.onChange()
  }
}
