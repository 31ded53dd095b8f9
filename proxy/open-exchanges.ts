// The exchanges under way. What was allowed once is judged again while it lasts, and cut when it no longer would be.
import type { Reached, Reply } from './exchange.ts'
import { Refusal } from './refusal.ts'

/** An exchange that has not ended; its story tells how far it has come by now. */
export interface OpenExchange {
  readonly story: { readonly reached: Reached }
  readonly reply: Pick<Reply, 'cut'>
}

/** Throws, or rejects with, a Refusal when the exchange may not go on. */
export type Judge = (reached: Reached) => undefined | Promise<unknown>

export class OpenExchanges {
  readonly #open = new Set<OpenExchange>()

  get size(): number {
    return this.#open.size
  }

  enter(exchange: OpenExchange): void {
    this.#open.add(exchange)
  }

  leave(exchange: OpenExchange): void {
    this.#open.delete(exchange)
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
