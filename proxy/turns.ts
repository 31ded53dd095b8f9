// Whose turn it is. There is one thread, so what callers begin is begun a little at a time, one caller after the other: whoever asks for a great deal waits for himself alone.

/** What one turn of the event loop begins, in requests. */
export const perTurn = { alone: 32, shared: 4 }
/** A TLS handshake takes the time of so many requests. */
const handshakeCost = 4
/** Turns for which somebody else is kept room for who was there. */
const remembered = 2_000

interface Waiter {
  readonly cost: number
  readonly go: () => void
}

export class Turns {
  /** By caller; whoever was served goes to the end. Empty ones are not kept. */
  readonly #waiting = new Map<string, Waiter[]>()
  #left = 0
  /** Whether the end of this turn is waited for. */
  #counting = false
  #last = ''
  #sharedFor = 0
  #size = 0

  /** How many wait now. */
  get waiting(): number {
    return this.#size
  }

  /**
   * @param who whom it is begun for
   * @param cost in requests
   * @returns undefined: go on at once
   */
  take(who: string, cost = 1): undefined | Promise<void> {
    if (who !== this.#last) {
      this.#last = who
      this.#sharedFor = remembered
    }
    if (!this.#counting) {
      this.#counting = true
      this.#left = this.#room()
      setImmediate(this.#next)
    }
    if (this.#size === 0 && this.#left > 0) {
      this.#left -= cost
      return undefined
    }
    const { promise, resolve } = Promise.withResolvers<void>()
    const waiter = { cost, go: resolve }
    const theirs = this.#waiting.get(who)
    if (theirs === undefined) this.#waiting.set(who, [waiter])
    else theirs.push(waiter)
    this.#size += 1
    return promise
  }

  /** The same for a TLS handshake. */
  handshake(who: string): undefined | Promise<void> {
    return this.take(who, handshakeCost)
  }

  #room(): number {
    return this.#sharedFor > 0 ? perTurn.shared : perTurn.alone
  }

  readonly #next = (): void => {
    if (this.#sharedFor > 0) this.#sharedFor -= 1
    if (this.#size === 0) {
      this.#counting = false
      return
    }
    this.#left = this.#room()
    // Those that are put to the end come again while there is room.
    for (const [who, theirs] of this.#waiting) {
      const waiter = theirs.shift()
      this.#waiting.delete(who)
      if (waiter === undefined) continue
      if (theirs.length > 0) this.#waiting.set(who, theirs)
      this.#size -= 1
      this.#left -= waiter.cost
      waiter.go()
      if (this.#left <= 0) break
    }
    setImmediate(this.#next)
  }
}
