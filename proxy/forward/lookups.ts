// Resolves names for one destination: few at a time, each once for all who wait, and nobody waits for longer than told.
import { Refusal } from '../refusal.ts'
import type { Resolve } from './resolver.ts'

/**
 * Names being resolved at once for one destination. The system resolves in a few threads that all destinations share
 * (half of those of libuv), and gives none of them back before the name server has answered: without this bound one
 * destination whose names are answered late would hold up all others.
 */
export const mostLookups = 2

interface Waiting {
  readonly host: string
  readonly settle: (answer: Promise<readonly string[]>) => void
}

export class Lookups {
  readonly #resolve: Resolve
  readonly #patience: number
  readonly #most: number
  readonly #flights = new Map<string, Promise<readonly string[]>>()
  readonly #queue = new Set<Waiting>()
  #underWay = 0

  /**
   * @param patience milliseconds that one may wait, its turn included
   * @param most being resolved at once
   */
  constructor(resolve: Resolve, patience: number, most: number = mostLookups) {
    this.#resolve = resolve
    this.#patience = patience
    this.#most = most
  }

  /** @throws Refusal `upstream_timeout`, and what the resolver throws */
  addressesOf(host: string): Promise<readonly string[]> {
    const known = this.#flights.get(host)
    if (known !== undefined) return known
    const flight = this.#wait(host).finally(() => this.#flights.delete(host))
    this.#flights.set(host, flight)
    return flight
  }

  #wait(host: string): Promise<readonly string[]> {
    return new Promise((resolve, reject) => {
      const waiting: Waiting = {
        host,
        settle: (answer) => {
          answer.finally(() => clearTimeout(timer)).then(resolve, reject)
        },
      }
      const timer = setTimeout(() => {
        this.#queue.delete(waiting)
        reject(new Refusal('upstream_timeout', { detail: `${host}: not resolved within ${this.#patience} ms` }))
      }, this.#patience)
      this.#queue.add(waiting)
      this.#next()
    })
  }

  #next(): void {
    for (const waiting of this.#queue) {
      if (this.#underWay >= this.#most) return
      this.#queue.delete(waiting)
      this.#underWay += 1
      waiting.settle(
        this.#resolve(waiting.host).finally(() => {
          this.#underWay -= 1
          this.#next()
        }),
      )
    }
  }
}
