// How often a rule may allow: a bucket of permits for each rule, or each agent of a rule, that refills evenly.

/** `60/minute per agent`. */
export const limitPattern = /^([1-9][0-9]{0,5})\/(second|minute|hour|day) per (agent|rule)$/

const windows = { second: 1_000, minute: 60_000, hour: 3_600_000, day: 86_400_000 } as const

export interface Limit {
  readonly text: string
  /** Permits in a full bucket, and refilled in a window. */
  readonly count: number
  /** Milliseconds. */
  readonly window: number
  readonly per: 'agent' | 'rule'
}

/** @throws Error when the text is not a limit */
export function parseLimit(text: string): Limit {
  const [, count = '', unit = '', per] = limitPattern.exec(text) ?? []
  const window = Object.entries(windows).find(([name]) => name === unit)?.[1]
  if (window === undefined) throw new Error(`not a limit: ${text}`)
  return { text, count: Number(count), window, per: per === 'agent' ? 'agent' : 'rule' }
}

/** Agents that one rule counts for; with more of them active at once, further ones wait. */
export const maxBuckets = 10_000

/** What is missing to a whole permit by no more than this is not missing. */
const rounding = 1e-6

interface Bucket {
  permits: number
  /** Epoch milliseconds at which `permits` was right. */
  at: number
}

/** The buckets of one rule, the longest unused first. */
export class Limiter {
  readonly limit: Limit
  readonly #buckets = new Map<string, Bucket>()
  readonly #most: number

  constructor(limit: Limit, most = maxBuckets) {
    this.limit = limit
    this.#most = most
  }

  /** Takes a permit. @returns 0 when there was one, else the whole seconds until there will be */
  take(agent: string, now: number): number {
    const key = this.limit.per === 'agent' ? agent : ''
    const bucket = this.#bucket(key, now)
    if (bucket === undefined) return this.#untilRoom(now)
    const wait = this.#wait(bucket)
    if (wait === 0) bucket.permits -= 1
    return wait
  }

  get size(): number {
    return this.#buckets.size
  }

  #bucket(key: string, now: number): Bucket | undefined {
    const known = this.#buckets.get(key)
    if (known === undefined) {
      if (this.#buckets.size >= this.#most && !this.#makeRoom(now)) return undefined
      const full = { permits: this.limit.count, at: now }
      this.#buckets.set(key, full)
      return full
    }
    this.#refill(known, now)
    if (this.#buckets.size > 1) {
      this.#buckets.delete(key)
      this.#buckets.set(key, known)
    }
    return known
  }

  /** A clock that was set back gives nothing and takes nothing. */
  #refill(bucket: Bucket, now: number): void {
    const passed = Math.max(0, now - bucket.at)
    bucket.permits = Math.min(this.limit.count, bucket.permits + (passed * this.limit.count) / this.limit.window)
    bucket.at = now
  }

  #wait(bucket: Bucket): number {
    const missing = 1 - bucket.permits - rounding
    return missing <= 0 ? 0 : Math.max(1, Math.ceil((missing * this.limit.window) / this.limit.count / 1_000))
  }

  /** A bucket that is full again says no more than none; one that is not is never forgotten. */
  #makeRoom(now: number): boolean {
    const oldest = this.#buckets.entries().next().value
    if (oldest === undefined || now - oldest[1].at < this.limit.window) return false
    return this.#buckets.delete(oldest[0])
  }

  #untilRoom(now: number): number {
    const oldest = this.#buckets.values().next().value
    const left = oldest === undefined ? 0 : this.limit.window - (now - oldest.at)
    return Math.max(1, Math.ceil(left / 1_000))
  }
}
