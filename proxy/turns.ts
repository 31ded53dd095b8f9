// Whose turn it is. There is one thread, so what callers begin is begun a little at a time, one caller after the other: whoever asks for a great deal waits for himself alone.

interface Room {
  readonly alone: number
  readonly shared: number
}

/** What one turn of the event loop begins; less while several ask, so that turns are short. */
export const perTurn = { requests: { alone: 32, shared: 4 }, handshakes: { alone: 4, shared: 1 } }
/** Turns for which somebody else is kept room for who was there. */
const remembered = 2_000

/** Requests and handshakes have turns of their own: whoever is known does not wait for strangers at the door. */
export class Turns {
  readonly #requests = new Lane(perTurn.requests)
  readonly #handshakes = new Lane(perTurn.handshakes)

  /** How many wait now. */
  get waiting(): number {
    return this.#requests.size + this.#handshakes.size
  }

  /**
   * For a request.
   * @param who whom it is begun for
   * @returns undefined: go on at once
   */
  take(who: string): undefined | Promise<void> {
    return this.#requests.take(who)
  }

  /** The same for a TLS handshake. */
  handshake(who: string): undefined | Promise<void> {
    return this.#handshakes.take(who)
  }
}

class Lane {
  readonly #perTurn: Room
  /** By caller; whoever was served goes to the end. Empty ones are not kept. */
  readonly #waiting = new Map<string, (() => void)[]>()
  #left = 0
  /** Whether the end of this turn is waited for. */
  #counting = false
  #last = ''
  #sharedFor = 0
  #size = 0

  constructor(perTurn: Room) {
    this.#perTurn = perTurn
  }

  get size(): number {
    return this.#size
  }

  take(who: string): undefined | Promise<void> {
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
      this.#left -= 1
      return undefined
    }
    const { promise, resolve } = Promise.withResolvers<void>()
    const theirs = this.#waiting.get(who)
    if (theirs === undefined) this.#waiting.set(who, [resolve])
    else theirs.push(resolve)
    this.#size += 1
    return promise
  }

  #room(): number {
    return this.#sharedFor > 0 ? this.#perTurn.shared : this.#perTurn.alone
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
      const go = theirs.shift()
      this.#waiting.delete(who)
      if (go === undefined) continue
      if (theirs.length > 0) this.#waiting.set(who, theirs)
      this.#size -= 1
      this.#left -= 1
      go()
      if (this.#left <= 0) break
    }
    setImmediate(this.#next)
  }
}
