// Hands out leases of all credentials, and takes back at the end what was made.
import type { StopSubject } from '../../policy/stop/stop.ts'
import type { Signal } from '../exchange.ts'
import { Refusal } from '../refusal.ts'
import { type CacheOptions, type CredentialEvent, LeaseCache } from './lease-cache.ts'
import type { CredentialProvider, Credentials, Lease, Need } from './provider.ts'
import { RevocationFile } from './revocation-file.ts'
import { longestRevocation, type Revocation, type RevocationEvent, Revocations } from './revocations.ts'

export type { CredentialEvent } from './lease-cache.ts'
export type { RevocationEvent } from './revocations.ts'

export interface ManagedCredential {
  readonly provider: CredentialProvider
  /** Milliseconds that a lease is kept which names no end; undefined: until its source is replaced. */
  readonly ttl: number | undefined
  /** Names of the destinations that it may be sent to. */
  readonly destinations?: readonly string[]
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
  readonly onRevocation?: (event: RevocationEvent) => void
  /** File in which tokens that are still to be taken back survive the process; without it they do not. */
  readonly revocationFile?: string
  readonly onProblem?: (problem: Error) => void
}

/** What `drop` did. */
export interface Dropped {
  /** Cached leases that were forgotten, and those being made that will be refused. */
  readonly leases: number
  /** Tokens that are being taken back at their source. */
  readonly tokens: number
  /** Resolves when what is to be taken back would survive the process, as far as that is configured. Never rejects. */
  readonly kept: Promise<void>
}

/** Leases remembered in order to be taken back. */
export const mostMinted = 10_000
/** Revocations under way at once. */
const revokers = 16
/** Milliseconds that sources may take to end what must not be broken off, such as the spending of a refresh token. */
const longestFarewell = 10_000

/** Milliseconds that one attempt to take a token back may last. */
const revokePatience = 10_000

interface Managed {
  readonly provider: CredentialProvider
  readonly cache: LeaseCache
  readonly destinations: readonly string[]
}

interface Minted {
  readonly managed: Managed
  /** For whom it was made; undefined: for all. */
  readonly need: Need | undefined
}

export class CredentialManager implements Credentials {
  readonly #options: Omit<CacheOptions, 'onMinted' | 'onUnwanted'>
  readonly #revokeTimeout: number
  #managed: ReadonlyMap<string, Managed> = new Map()
  /** The same, and still there when all is closed. */
  #last: ReadonlyMap<string, Managed> = new Map()
  /** What sources made and can take back, oldest first. */
  readonly #minted = new Map<Lease, Minted>()
  readonly #revocations: Revocations
  /** Of a configuration before, and somebody still waits for a lease of theirs. */
  readonly #leaving = new Set<Managed>()
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
    const { revocationFile: path, onProblem = () => {} } = options
    this.#revocations = new Revocations({
      clock: options.clock,
      random: this.#options.random,
      revoke: (revocation, signal) => this.#takeBack(revocation, signal),
      onEvent: options.onRevocation ?? (() => {}),
      file: path === undefined ? undefined : new RevocationFile({ path, onProblem }),
      patience: revokePatience,
    })
    this.replace(credentials)
    this.#revocations.resume()
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

  /** Tokens that are still to be taken back. */
  get pendingRevocations(): number {
    return this.#revocations.pending
  }

  /**
   * Forgets at once what belongs to those who are stopped, and takes back at its source what was made for them, again
   * and again until that succeeds. Refuse new requests before, or they would have it made anew.
   * @param isStopped asked of each lease, once for each destination that it may be sent to. A lease that serves all
   *   belongs to no agent, principal or delegation: only its credential and destinations are told.
   */
  drop(isStopped: (subject: StopSubject) => boolean): Dropped {
    let leases = 0
    for (const [name, { cache, destinations }] of this.#managed)
      leases += cache.drop((need) => subjectsOf(name, destinations, need).some(isStopped))
    const unwanted: Revocation[] = []
    for (const [lease, minted] of this.#minted)
      if (subjectsOf(lease.credential, minted.managed.destinations, minted.need).some(isStopped))
        unwanted.push(...this.#forsake(lease, minted))
    return { leases, tokens: unwanted.length, kept: this.#revocations.add(unwanted) }
  }

  /**
   * Takes over another configuration. Credentials with the very same provider keep their leases; those of the others are
   * taken back, when those who wait for one have it.
   */
  replace(credentials: ReadonlyMap<string, ManagedCredential>): void {
    const before = this.#managed
    const after = new Map<string, Managed>()
    for (const [name, credential] of credentials) {
      const known = before.get(name)
      after.set(name, known?.provider === credential.provider ? known : this.#manage(name, credential))
    }
    this.#managed = after
    this.#last = after
    const gone = [...before].filter(([name, managed]) => after.get(name) !== managed).map(([, managed]) => managed)
    void this.#letGo(gone)
  }

  async #letGo(managed: readonly Managed[]): Promise<void> {
    for (const each of managed) this.#leaving.add(each)
    await Promise.all(managed.map(({ cache }) => cache.landed()))
    await this.#retire(managed.filter((each) => this.#leaving.delete(each)))
  }

  /** Takes back what was made, as far as that goes in the time given. Nothing is obtained afterwards. */
  async close(): Promise<void> {
    this.#closed = true
    const managed = [...this.#managed.values(), ...this.#leaving]
    this.#managed = new Map()
    this.#leaving.clear()
    const lastAttempts = this.#revocations.close(AbortSignal.timeout(this.#revokeTimeout))
    await Promise.all([within(lastAttempts, this.#revokeTimeout), this.#retire(managed)])
  }

  #manage(name: string, { provider, ttl, destinations = [] }: ManagedCredential): Managed {
    const cache = new LeaseCache(name, provider, ttl, {
      ...this.#options,
      onMinted: (lease, need) => this.#remember(lease, { managed, need }),
      onUnwanted: (lease) => {
        const minted = this.#minted.get(lease)
        if (minted !== undefined) void this.#revocations.add(this.#forsake(lease, minted))
      },
    })
    const managed: Managed = { provider, cache, destinations }
    return managed
  }

  #absent(credential: string): Refusal {
    return this.#closed
      ? new Refusal('shutting_down')
      : new Refusal('credential_unavailable', { detail: `no credential is called ${credential}` })
  }

  #remember(lease: Lease, minted: Minted): void {
    if (minted.managed.provider.revoke === undefined) return
    this.#minted.set(lease, minted)
    const now = this.#options.clock()
    for (const [oldest] of this.#minted) {
      if (!hasExpired(oldest, now) && this.#minted.size <= mostMinted) break
      this.#minted.delete(oldest)
    }
  }

  /** No longer to be taken back at the end, but now. */
  #forsake(lease: Lease, { managed }: Minted): Revocation[] {
    this.#minted.delete(lease)
    const now = this.#options.clock()
    const server = managed.provider.revokesAt
    if (server === undefined || hasExpired(lease, now)) return []
    const until = lease.expiresAt ?? now + longestRevocation
    return [{ credential: lease.credential, server, token: lease.secret, until }]
  }

  /** @throws when it could not be taken back where it comes from */
  async #takeBack({ credential, server, token }: Revocation, signal: AbortSignal): Promise<void> {
    const provider = this.#last.get(credential)?.provider
    // By a reload or restart the name may have come to mean another server, which must not see it.
    if (provider?.revoke === undefined || provider.revokesAt !== server)
      throw new Refusal('credential_unavailable', { detail: `${credential} is of another server now` })
    const { kind } = provider
    const lease = { credential, kind, secret: token, username: undefined, expiresAt: undefined, scopes: undefined }
    await provider.revoke({ ...lease, cache: 'hit' }, signal)
  }

  async #retire(managed: readonly Managed[]): Promise<void> {
    for (const { cache } of managed) cache.close()
    const providers = new Set(managed.map(({ provider }) => provider))
    await this.#revoke(this.#mintedBy(providers), AbortSignal.timeout(this.#revokeTimeout))
    await within(Promise.all(Array.from(providers, (provider) => provider.close?.())), longestFarewell)
  }

  #mintedBy(providers: ReadonlySet<CredentialProvider>): [Lease, CredentialProvider][] {
    const now = this.#options.clock()
    const theirs = [...this.#minted].filter(([, { managed }]) => providers.has(managed.provider))
    for (const [lease] of theirs) this.#minted.delete(lease)
    return theirs.flatMap(([lease, { managed }]) => (hasExpired(lease, now) ? [] : [[lease, managed.provider]]))
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

/** Whom a lease concerns, once for each destination that it may be sent to. */
function subjectsOf(credential: string, destinations: readonly string[], need: Need | undefined): StopSubject[] {
  const whose =
    need === undefined
      ? { agents: [], principal: { kind: 'nobody', id: '' }, txn: undefined, delegations: [] }
      : {
          agents: [
            need.caller.id,
            ...(need.caller.attested === undefined ? [] : [need.caller.attested]),
            ...need.chain.hops.map(({ id }) => id),
          ],
          principal: need.principal,
          txn: need.chain.txn,
          delegations: need.chain.hops.flatMap(({ jti }) => jti ?? []),
        }
  const subject = { ...whose, credential }
  return destinations.length === 0 ? [subject] : destinations.map((destination) => ({ ...subject, destination }))
}

function hasExpired({ expiresAt }: Lease, now: number): boolean {
  return expiresAt !== undefined && expiresAt <= now
}
