// Tokens that must be taken back at their source (RFC 7009): tried until that succeeds, or until they are worth nothing anyway.
import { Refusal } from '../refusal.ts'
import type { Secret } from '../secret.ts'
import { BackOff } from './back-off.ts'
import type { RevocationFile } from './revocation-file.ts'

export interface Revocation {
  /** Name of the credential in the configuration. */
  readonly credential: string
  /** Which server gave it; no other is ever shown it. */
  readonly server: string
  readonly token: Secret
  /** Epoch milliseconds after which nothing is tried any more. */
  readonly until: number
}

/** The server cannot take such a token back; it is left to expire. */
export class RevocationImpossible extends Error {
  override readonly name = 'RevocationImpossible'
}

export interface RevocationEvent {
  readonly credential: string
  /** `failed`: it is tried again; `abandoned`: it is not, since it has expired, cannot be taken back, or there are too many. */
  readonly result: 'revoked' | 'failed' | 'abandoned'
}

export interface RevocationsOptions {
  /** Epoch milliseconds. */
  readonly clock: () => number
  /** From 0 to 1. */
  readonly random: () => number
  /** Takes it back; rejects where that did not succeed. */
  readonly revoke: (revocation: Revocation, signal: AbortSignal) => Promise<void>
  readonly onEvent: (event: RevocationEvent) => void
  /** Where they survive the process; undefined: nowhere. */
  readonly file: RevocationFile | undefined
  /** Milliseconds that one attempt may take. */
  readonly patience: number
}

/** Tokens that wait to be taken back; beyond, those that would expire first are left to that. */
export const mostRevocations = 10_000
/** A token that names no end is tried for this long. Milliseconds. */
export const longestRevocation = 86_400_000
/** Attempts under way at once. */
const atOnce = 16
/** Milliseconds between attempts: the first wait, then twice as long, up to the second. */
const retries = [1_000, 300_000] as const

interface Waiting {
  readonly revocation: Revocation
  readonly backOff: BackOff
  underWay: boolean
}

export class Revocations {
  readonly #options: RevocationsOptions
  readonly #waiting = new Set<Waiting>()
  readonly #closing = new AbortController()
  #underWay = 0
  #timer: NodeJS.Timeout | undefined
  /** Until what an earlier process left is here, the file must not be written. */
  #resumed: Promise<void> = Promise.resolve()
  #kept: Promise<void> = Promise.resolve()

  constructor(options: RevocationsOptions) {
    this.#options = options
  }

  /** How many are still to be taken back. */
  get pending(): number {
    return this.#waiting.size
  }

  /**
   * Begins at once.
   * @returns resolves when they would survive the process, or could not be made to
   */
  add(revocations: readonly Revocation[]): Promise<void> {
    if (revocations.length === 0) return Promise.resolve()
    this.#take(revocations)
    const kept = this.#keep()
    this.#pump()
    return kept
  }

  /** Goes on with what an earlier process left. Called once, before anything else. */
  resume(): void {
    const { file } = this.#options
    if (file === undefined) return
    this.#resumed = file.read().then((left) => {
      this.#take(left)
      this.#pump()
    })
  }

  /** A last attempt at each, as far as the signal allows. What fails stays in the file. */
  async close(signal: AbortSignal): Promise<void> {
    await this.#resumed
    clearTimeout(this.#timer)
    this.#closing.abort()
    const left = [...this.#waiting].filter(({ underWay }) => !underWay)
    const work = async () => {
      for (let next = left.pop(); next !== undefined && !signal.aborted; next = left.pop())
        await this.#attempt(next, signal)
    }
    await Promise.all(Array.from({ length: atOnce }, work))
    await this.#kept
  }

  /** Starts what is due, and comes back when the next is. */
  #pump(): void {
    if (this.#closing.signal.aborted) return
    clearTimeout(this.#timer)
    const now = this.#options.clock()
    let next = Number.POSITIVE_INFINITY
    for (const waiting of this.#waiting) {
      if (waiting.underWay) continue
      if (!waiting.backOff.isOver(now)) next = Math.min(next, waiting.backOff.until)
      else if (this.#underWay < atOnce) void this.#attempt(waiting).then(() => this.#pump())
    }
    if (Number.isFinite(next)) this.#timer = setTimeout(() => this.#pump(), Math.max(1, next - now)).unref()
  }

  async #attempt(waiting: Waiting, until?: AbortSignal): Promise<void> {
    const { clock, revoke, patience } = this.#options
    const { revocation, backOff } = waiting
    if (clock() >= revocation.until) return this.#done(waiting, 'abandoned')
    waiting.underWay = true
    this.#underWay += 1
    try {
      const timeout = AbortSignal.timeout(patience)
      await revoke(revocation, until === undefined ? timeout : AbortSignal.any([timeout, until]))
      this.#done(waiting, 'revoked')
    } catch (error) {
      if (error instanceof RevocationImpossible) return this.#done(waiting, 'abandoned')
      // A server that is overloaded says when it wants to be asked again (RFC 7009 §2.2.1).
      const { retryAfter = 0 } = Refusal.from(error)
      backOff.fail(clock(), Math.min(retryAfter * 1_000, retries[1]))
      this.#tell(waiting, 'failed')
    } finally {
      waiting.underWay = false
      this.#underWay -= 1
    }
  }

  #done(waiting: Waiting, result: RevocationEvent['result']): void {
    this.#waiting.delete(waiting)
    this.#tell(waiting, result)
    void this.#keep()
  }

  #tell({ revocation: { credential } }: Waiting, result: RevocationEvent['result']): void {
    this.#options.onEvent({ credential, result })
  }

  #take(revocations: readonly Revocation[]): void {
    for (const revocation of revocations)
      this.#waiting.add({ revocation, backOff: new BackOff(...retries, this.#options.random), underWay: false })
    this.#bound()
  }

  #bound(): void {
    const surplus = this.#waiting.size - mostRevocations
    if (surplus <= 0) return
    const byExpiry = [...this.#waiting].sort((one, other) => one.revocation.until - other.revocation.until)
    for (const waiting of byExpiry.slice(0, surplus)) {
      this.#waiting.delete(waiting)
      this.#tell(waiting, 'abandoned')
    }
  }

  #keep(): Promise<void> {
    const { file } = this.#options
    if (file !== undefined)
      this.#kept = this.#resumed.then(() => file.write(() => Array.from(this.#waiting, ({ revocation }) => revocation)))
    return this.#kept
  }
}
