// Patience that grows: how long to leave something alone that has just failed.

export class BackOff {
  readonly #first: number
  readonly #most: number
  readonly #random: () => number
  #wait = 0
  #failedAt = 0
  /** Epoch milliseconds until which it should be left alone. */
  until = 0

  /** @param random from 0 to 1; spreads what failed together. Both bounds in milliseconds. */
  constructor(first: number, most: number, random: () => number) {
    this.#first = first
    this.#most = most
    this.#random = random
  }

  /** @param atLeast milliseconds that the other side asks for */
  fail(now: number, atLeast = 0): void {
    // Good for as long again after the wait was over: that was another story.
    if (now > this.until + this.#wait) this.#wait = 0
    this.#wait = this.#wait === 0 ? this.#first : Math.min(this.#wait * 2, this.#most)
    this.#failedAt = now
    this.until = now + Math.max(atLeast, this.#wait * (0.8 + this.#random() * 0.2))
  }

  /** Whether it may be asked again. A clock that was put back must not make the wait as much longer. */
  isOver(now: number): boolean {
    return now >= this.until || now < this.#failedAt
  }

  reset(): void {
    this.#wait = 0
    this.until = 0
  }
}
