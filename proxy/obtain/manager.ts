// Hands out leases of all credentials, and takes back at the end what was made.
import type { Signal } from '../exchange.ts'
import { Refusal } from '../refusal.ts'
import { type CacheOptions, type CredentialEvent, LeaseCache } from './lease-cache.ts'
import type { CredentialProvider, Credentials, Lease, Need } from './provider.ts'

export type { CredentialEvent } from './lease-cache.ts'

export interface ManagedCredential {
  readonly provider: CredentialProvider
  /** Milliseconds that a lease is kept which names no end; undefined: until its source is replaced. */
  readonly ttl: number | undefined
}

export interface ManagerOptions {
  /** Epoch milliseconds. */
  readonly clock: () => number
  /** From 0 to 1; spreads refreshes and retries. */
  readonly random?: () => number
  readonly onEvent?: (event: CredentialEvent) => void
  /** Milliseconds before its expiry from which on a lease is not handed out. */
  readonly skew?: number
  /** Milliseconds that a source may take. */
  readonly flightTimeout?: number
  /** Leases kept for each credential. */
  readonly capacity?: number
  /** Milliseconds that `close` may spend on taking tokens back. */
  readonly revokeTimeout?: number
}

/** Leases remembered in order to be taken back. */
export const mostMinted = 10_000
/** Revocations under way at once. */
const revokers = 16
/** Milliseconds that sources may take to end what must not be broken off, such as the spending of a refresh token. */
const longestFarewell = 10_000

interface Managed {
  readonly provider: CredentialProvider
  readonly cache: LeaseCache
}

export class CredentialManager implements Credentials {
  readonly #options: Omit<CacheOptions, 'onMinted'>
  readonly #revokeTimeout: number
  #managed: ReadonlyMap<string, Managed> = new Map()
  /** What sources made and can take back, oldest first. */
  readonly #minted = new Map<Lease, CredentialProvider>()
  #closed = false

  constructor(credentials: ReadonlyMap<string, ManagedCredential>, options: ManagerOptions) {
    this.#options = {
      clock: options.clock,
      random: options.random ?? Math.random,
      onEvent: options.onEvent ?? (() => {}),
      skew: options.skew ?? 5_000,
      flightTimeout: options.flightTimeout ?? 30_000,
      capacity: options.capacity ?? 4_096,
    }
    this.#revokeTimeout = options.revokeTimeout ?? 2_000
    this.replace(credentials)
  }

  /** Never throws; rejects with a Refusal. */
  obtain(credential: string, need: Need, signal: Signal): Lease | Promise<Lease> {
    const managed = this.#managed.get(credential)
    if (managed === undefined) return Promise.reject(this.#absent(credential))
    return managed.cache.obtain(need, signal)
  }

  /**
   * A refused lease is not handed out again before its source was asked. That happens once in ten seconds at first,
   * then ever more rarely, so that an upstream that refuses everything causes no storm of token calls.
   * @returns whether another can be had at once. The next `obtain` answers a lease whose `secret` is the same object
   *   where the source gave the same value: sending that again would be pointless.
   */
  refused(lease: Lease, need: Need): boolean {
    return this.#managed.get(lease.credential)?.cache.refused(lease, need) ?? false
  }

  /** Takes over another configuration. Credentials with the very same provider keep their leases; those of the others are taken back. */
  replace(credentials: ReadonlyMap<string, ManagedCredential>): void {
    const before = this.#managed
    const after = new Map<string, Managed>()
    for (const [name, { provider, ttl }] of credentials) {
      const known = before.get(name)
      after.set(name, known?.provider === provider ? known : this.#manage(name, provider, ttl))
    }
    this.#managed = after
    void this.#retire(
      [...before].filter(([name, managed]) => after.get(name) !== managed).map(([, managed]) => managed),
    )
  }

  /** Takes back what was made, as far as that goes in the time given. Nothing is obtained afterwards. */
  async close(): Promise<void> {
    this.#closed = true
    const managed = [...this.#managed.values()]
    this.#managed = new Map()
    await this.#retire(managed)
  }

  #manage(name: string, provider: CredentialProvider, ttl: number | undefined): Managed {
    const onMinted = (lease: Lease) => this.#remember(lease, provider)
    return { provider, cache: new LeaseCache(name, provider, ttl, { ...this.#options, onMinted }) }
  }

  #absent(credential: string): Refusal {
    return this.#closed
      ? new Refusal('shutting_down')
      : new Refusal('credential_unavailable', { detail: `no credential is called ${credential}` })
  }

  #remember(lease: Lease, provider: CredentialProvider): void {
    if (provider.revoke === undefined) return
    this.#minted.set(lease, provider)
    const now = this.#options.clock()
    for (const [oldest] of this.#minted) {
      if (!hasExpired(oldest, now) && this.#minted.size <= mostMinted) break
      this.#minted.delete(oldest)
    }
  }

  async #retire(managed: readonly Managed[]): Promise<void> {
    for (const { cache } of managed) cache.close()
    const providers = new Set(managed.map(({ provider }) => provider))
    await this.#revoke(this.#mintedBy(providers), AbortSignal.timeout(this.#revokeTimeout))
    await within(Promise.all(Array.from(providers, (provider) => provider.close?.())), longestFarewell)
  }

  #mintedBy(providers: ReadonlySet<CredentialProvider>): [Lease, CredentialProvider][] {
    const now = this.#options.clock()
    const theirs = [...this.#minted].filter(([, provider]) => providers.has(provider))
    for (const [lease] of theirs) this.#minted.delete(lease)
    return theirs.filter(([lease]) => !hasExpired(lease, now))
  }

  /** A few at once; what fails is left to expire. */
  async #revoke(leases: [Lease, CredentialProvider][], signal: AbortSignal): Promise<void> {
    const work = async () => {
      for (let next = leases.pop(); next !== undefined && !signal.aborted; next = leases.pop()) {
        const [lease, provider] = next
        await provider.revoke?.(lease, signal).catch(() => {})
      }
    }
    await within(Promise.all(Array.from({ length: revokers }, work)), this.#revokeTimeout)
  }
}

/** Waits for work that does not fail, but not for longer than that. */
async function within(work: Promise<unknown>, milliseconds: number): Promise<void> {
  const timer = Promise.withResolvers<void>()
  const timeout = setTimeout(timer.resolve, milliseconds)
  await Promise.race([work, timer.promise])
  clearTimeout(timeout)
}

function hasExpired({ expiresAt }: Lease, now: number): boolean {
  return expiresAt !== undefined && expiresAt <= now
}
