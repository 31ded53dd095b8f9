// The public keys of an issuer, kept between callers: read anew when they are old or one is asked for that is not among them.
import type { JWK } from 'jose'

export interface KeySetOptions {
  /** Reads the JSON of the set (RFC 7517 §5); rejects with what is wrong, in time. */
  readonly read: () => Promise<string>
  /** Epoch milliseconds. */
  readonly now: () => number
  /** Told when it cannot be read; the keys of before go on for an hour. */
  readonly onProblem: (problem: Error) => void
}

/** After this the set is read again, so that a key that was withdrawn ends. Milliseconds. */
export const freshFor = 5 * 60_000
/** So long the keys of before serve while the set cannot be read. Milliseconds. */
export const keptFor = 3_600_000
/** A caller with an invented key ID cannot make us ask more often than this. Milliseconds. */
export const pause = 10_000

/** More is no set of signing keys. */
const mostKeys = 100

interface Held {
  readonly keys: readonly JWK[]
  readonly readAt: number
}

export class KeySet {
  readonly #options: KeySetOptions
  #held: Held | undefined
  #askedAt = Number.NEGATIVE_INFINITY
  #reading: Promise<void> | undefined

  constructor(options: KeySetOptions) {
    this.#options = options
  }

  /**
   * The keys among which that of a token is to be looked for.
   * @param keyId the one that it names; where it is not among them, they are as new as may be
   * @returns undefined when there are none to go by
   */
  async keysFor(keyId: string): Promise<readonly JWK[] | undefined> {
    const held = this.#held
    const known = held?.keys.some(({ kid }) => kid === keyId) === true && this.#since(held.readAt) < freshFor
    if (!known) await this.#renew()
    return this.#held !== undefined && this.#since(this.#held.readAt) < keptFor ? this.#held.keys : undefined
  }

  /** One reading at a time, whoever waits for it. */
  #renew(): Promise<void> {
    if (this.#reading !== undefined) return this.#reading
    if (this.#since(this.#askedAt) < pause) return Promise.resolve()
    this.#askedAt = this.#options.now()
    this.#reading = this.#read().finally(() => {
      this.#reading = undefined
    })
    return this.#reading
  }

  async #read(): Promise<void> {
    const { read, now, onProblem } = this.#options
    const readAt = now()
    try {
      this.#held = { keys: readKeySet(await read()), readAt }
    } catch (cause) {
      onProblem(new Error(`the key set: ${cause instanceof Error ? cause.message : String(cause)}`, { cause }))
    }
  }

  /** A clock that was set back makes everything old. */
  #since(at: number): number {
    const passed = this.#options.now() - at
    return passed < 0 ? Number.POSITIVE_INFINITY : passed
  }
}

/** @throws Error that says what is wrong with the set as a whole; a key that cannot be used is left out */
function readKeySet(text: string): readonly JWK[] {
  let set: unknown
  try {
    set = JSON.parse(text)
  } catch {
    throw new Error('it is not JSON')
  }
  if (typeof set !== 'object' || set === null || !('keys' in set) || !Array.isArray(set.keys))
    throw new Error('it has no list of keys')
  if (set.keys.length > mostKeys) throw new Error(`it has more than ${mostKeys} keys`)
  return set.keys.filter(isPublicKey)
}

function isPublicKey(value: unknown): value is JWK {
  if (typeof value !== 'object' || value === null) return false
  const { kty, kid, use, d }: Readonly<Record<string, unknown>> = { ...value }
  return (
    (kty === 'RSA' || kty === 'EC') &&
    typeof kid === 'string' &&
    kid !== '' &&
    (use === undefined || use === 'sig') &&
    // Whoever shows a private key has shown it to everybody.
    d === undefined
  )
}
