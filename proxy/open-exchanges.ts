// The exchanges under way. What was allowed once is judged again while it lasts, and cut when it no longer would be.
import type { Reached, Reply } from './exchange.ts'
import { Refusal } from './refusal.ts'

/** Requests and tunnels of one caller that are under way at once. */
export const mostAtOnce = 1_024

/** An exchange that has not ended; its story tells how far it has come by now. */
export interface OpenExchange {
  readonly story: { readonly reached: Reached }
  readonly reply: Pick<Reply, 'cut'>
  /** Its place among those under way, kept by them. */
  at?: number
  /** Whom it counts for, once it is known. */
  caller?: string
}

/** Throws, or rejects with, a Refusal when the exchange may not go on. */
export type Judge = (reached: Reached) => undefined | Promise<unknown>

export class OpenExchanges {
  /**
   * In no order. Not a Set: each time V8 makes the table of one anew, the old table leads to the new one, and keeps alive
   * what was under way; with a thousand entries and deletions a second, half of all requests would outlive the young
   * generation.
   */
  readonly #open: OpenExchange[] = []
  readonly #byCaller = new Map<string, number>()

  get size(): number {
    return this.#open.length
  }

  enter(exchange: OpenExchange): void {
    exchange.at = this.#open.length
    this.#open.push(exchange)
  }

  /**
   * Counts it for its caller, so that none has all that there is.
   * @throws Refusal `too_many_at_once`
   */
  known(exchange: OpenExchange, caller: string): void {
    const theirs = this.#byCaller.get(caller) ?? 0
    if (theirs >= mostAtOnce)
      throw new Refusal('too_many_at_once', { detail: `${mostAtOnce} are under way`, retryAfter: 1 })
    exchange.caller = caller
    this.#byCaller.set(caller, theirs + 1)
  }

  leave(exchange: OpenExchange): void {
    const { at, caller } = exchange
    if (caller !== undefined) {
      const left = (this.#byCaller.get(caller) ?? 1) - 1
      if (left === 0) this.#byCaller.delete(caller)
      else this.#byCaller.set(caller, left)
    }
    const last = this.#open.at(-1)
    if (at === undefined || last === undefined || this.#open[at] !== exchange) return
    // The last one takes its place.
    this.#open[at] = last
    last.at = at
    this.#open.pop()
  }

  /**
   * Judges each of them, and cuts those that may not go on. A judgement that fails counts against the exchange.
   * @returns how many were cut at once; some judgements may take longer
   */
  review(judge: Judge): number {
    let cut = 0
    for (const { story, reply } of [...this.#open]) {
      try {
        judge(story.reached)?.catch((error: unknown) => reply.cut(Refusal.from(error)))
      } catch (error) {
        if (reply.cut(Refusal.from(error))) cut += 1
      }
    }
    return cut
  }
}
