// Follows a signed feed of stops: only ever forward, remembered over restarts, and known to be stale when it is.
import { open, readFile, rename, rm } from 'node:fs/promises'
import * as z from 'zod'
import { type Stop, stopSchema } from '../../policy/stop/stop.ts'
import { makeLasting } from '../lasting.ts'
import { type FeedDocument, type FeedTerms, readFeed } from './feed-document.ts'

export interface FeedOptions extends FeedTerms {
  /** Reads the feed; rejects with what is wrong, in time. */
  readonly read: () => Promise<string>
  /** Where the newest is remembered; undefined: it is not. */
  readonly file: string | undefined
  /** Milliseconds. */
  readonly every: number
  /** Milliseconds after it was signed. */
  readonly maxAge: number
  /** Epoch milliseconds. */
  readonly now: () => number
  /** Told of another list of stops than before. */
  readonly onStops: (ordered: readonly Stop[], gone: readonly string[]) => void
  /** Told when it becomes stale, and when it no longer is. */
  readonly onStale: (stale: boolean) => void
  /** Told of each look that failed, with what was wrong. */
  readonly onProblem: (problem: Error) => void
}

const heldSchema = z.strictObject({
  v: z.literal(1),
  issuer: z.string(),
  seq: z.int().min(0),
  digest: z.string(),
  issuedAt: z.int(),
  expiresAt: z.int(),
  stops: z.array(stopSchema),
})

type Held = z.infer<typeof heldSchema>

export class StopFeed {
  readonly #options: FeedOptions
  #held: Held | undefined
  #unsaved = false
  #stale = true
  #looking: NodeJS.Timeout | undefined
  #ageing: NodeJS.Timeout | undefined
  #look: Promise<void> = Promise.resolve()
  #closed = false

  /**
   * Comes back when the feed was looked at once, successfully or not.
   * @throws when what was remembered cannot be read: how far the feed had come is not known
   */
  static async open(options: FeedOptions): Promise<StopFeed> {
    const held = await remembered(options.file)
    const feed = new StopFeed(options)
    // What another issuer said counts for nothing any more.
    if (held?.issuer === options.issuer) {
      feed.#held = held
      options.onStops(held.stops, [])
      feed.#age()
    }
    await feed.#lookNow()
    return feed
  }

  private constructor(options: FeedOptions) {
    this.#options = options
  }

  /** Nothing that was signed recently enough is known: what it would stop now is not known either. */
  get stale(): boolean {
    const now = this.#options.now()
    return this.#held === undefined || now >= staleAt(this.#held, this.#options.maxAge)
  }

  /** Of the newest feed. */
  get seq(): number | undefined {
    return this.#held?.seq
  }

  async close(): Promise<void> {
    this.#closed = true
    clearTimeout(this.#looking)
    clearTimeout(this.#ageing)
    await this.#look
  }

  #lookNow(): Promise<void> {
    this.#look = this.#lookOnce().finally(() => {
      if (this.#closed) return
      // Not all proxies at the same moment.
      const wait = this.#options.every * (0.9 + 0.2 * Math.random())
      this.#looking = setTimeout(() => void this.#lookNow(), wait).unref()
    })
    return this.#look
  }

  async #lookOnce(): Promise<void> {
    const { read, now, onProblem } = this.#options
    try {
      const text = await read()
      const next = await readFeed(text, this.#options, now())
      if (!this.#closed) this.#accept(next)
      if (this.#unsaved) await this.#save()
    } catch (cause) {
      if (this.#closed) return
      onProblem(new Error(`the feed of stops: ${cause instanceof Error ? cause.message : String(cause)}`, { cause }))
    }
    this.#age()
  }

  /** @throws Error when it is not the one that comes after */
  #accept(next: FeedDocument): void {
    const held = this.#held
    if (held !== undefined) {
      if (next.digest === held.digest) return
      if (next.seq < held.seq) throw new Error(`it went back from seq ${held.seq} to ${next.seq}`)
      if (next.seq === held.seq) throw new Error(`there are two feeds with seq ${next.seq}`)
      if (next.seq === held.seq + 1 && next.prev !== undefined && next.prev !== held.digest) {
        throw new Error(`its prev is not the feed with seq ${held.seq} that was here`)
      }
    }
    const { seq, digest, issuedAt, expiresAt, stops } = next
    this.#held = { v: 1, issuer: this.#options.issuer, seq, digest, issuedAt, expiresAt, stops: [...stops] }
    this.#unsaved = true
    const before = new Map((held?.stops ?? []).map((stop) => [stop.id, stop]))
    const now = new Set(stops.map(({ id }) => id))
    this.#options.onStops(
      stops.filter(({ id, reason }) => before.get(id)?.reason !== reason),
      [...before.keys()].filter((id) => !now.has(id)),
    )
  }

  async #save(): Promise<void> {
    const { file } = this.#options
    if (file === undefined) return
    const temporary = `${file}.${process.pid}.new`
    try {
      await using handle = await open(temporary, 'w', 0o600)
      await handle.writeFile(JSON.stringify(this.#held))
      await makeLasting(handle)
      await rename(temporary, file)
    } catch (cause) {
      await rm(temporary, { force: true })
      throw new Error(`${file} cannot be written: ${cause instanceof Error ? cause.message : String(cause)}`, { cause })
    }
    this.#unsaved = false
  }

  /** Tells of a change, and comes back when the next is due. */
  #age(): void {
    clearTimeout(this.#ageing)
    const { stale } = this
    if (stale !== this.#stale) {
      this.#stale = stale
      this.#options.onStale(stale)
    }
    if (stale || this.#held === undefined || this.#closed) return
    const wait = staleAt(this.#held, this.#options.maxAge) - this.#options.now()
    this.#ageing = setTimeout(() => this.#age(), Math.min(wait, 2 ** 31 - 1)).unref()
  }
}

const staleAt = ({ issuedAt, expiresAt }: Held, maxAge: number) => Math.min(issuedAt + maxAge, expiresAt)

async function remembered(file: string | undefined): Promise<Held | undefined> {
  if (file === undefined) return undefined
  let text: string
  try {
    text = await readFile(file, 'utf8')
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return undefined
    throw error
  }
  try {
    return heldSchema.parse(JSON.parse(text))
  } catch (cause) {
    throw new Error(`${file} is not what was remembered of the feed of stops; remove it to begin anew`, { cause })
  }
}
