// Identity and trust from a SPIFFE Workload API (SPIRE's agent, or our own authority). Every message replaces the one before.
import { setTimeout as sleep } from 'node:timers/promises'
import type { JWK } from 'jose'
import { Changes } from '../changes.ts'
import type { SvidSource, TrustBundle, X509Svid } from '../source.ts'
import type { TrustDomain } from '../spiffe-id.ts'
import type { WorkloadApiAddress } from './address.ts'
import { CallError, status } from './call-error.ts'
import { throughGrpc } from './client.ts'
import type { WorkloadApiDoor } from './door.ts'
import { readJwtBundles } from './jwt-bundles.ts'
import { JwtSvids } from './jwt-svids.ts'
import { paths } from './proto.ts'
import { subscribe, type Wait } from './subscription.ts'
import { Trust } from './trust.ts'
import { readX509Context, type WorkloadIdentity, type X509Context } from './x509-context.ts'

export interface WorkloadApiSourceOptions extends DoorOptions {
  readonly address: WorkloadApiAddress
}

export interface DoorOptions {
  /** The trust domain that the own identity must be of; undefined: whatever the API gives. */
  readonly trustDomain: TrustDomain | undefined
  /** Which of several identities is to be used, by its hint; undefined: the first. */
  readonly hint?: string | undefined
  /** Epoch milliseconds. */
  readonly now: () => number
  /** Told of whatever goes wrong; what was there before stays, unless the API has taken it back. */
  readonly onProblem: (problem: Error) => void
  readonly wait?: Wait
  /** Milliseconds that `open` waits for the first answer; 3 seconds unless told. */
  readonly startWithin?: number
  /** Milliseconds that a stream may be silent at its beginning; 30 seconds unless told. */
  readonly firstMessageWithin?: number
  /** Milliseconds that a JWT-SVID may take; 5 seconds unless told. */
  readonly jwtWithin?: number
}

/** Timers stand still while a machine sleeps, and clocks are put right: how often, in milliseconds, the expiry is looked at. */
const lookEvery = 60_000

export class WorkloadApiSource implements SvidSource {
  readonly #door: WorkloadApiDoor
  readonly #options: DoorOptions
  readonly #wait: Wait
  readonly #changes = new Changes()
  readonly #jwtSvids: JwtSvids
  readonly #stopped = new AbortController()
  #expiry = new AbortController()
  #context: X509Context | undefined
  #jwtKeys: ReadonlyMap<TrustDomain, readonly JWK[]> = new Map()
  readonly #trust = new Trust()
  /** Why there is no context. */
  #absent = 'the Workload API has not answered yet'

  private constructor(door: WorkloadApiDoor, options: DoorOptions) {
    this.#door = door
    this.#options = options
    this.#wait = options.wait ?? untilTimeOrAbort
    const { trustDomain, now, jwtWithin = 5_000 } = options
    this.#jwtSvids = new JwtSvids({
      ask: (request) => door.ask(paths.jwtSvid, request, jwtWithin),
      trustDomain,
      now,
    })
  }

  /**
   * Subscribes, and waits for the first answer. Without one in time, or with one that gives no identity, the source is
   * there all the same: `svid()` throws the reason until an identity comes, and `updates` tells of it.
   */
  static open({ address, ...options }: WorkloadApiSourceOptions): Promise<WorkloadApiSource> {
    return WorkloadApiSource.through(throughGrpc(address), options)
  }

  /** The same, of an API that is reached in some other way. */
  static async through(door: WorkloadApiDoor, options: DoorOptions): Promise<WorkloadApiSource> {
    const source = new WorkloadApiSource(door, options)
    await source.#start(options.startWithin ?? 3_000)
    return source
  }

  svid(): X509Svid {
    const { hint, now } = this.#options
    if (this.#context === undefined) throw new Error(this.#absent)
    const { svid } = chosen(this.#context, hint)
    if (now() > svid.expiresAt) throw new Error('the identity has expired')
    return svid
  }

  bundle(trustDomain: TrustDomain): TrustBundle | undefined {
    return this.#trust.get(trustDomain)
  }

  async jwt(audience: readonly string[]): Promise<string> {
    const id = this.#context === undefined ? undefined : chosen(this.#context, this.#options.hint).svid.id
    return await this.#jwtSvids.token(audience, id)
  }

  /** All that the API gives this process, the one in use first; empty when it gives nothing. */
  get identities(): readonly WorkloadIdentity[] {
    const { hint } = this.#options
    const all = this.#context?.identities ?? []
    return hint === undefined ? all : all.toSorted((one, other) => rank(one, hint) - rank(other, hint))
  }

  /** Every bundle, the own domain's included. */
  get bundles(): readonly TrustBundle[] {
    return this.#trust.all
  }

  updates(signal: AbortSignal): AsyncIterable<void> {
    return this.#changes.since(signal)
  }

  close(): void {
    this.#stopped.abort()
    this.#expiry.abort()
  }

  async #start(within: number): Promise<void> {
    const { onProblem, firstMessageWithin = 30_000 } = this.#options
    const { signal } = this.#stopped
    const answered = new AbortController()
    void subscribe(
      {
        what: 'X.509-SVIDs',
        open: (until) => this.#door.follow(paths.x509Svid, until),
        take: (message) => this.#take(message),
        denied: (problem) => this.#withdraw(problem.message),
        onProblem,
        heard: (problem) => {
          if (problem !== undefined && this.#context === undefined) this.#absent = problem.message
          // An agent that starts beside us may not be there yet; every other answer is one.
          if (problem === undefined || !isUnavailable(problem)) answered.abort()
        },
        wait: this.#wait,
        firstMessageWithin,
      },
      signal,
    )
    void subscribe(
      {
        what: 'JWT bundles',
        open: (until) => this.#door.follow(paths.jwtBundles, until),
        take: (message) => this.#takeJwtKeys(readJwtBundles(message, this.#jwtKeys)),
        denied: () => this.#takeJwtKeys(new Map()),
        onProblem,
        heard: () => {},
        wait: this.#wait,
        firstMessageWithin,
      },
      signal,
    )
    await this.#wait(within, AbortSignal.any([signal, answered.signal]))
  }

  #take(message: Uint8Array): void {
    const context = readX509Context(message, this.#options.trustDomain, this.#context)
    this.#context = context
    this.#trust.setRoots(context.bundles)
    void this.#announceExpiry(context)
    this.#changes.announce()
  }

  #takeJwtKeys(keys: ReadonlyMap<TrustDomain, readonly JWK[]>): void {
    this.#jwtKeys = keys
    this.#trust.setKeys(keys)
    this.#changes.announce()
  }

  #withdraw(why: string): void {
    this.#absent = why
    this.#context = undefined
    this.#trust.setRoots(new Map())
    this.#jwtSvids.clear()
    this.#expiry.abort()
    this.#changes.announce()
  }

  /** Those who show the identity must learn that it is none any more, or is one again, though nothing has come. */
  async #announceExpiry({ identities }: X509Context): Promise<void> {
    this.#expiry.abort()
    this.#expiry = new AbortController()
    const { signal } = this.#expiry
    const { now } = this.#options
    const at = Math.min(...identities.map(({ svid }) => svid.expiresAt))
    let expired = now() > at
    while (!signal.aborted) {
      const left = at - now() + 1_000
      await this.#wait(left > 0 ? Math.min(left, lookEvery) : lookEvery, signal)
      if (signal.aborted || expired === now() > at) continue
      expired = !expired
      this.#changes.announce()
    }
  }
}

function chosen({ identities }: X509Context, hint: string | undefined): WorkloadIdentity {
  const found = hint === undefined ? identities[0] : identities.find((each) => each.hint === hint)
  if (found === undefined) throw new Error(`the Workload API gives no identity with the hint ${hint}`)
  return found
}

const rank = (identity: WorkloadIdentity, hint: string) => (identity.hint === hint ? 0 : 1)

const isUnavailable = ({ cause }: Error) => cause instanceof CallError && cause.status === status.unavailable

const untilTimeOrAbort: Wait = (milliseconds, signal) =>
  sleep(milliseconds, undefined, { signal }).catch(() => undefined)
