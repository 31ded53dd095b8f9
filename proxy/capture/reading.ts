// Which connections are read when. To read from one costs little, but thousands may have something at once, and all others would wait for all of it. So where there are many, those whose heads come in pieces are read in turns, and where many come at once, those that have asked nothing yet.
import type { Socket } from 'node:net'
import { TLSSocket } from 'node:tls'

export const readingLimits = {
  /** Connections up to which nobody is looked at: that many pieces at once are not felt. */
  few: 128,
  /** Milliseconds between two looks for heads that have begun and not ended. */
  lookEvery: 250,
  /** Connections in clear that may come at once and be read at once, */
  newcomers: 4,
  /** in so many milliseconds. */
  newcomersIn: 10,
  /** Turns in which a newcomer may say nothing; then it is read like others. */
  silent: 2,
  /** Milliseconds of a turn, at least; */
  turn: 1,
  /** for each by which the thread is late then, so many more until the next: whose heads cost much are read seldom. */
  rest: 4,
  /** Milliseconds until the next, at most. */
  longest: 50,
  /** Connections that have a turn together, at most: one, and twice as many after each turn in which all of them asked. */
  together: 16,
}

/** What is known of the requests on a connection. */
export interface Asked {
  /** Not answered yet. */
  readonly underWay: number
  /** Altogether. */
  readonly asked: number
}

interface Watched {
  readonly socket: Socket
  readonly requests: Asked
  /** Read of it before it was watched. */
  readonly first: number
  /** Of the socket and of its requests, when it was looked at last. */
  bytes: number
  asked: number
  /** Whether it is read in turns. */
  slow: boolean
  /** Turns in which nothing came. */
  silent: number
  /** Reasons not to read it, its turn aside. */
  holds: number
}

export class Reading {
  readonly #limits: typeof readingLimits
  readonly #watched = new Map<Socket, Watched>()
  /** Not read now; the first is the next. */
  readonly #waiting = new Set<Watched>()
  /** Whose turn it is. */
  #current: readonly Watched[] = []
  #together = 1
  #turning = false
  #newcomers = 0
  #looks: NodeJS.Timeout | undefined

  constructor(limits = readingLimits) {
    this.#limits = limits
  }

  /** Connections that wait for their turn. */
  get waiting(): number {
    return this.#waiting.size
  }

  /** @param socket which a parser of HTTP has just begun to read, and will until it closes or is forgotten */
  watch(socket: Socket, requests: Asked): void {
    const { few, lookEvery, newcomers, newcomersIn } = this.#limits
    const first = socket.bytesRead
    const watched = { socket, requests, first, bytes: first, asked: requests.asked, slow: false, silent: 0, holds: 0 }
    this.#watched.set(socket, watched)
    socket.once('close', () => this.#forget(watched))
    if (this.#watched.size > few) this.#looks ??= setInterval(this.#look, lookEvery).unref()
    if (this.#newcomers === 0) setTimeout(() => (this.#newcomers = 0), newcomersIn).unref()
    this.#newcomers += 1
    // Those inside TLS have waited for their handshake.
    if (this.#newcomers <= newcomers || socket instanceof TLSSocket) return
    // Later, since what the parser has told the socket takes effect only then; what had been read before may hold a request.
    process.nextTick(() => {
      if (!wasAsked(watched)) this.#slow(watched)
    })
  }

  /** Not read until then; what has been read already, by TLS too, is still handed on. */
  hold(socket: Socket, until: Promise<void>): void {
    const watched = this.#watched.get(socket)
    if (watched === undefined) return
    watched.holds += 1
    socket.pause()
    void until.then(() => {
      watched.holds -= 1
      this.#readOn(watched)
    })
  }

  /** It is no longer HTTP that comes on it; it is read by whoever takes it over. */
  handOver(socket: Socket): void {
    const watched = this.#watched.get(socket)
    if (watched === undefined) return
    const paused = this.#isPaused(watched)
    this.#forget(watched)
    // What had been read before it was paused asked for the change. HTTP, which would have begun to read again, has let go of it, and the stream still waits for what HTTP took past it: an empty chunk ends that.
    if (paused) socket.push('')
  }

  /** It is not read any more. */
  stop(socket: Socket): void {
    const watched = this.#watched.get(socket)
    if (watched !== undefined) this.#forget(watched)
    socket.pause()
  }

  #forget(watched: Watched): void {
    if (this.#knows(watched)) this.#watched.delete(watched.socket)
    this.#waiting.delete(watched)
  }

  /** Not forgotten since; the same socket may have been watched anew, inside a tunnel. */
  #knows(watched: Watched): boolean {
    return this.#watched.get(watched.socket) === watched
  }

  #isPaused(watched: Watched): boolean {
    return watched.holds > 0 || this.#waiting.has(watched)
  }

  #readOn(watched: Watched): void {
    if (this.#knows(watched) && !this.#isPaused(watched)) watched.socket.resume()
  }

  readonly #look = (): void => {
    for (const watched of this.#watched.values()) {
      if (watched.slow) continue
      const { socket, bytes } = watched
      const complete = wasAsked(watched)
      watched.bytes = socket.bytesRead
      if (!complete && watched.bytes !== bytes) this.#slow(watched)
    }
    if (this.#watched.size > this.#limits.few) return
    clearInterval(this.#looks)
    this.#looks = undefined
  }

  #slow(watched: Watched): void {
    watched.slow = true
    this.#wait(watched)
  }

  #wait(watched: Watched): void {
    if (!this.#knows(watched)) return
    watched.socket.pause()
    this.#waiting.add(watched)
    if (!this.#turning) this.#next(this.#limits.turn)
  }

  #next(milliseconds: number): void {
    this.#turning = true
    const due = performance.now() + milliseconds
    setTimeout(() => this.#turn(performance.now() - due), milliseconds).unref()
  }

  /** @param late milliseconds for which the thread had other things to do */
  #turn(late: number): void {
    const { turn, rest, longest } = this.#limits
    const asked = this.#settle()
    this.#together = this.#fitting(asked, late > turn)
    const next: Watched[] = []
    for (const watched of this.#waiting) {
      if (next.length >= this.#together) break
      this.#waiting.delete(watched)
      next.push(watched)
      this.#readOn(watched)
    }
    this.#current = next
    if (next.length > 0) this.#next(Math.min(turn + rest * Math.max(0, late), longest))
    else this.#turning = false
  }

  /** @returns how many of those whose turn it was have asked something; of the others those wait again that have begun to, or may be about to */
  #settle(): number {
    let complete = 0
    for (const watched of this.#current) {
      const { socket, bytes } = watched
      const asked = wasAsked(watched)
      if (asked) complete += 1
      else if (socket.bytesRead === bytes) watched.silent += 1
      watched.bytes = socket.bytesRead
      if (asked || (watched.bytes === watched.first && watched.silent >= this.#limits.silent)) watched.slow = false
      else this.#wait(watched)
    }
    return complete
  }

  #fitting(asked: number, late: boolean): number {
    if (late) return Math.max(1, this.#together >> 1)
    if (asked < this.#current.length) return 1
    return Math.min(this.#together * 2, this.#limits.together)
  }
}

/** Whether a head was complete since it was looked at last. */
function wasAsked(watched: Watched): boolean {
  const { requests, asked } = watched
  watched.asked = requests.asked
  return requests.underWay > 0 || requests.asked !== asked
}
