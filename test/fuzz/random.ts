// Random numbers that a seed repeats (xorshift128, Marsaglia 2003).

export class Random {
  #a: number
  #b = 0x9e3779b9
  #c = 0x243f6a88
  #d = 0xb7e15162

  constructor(seed: number) {
    this.#a = (seed | 0) ^ 0x5bd1e995 || 1
    for (let turn = 0; turn < 16; turn++) this.next()
  }

  /** 32 bits. */
  next(): number {
    const t = this.#a ^ (this.#a << 11)
    this.#a = this.#b
    this.#b = this.#c
    this.#c = this.#d
    this.#d = this.#d ^ (this.#d >>> 19) ^ t ^ (t >>> 8)
    return this.#d >>> 0
  }

  /** From 0 to below `limit`; 0 when that is 0. */
  below(limit: number): number {
    return limit <= 0 ? 0 : this.next() % limit
  }

  /** True once in so many times. */
  oneIn(times: number): boolean {
    return this.below(times) === 0
  }

  /** @throws when there is nothing to choose from */
  pick<Item>(items: readonly Item[]): Item {
    const item = items[this.below(items.length)]
    if (item === undefined) throw new Error('nothing to choose from')
    return item
  }
}
