// The leases of one credential: cached by partition, one flight at a time, refreshed ahead of expiry, left alone after a failure.
import type { Signal } from '../exchange.ts'
import { Refusal } from '../refusal.ts'
import { BackOff } from './back-off.ts'
import type { CredentialProvider, Lease, Need } from './provider.ts'

export interface CredentialEvent {
  readonly credential: string
  /** The kind of the provider. */
  readonly provider: string
  /**
   * `hit`: a request was served from the cache; `miss`: it was not; `refresh`: the source was asked ahead of expiry,
   * behind a request; `failure`: the source was asked and gave nothing of use; `crowded`: a miss that may not wait, since
   * too many do.
   */
  readonly result: 'hit' | 'miss' | 'refresh' | 'failure' | 'crowded'
}

export interface CacheOptions {
  /** Epoch milliseconds. */
  readonly clock: () => number
  /** From 0 to 1. */
  readonly random: () => number
  readonly onEvent: (event: CredentialEvent) => void
  /** A lease is not handed out any more this long before it expires, since the request has a way to go. Milliseconds. */
  readonly skew: number
  /** How long the source may take. Milliseconds. */
  readonly flightTimeout: number
  /** Leases kept for each credential; the one longest unused goes first. */
  readonly capacity: number
  /** Told of each lease that the source made, and for whom; undefined: for all. */
  readonly onMinted: (lease: Lease, need: Need | undefined) => void
  /** Told of one that is not wanted any more: what it was for was stopped while it was made. */
  readonly onUnwanted: (lease: Lease) => void
}

/** Requests that wait for leases of one credential at once. Each caller has a bound of its own, but there are many callers. */
export const mostWaiting = 4_096

/** Milliseconds. A source that fails is asked again after the first, then after twice as long, up to the second. */
const failurePatience = [1_000, 60_000] as const
/** The same for what the upstream refuses: it may refuse for reasons that no new lease mends. */
const refusalPatience = [10_000, 600_000] as const
/** Clocks are put right by some milliseconds all the time; that ends no lease. */
const clockLeeway = 5_000
/** What a source may ask for at most. Milliseconds. */
const longestRetryAfter = 300_000

interface Entry {
  readonly key: string
  /** As handed out on a hit. */
  lease: Lease | undefined
  /** For whom the lease was made; undefined: for all. */
  madeFor: Need | undefined
  /** Epoch milliseconds; so are the next two. */
  madeAt: number
  usableUntil: number
  refreshAt: number
  /** The upstream refused it; it serves only if no other can be had. */
  suspect: boolean
  flight: Promise<Lease> | undefined
  flyingFor: Need | undefined
  /** Nothing of it is handed out any more, whoever waits for it. */
  dropped: boolean
  failure: Refusal | undefined
  readonly failures: BackOff
  readonly refusals: BackOff
}

export class LeaseCache {
  readonly #provider: CredentialProvider
  readonly #ttl: number | undefined
  readonly #options: CacheOptions
  /** In the order of last use. */
  readonly #entries = new Map<string, Entry>()
  /** Those whose source is being asked, also when they have left the others. */
  readonly #flying = new Set<Entry>()
  #waiting = 0
  readonly #closing = new AbortController()
  // Made once: an event for each request must cost nothing.
  readonly #events: Readonly<Record<CredentialEvent['result'], CredentialEvent>>

  constructor(credential: string, provider: CredentialProvider, ttl: number | undefined, options: CacheOptions) {
    this.#provider = provider
    this.#ttl = ttl
    this.#options = options
    const event = (result: CredentialEvent['result']) => ({ credential, provider: provider.kind, result })
    this.#events = {
      hit: event('hit'),
      miss: event('miss'),
      refresh: event('refresh'),
      failure: event('failure'),
      crowded: event('crowded'),
    }
    provider.watch?.(() => this.#entries.clear())
  }

  /** A lease that is valid now; synchronous when cached. Never throws; rejects with a Refusal. */
  obtain(need: Need, signal: Signal): Lease | Promise<Lease> {
    const now = this.#options.clock()
    const entry = this.#entry(this.#provider.partition(need))
    const { lease } = entry
    if (lease !== undefined && isUsable(entry, now) && !entry.suspect) {
      if (now >= entry.refreshAt && entry.flight === undefined && entry.failures.isOver(now)) {
        this.#options.onEvent(this.#events.refresh)
        this.#fly(entry, need)
      }
      this.#options.onEvent(this.#events.hit)
      return lease
    }
    this.#options.onEvent(this.#events.miss)
    if (entry.flight === undefined && !entry.failures.isOver(now)) return Promise.reject(refusalAgain(entry, now))
    // Whoever is cut already must not have anything made for it.
    if (signal.aborted) return Promise.reject(abandoned(signal))
    if (this.#waiting >= mostWaiting) {
      this.#options.onEvent(this.#events.crowded)
      return Promise.reject(crowded())
    }
    this.#waiting += 1
    return waitFor(entry.flight ?? this.#fly(entry, need), signal).finally(() => {
      this.#waiting -= 1
    })
  }

  /** @returns whether asking again would give another lease, or the same after its source confirmed it */
  refused(lease: Lease, need: Need): boolean {
    const now = this.#options.clock()
    const entry = this.#entries.get(this.#provider.partition(need))
    // Gone, or replaced by a newer one, which nobody has refused yet.
    if (entry === undefined || entry.lease?.secret !== lease.secret) return true
    if (entry.suspect) return entry.failures.isOver(now)
    if (!entry.refusals.isOver(now) || !entry.failures.isOver(now)) return false
    entry.refusals.fail(now)
    entry.suspect = true
    return true
  }

  /**
   * Forgets what belongs to those who are stopped, at once. What is being made for them is refused when it is there.
   * @param isStopped asked of each need that a lease is or was made for; undefined: one that serves all
   * @returns how many
   */
  drop(isStopped: (need: Need | undefined) => boolean): number {
    const concerned = new Set<Entry>()
    for (const entry of this.#entries.values())
      if (entry.lease !== undefined && isStopped(entry.madeFor)) concerned.add(entry)
    for (const entry of this.#flying) if (isStopped(entry.flyingFor)) concerned.add(entry)
    for (const entry of concerned) {
      entry.dropped = true
      entry.lease = undefined
      if (this.#entries.get(entry.key) === entry) this.#entries.delete(entry.key)
    }
    return concerned.size
  }

  /** Resolves when the source is not being asked any more: each flight has an end of its own. */
  async landed(): Promise<void> {
    await Promise.allSettled(Array.from(this.#flying, ({ flight }) => flight))
  }

  /** Ends flights, forgets leases. */
  close(): void {
    this.#closing.abort(new Refusal('shutting_down'))
    this.#entries.clear()
  }

  #entry(key: string): Entry {
    const known = this.#entries.get(key)
    if (known !== undefined) {
      if (this.#entries.size > 1) {
        this.#entries.delete(key)
        this.#entries.set(key, known)
      }
      return known
    }
    const { capacity, random } = this.#options
    const entry: Entry = {
      key,
      lease: undefined,
      madeFor: undefined,
      madeAt: 0,
      usableUntil: 0,
      refreshAt: 0,
      suspect: false,
      flight: undefined,
      flyingFor: undefined,
      dropped: false,
      failure: undefined,
      failures: new BackOff(...failurePatience, random),
      refusals: new BackOff(...refusalPatience, random),
    }
    this.#entries.set(key, entry)
    if (this.#entries.size > capacity) {
      const [oldest = key] = this.#entries.keys()
      this.#entries.delete(oldest)
    }
    return entry
  }

  /** Asks the source once, for all who wait. Whoever stops waiting does not stop the flight: the others, and the cache, want it. */
  #fly(entry: Entry, need: Need): Promise<Lease> {
    const had = entry.lease !== undefined
    entry.flyingFor = entry.key === '' ? undefined : need
    this.#flying.add(entry)
    const flight = this.#ask(entry, need).then(
      (lease) => this.#landed(entry, lease, had),
      (error) => this.#crashed(entry, error),
    )
    // A refresh behind a request has nobody who waits; its failure is kept in the entry.
    flight.catch(() => {})
    entry.flight = flight
    return flight
  }

  async #ask(entry: Entry, need: Need): Promise<Lease> {
    const { clock, flightTimeout } = this.#options
    const startedAt = clock()
    const timeout = AbortSignal.timeout(flightTimeout)
    const signal = AbortSignal.any([timeout, this.#closing.signal])
    const lease = await Promise.race([this.#provider.obtain(need, signal), ended(signal, timeout, flightTimeout)])
    this.#options.onMinted(lease, entry.flyingFor)
    if (entry.dropped) {
      this.#options.onUnwanted(lease)
      throw stopped()
    }
    const expiresAt = lease.expiresAt ?? (this.#ttl === undefined ? undefined : startedAt + this.#ttl)
    if (expiresAt !== undefined && expiresAt <= clock())
      throw new Refusal('credential_unavailable', { detail: 'the source gave a credential that has expired' })
    return { ...lease, expiresAt }
  }

  #landed(entry: Entry, fresh: Lease, had: boolean): Lease {
    if (entry.dropped) {
      this.#ended(entry)
      throw stopped()
    }
    const now = this.#options.clock()
    const before = entry.lease
    // The same value stays the same Secret, so that whoever holds both can tell without looking into them.
    const same = before !== undefined && before.secret.reveal() === fresh.secret.reveal()
    const lease: Lease = { ...fresh, secret: same ? before.secret : fresh.secret, cache: 'hit' }
    entry.lease = lease
    entry.madeFor = entry.flyingFor
    entry.suspect = false
    this.#ended(entry)
    entry.failure = undefined
    entry.failures.reset()
    const life = lease.expiresAt === undefined ? Number.POSITIVE_INFINITY : lease.expiresAt - now
    entry.madeAt = now
    // A life shorter than the skew would otherwise be over before it began.
    entry.usableUntil = now + life - Math.min(this.#options.skew, life / 2)
    // 70 to 80 % of its life: spread, or all that was made together would be made again together.
    entry.refreshAt = Math.min(entry.usableUntil, now + life * (0.7 + this.#options.random() * 0.1))
    return { ...lease, cache: had ? 'refresh' : 'miss' }
  }

  #crashed(entry: Entry, error: unknown): Lease {
    this.#options.onEvent(this.#events.failure)
    const now = this.#options.clock()
    const refusal = Refusal.from(error)
    this.#ended(entry)
    entry.failure = refusal
    entry.failures.fail(now, Math.min((refusal.retryAfter ?? 0) * 1000, longestRetryAfter))
    if (entry.lease === undefined || !isUsable(entry, now)) throw refusalAgain(entry, now)
    // It holds until it expires, whatever becomes of its source.
    entry.suspect = false
    return entry.lease
  }

  #ended(entry: Entry): void {
    entry.flight = undefined
    entry.flyingFor = undefined
    this.#flying.delete(entry)
  }
}

/** When the clock has been put back, the end of what was made before lies too far ahead. */
function isUsable({ madeAt, usableUntil }: Entry, now: number): boolean {
  return now < usableUntil && now >= madeAt - clockLeeway
}

function refusalAgain({ failure, failures }: Entry, now: number): Refusal {
  const reason = failure?.reason ?? 'credential_unavailable'
  return new Refusal(reason, {
    ...(failure?.detail === undefined ? {} : { detail: failure.detail }),
    ...(failure === undefined || failure.findings.length === 0 ? {} : { findings: failure.findings }),
    // Neither consent nor a scope comes by waiting.
    ...(reason === 'consent_required' || reason === 'scope_not_granted'
      ? {}
      : { retryAfter: Math.max(1, Math.ceil((failures.until - now) / 1000)) }),
    cause: failure,
  })
}

/** Rejects when the flight is over before the source has answered, whether the source heeds its signal or not. */
function ended(signal: AbortSignal, timeout: AbortSignal, patience: number): Promise<never> {
  return new Promise((_, reject) => {
    const give = () =>
      reject(
        timeout.aborted
          ? new Refusal('credential_unavailable', { detail: `the source did not answer within ${patience} ms` })
          : signal.reason,
      )
    if (signal.aborted) give()
    else signal.addEventListener('abort', give, { once: true })
  })
}

function waitFor(flight: Promise<Lease>, signal: Signal): Promise<Lease> {
  return new Promise((resolve, reject) => {
    const abandon = () => reject(abandoned(signal))
    if (signal.aborted) return abandon()
    signal.addEventListener('abort', abandon)
    const stopListening = () => signal.removeEventListener('abort', abandon)
    flight.then(
      (lease) => {
        stopListening()
        resolve(lease)
      },
      (error) => {
        stopListening()
        reject(error)
      },
    )
  })
}

function abandoned({ reason }: Signal): Refusal {
  return reason instanceof Refusal ? reason : new Refusal('client_gone', { cause: reason })
}

function crowded(): Refusal {
  return new Refusal('credential_unavailable', { detail: 'too many wait for this credential', retryAfter: 1 })
}

function stopped(): Refusal {
  return new Refusal('credential_unavailable', { detail: 'what it was for was stopped while it was made' })
}
