// Whose turn it is. There is one thread, so what callers begin is begun a little at a time, one caller after the other: whoever asks for a great deal waits for himself alone.

interface Room {
  readonly alone: number
  readonly shared: number
}

/** What one turn of the event loop does; less while several ask, so that turns are short. */
export const perTurn = {
  requests: { alone: 32, shared: 4 },
  answers: { alone: 32, shared: 4 },
  handshakes: { alone: 4, shared: 1 },
  late: { alone: 8, shared: 2 },
}
/** Requests of one caller that wait for their turn; while there are more, no further ones of his are read. */
export const mostWaiting = 32
/** Turns for which somebody else is kept room for who was there. */
const remembered = 2_000

/** Each kind has turns of its own: whoever is known does not wait for strangers at the door, and what has been begun not for what is to begin. */
export class Turns {
  readonly #requests = new Lane(perTurn.requests)
  readonly #answers = new Lane(perTurn.answers)
  readonly #handshakes = new Lane(perTurn.handshakes)
  readonly #late = new Lane(perTurn.late)
  /** Those who are not to ask for more yet, by caller. */
  readonly #held = new Queues()

  /** How many wait now. */
  get waiting(): number {
    return this.#requests.size + this.#answers.size + this.#handshakes.size + this.#late.size + this.#held.size
  }

  /**
   * For a request.
   * @param who whom it is begun for
   * @returns undefined: go on at once
   */
  take(who: string): undefined | Promise<void> {
    return this.#requests.take(who)
  }

  /** The same for the answer to one, when its head has come. */
  answer(who: string): undefined | Promise<void> {
    return this.#answers.take(who)
  }

  /** The same for a TLS handshake. */
  handshake(who: string): undefined | Promise<void> {
    return this.#handshakes.take(who)
  }

  /** The same for the end of a connection whose head was not complete in time; of those that came together, all are late together. */
  late(who: string): undefined | Promise<void> {
    return this.#late.take(who)
  }

  /**
   * Asked before more is read from a caller.
   * @returns undefined: it may be; else resolves when it may
   */
  room(who: string): undefined | Promise<void> {
    if (this.#free(who) > 0) return undefined
    if (this.#held.size === 0) setImmediate(this.#release)
    return this.#held.add(who)
  }

  #free(who: string): number {
    return mostWaiting - this.#requests.of(who) - this.#answers.of(who)
  }

  readonly #release = (): void => {
    for (const who of [...this.#held.names()]) for (let free = this.#free(who); free > 0; free--) this.#held.go(who)
    if (this.#held.size > 0) setImmediate(this.#release)
  }
}

class Lane {
  readonly #perTurn: Room
  /** Whoever was served goes to the end. */
  readonly #waiting = new Queues()
  #left = 0
  /** Whether the end of this turn is waited for. */
  #counting = false
  #last = ''
  #sharedFor = 0

  constructor(perTurn: Room) {
    this.#perTurn = perTurn
  }

  get size(): number {
    return this.#waiting.size
  }

  /** How many of one caller wait. */
  of(who: string): number {
    return this.#waiting.of(who)
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
    if (this.size === 0 && this.#left > 0) {
      this.#left -= 1
      return undefined
    }
    return this.#waiting.add(who)
  }

  #room(): number {
    return this.#sharedFor > 0 ? this.#perTurn.shared : this.#perTurn.alone
  }

  readonly #next = (): void => {
    if (this.#sharedFor > 0) this.#sharedFor -= 1
    if (this.size === 0) {
      this.#counting = false
      return
    }
    this.#left = this.#room()
    // Those that are put to the end come again while there is room.
    for (const who of this.#waiting.names()) {
      this.#waiting.go(who)
      this.#left -= 1
      if (this.#left <= 0) break
    }
    setImmediate(this.#next)
  }
}

/** Who waits, by caller; a caller of whom nobody waits is not kept. */
class Queues {
  readonly #byCaller = new Map<string, (() => void)[]>()
  #size = 0

  get size(): number {
    return this.#size
  }

  of(who: string): number {
    return this.#size === 0 ? 0 : (this.#byCaller.get(who)?.length ?? 0)
  }

  names(): Iterable<string> {
    return this.#byCaller.keys()
  }

  add(who: string): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>()
    const theirs = this.#byCaller.get(who)
    if (theirs === undefined) this.#byCaller.set(who, [resolve])
    else theirs.push(resolve)
    this.#size += 1
    return promise
  }

  /** Lets the first of a caller go, and puts the others of his to the end. */
  go(who: string): void {
    const theirs = this.#byCaller.get(who)
    const first = theirs?.shift()
    if (theirs === undefined || first === undefined) return
    this.#byCaller.delete(who)
    if (theirs.length > 0) this.#byCaller.set(who, theirs)
    this.#size -= 1
    first()
  }
}
