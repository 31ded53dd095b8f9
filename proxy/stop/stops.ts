// Keeps the list of stops: orders take effect in memory at once, then they are written down, then acknowledged.
import { StopList } from '../../policy/stop/list.ts'
import type { Stop } from '../../policy/stop/stop.ts'
import { type Order, stopOf } from './order.ts'
import { StopFile } from './stop-file.ts'
import { type Entry, liveOf } from './stop-lines.ts'

export interface StopsOptions {
  /** Where orders are written down; undefined: nowhere, they end with the process. */
  readonly file: string | undefined
  /** Epoch milliseconds. */
  readonly now: () => number
  /** A short id that no stop has had before. */
  readonly newId: () => string
  /** Called in the tick in which what is in force changed; ends what is under way and says how many it ended. */
  readonly onChange: () => Ended
  readonly onOrder: (stop: Stop, by: string) => void
  /** @param by who lifted it, or `time` when it lapsed */
  readonly onLift: (stop: Stop, by: string) => void
  readonly onProblem: (problem: Error) => void
}

/** What a change of what is in force ended. */
export interface Ended {
  readonly cut: number
  /** Resolves when what else is to be done for it would survive the process; never rejects. */
  readonly kept?: Promise<void>
}

/** What became of an order or a lift. */
export interface Outcome {
  readonly stop: Stop
  /** Requests, streams and tunnels that it ended. */
  readonly cut: number
  /** Milliseconds from the order until they were ended. */
  readonly took: number
  /** Why it is not written down, where it is not; it is in effect either way. */
  readonly unwritten: string | undefined
}

/** Milliseconds that an answer waits for the disk. */
const patience = 2_000
/** Of setTimeout. */
const longestTimer = 2 ** 31 - 1
/** Ids begin with it when the stop comes from elsewhere, and is to be lifted there. */
const elsewhere = /^(?:drop|feed):/

export class Stops {
  readonly list = new StopList()
  readonly #options: StopsOptions
  #file: StopFile | undefined
  #timer: NodeJS.Timeout | undefined
  #closed = false

  /** @throws when what was ordered before cannot be read */
  static async open(options: StopsOptions): Promise<Stops> {
    const stops = new Stops(options)
    const { file: path, now, onProblem } = options
    if (path === undefined) return stops
    const inForce = () => stops.#own().map((order): Entry => ({ order }))
    const { file, read } = await StopFile.open({ path, now, inForce, onProblem })
    stops.#file = file
    for (const stop of read.live) stops.list.add(stop, now())
    stops.#schedule()
    return stops
  }

  private constructor(options: StopsOptions) {
    this.#options = options
  }

  /** Orders and lifts that are not on the disk yet. */
  get unwritten(): number {
    return this.#file?.unwritten ?? 0
  }

  /** @param by who orders it, such as `uid 1000` */
  async order(order: Order, by: string): Promise<Outcome> {
    const { now, newId } = this.#options
    const at = now()
    const stop = stopOf(order, newId(), at, by)
    const { cut, kept, took } = this.replace([stop], [], by)
    const [unwritten] = await Promise.all([this.#write({ order: stop }), kept])
    return { stop, cut, took, unwritten }
  }

  /**
   * @returns undefined when there is no such stop
   * @throws Error when it comes from a file or feed, and would come again
   */
  async lift(id: string, by: string): Promise<Outcome | undefined> {
    const stop = this.list.get(id)
    if (stop === undefined) return undefined
    if (elsewhere.test(id)) throw new Error(`${id} comes from ${stop.by}: it is lifted there`)
    const { cut, took } = this.replace([], [id], by)
    return { stop, cut, took, unwritten: await this.#write({ lift: { id, at: this.#options.now(), by } }) }
  }

  /**
   * Takes orders into force, each in place of one with its id, and others out of it, as one change.
   * @param by who lifts what is taken out
   */
  replace(ordered: readonly Stop[], gone: readonly string[], by: string): Ended & Pick<Outcome, 'took'> {
    const begun = performance.now()
    const { now, onChange, onOrder, onLift } = this.#options
    const { epoch } = this.list
    const lifted = [...gone, ...ordered.map(({ id }) => id)].flatMap((id) => this.list.remove(id) ?? [])
    const added = ordered.filter((stop) => this.list.add(stop, now()))
    // What is under way comes first; the telling has time.
    const ended = this.list.epoch === epoch ? { cut: 0 } : onChange()
    const took = performance.now() - begun
    for (const stop of lifted) if (gone.includes(stop.id)) onLift(stop, by)
    for (const stop of added) onOrder(stop, stop.by)
    this.#schedule()
    return { ...ended, took }
  }

  /** Takes over what another process wrote into the file. */
  async follow(): Promise<void> {
    try {
      const entries = (await this.#file?.foreign()) ?? []
      if (entries.length === 0) return
      const ordered = liveOf(entries).filter(({ id }) => this.list.get(id) === undefined)
      const gone = entries.flatMap((entry) => ('lift' in entry ? [entry.lift.id] : []))
      this.replace(ordered, gone, 'the file')
    } catch (cause) {
      this.#options.onProblem(new Error('what others wrote into the file of stops cannot be read', { cause }))
    }
  }

  /** Something else changed what is allowed, such as a feed that became stale. */
  changed(): void {
    this.#options.onChange()
  }

  async close(): Promise<void> {
    this.#closed = true
    clearTimeout(this.#timer)
    await this.#file?.close()
  }

  /** Those that belong into the file. */
  #own(): readonly Stop[] {
    return this.list.list(this.#options.now()).filter(({ id }) => !elsewhere.test(id))
  }

  async #write(entry: Entry): Promise<string | undefined> {
    if (this.#file === undefined) return 'no file is configured to write it into (stop.file)'
    const late = Promise.withResolvers<string>()
    const timer = setTimeout(() => late.resolve(`the disk did not answer within ${patience} ms`), patience)
    const written = this.#file.append(entry).then(
      () => undefined,
      (problem: Error) => {
        this.#options.onProblem(problem)
        return problem.message
      },
    )
    try {
      return await Promise.race([written, late.promise])
    } finally {
      clearTimeout(timer)
    }
  }

  #schedule(): void {
    clearTimeout(this.#timer)
    const next = this.list.nextChange
    if (next === undefined || this.#closed) return
    const wait = Math.min(Math.max(next - this.#options.now(), 0), longestTimer)
    this.#timer = setTimeout(() => this.#pass(), wait).unref()
  }

  #pass(): void {
    const { now, onChange, onLift } = this.#options
    const { lapsed, begun } = this.list.pass(now())
    if (lapsed.length > 0 || begun > 0) onChange()
    for (const stop of lapsed) onLift(stop, 'time')
    this.#schedule()
  }
}
