// What the embedded authority answers to each call of the Workload API, and to whom. How calls come is the business of others.
import { setTimeout as sleep } from 'node:timers/promises'
import { decodeJwt } from 'jose'
import { Changes } from '../changes.ts'
import type { EmbeddedAuthority } from '../embedded-authority.ts'
import { JwtSvidError } from '../jwt-svid/error.ts'
import { validateJwtSvid } from '../jwt-svid/validate.ts'
import type { TrustBundle, X509Svid } from '../source.ts'
import type { SpiffeId } from '../spiffe-id.ts'
import { CallError, status } from './call-error.ts'
import type { WorkloadApiDoor } from './door.ts'
import {
  jwtBundlesAnswer,
  jwtSvidAnswer,
  paths,
  readJwtSvidRequest,
  readValidateJwtSvidRequest,
  validateJwtSvidAnswer,
  x509BundlesAnswer,
  x509SvidAnswer,
} from './proto.ts'
import { ProtobufError } from './protobuf.ts'
import { matches, type Peer, type Registration } from './registration.ts'
import type { Wait } from './subscription.ts'

/** An identity that somebody gets. */
type Identity = Pick<Registration, 'id' | 'hint'>

/** The identities of whoever asks, as they are when it is called. */
type Entitled = () => readonly Identity[]

interface Message {
  readonly bytes: Uint8Array
  /** Epoch milliseconds. */
  readonly renewAt: number
}

interface Issued {
  readonly svid: X509Svid
  /** Epoch milliseconds. */
  readonly issuedAt: number
  readonly renewAt: number
}

/** Timers stand still while a machine sleeps, and clocks are put right: how often both are looked after, in milliseconds. */
const lookEvery = 10_000

export interface WorkloadServiceOptions {
  readonly authority: EmbeddedAuthority
  /** Epoch milliseconds. */
  readonly now: () => number
  readonly wait?: Wait
}

export class WorkloadService {
  readonly #authority: EmbeddedAuthority
  readonly #now: () => number
  readonly #wait: Wait
  readonly #changes = new Changes()
  readonly #stopped = new AbortController()
  readonly #svids = new Map<SpiffeId, Issued>()
  #registrations: readonly Registration[] = []
  #federated: readonly TrustBundle[] = []

  constructor({ authority, now, wait = untilTimeOrAbort }: WorkloadServiceOptions) {
    this.#authority = authority
    this.#now = now
    this.#wait = wait
    void this.#followAuthority()
  }

  /** Who gets what from now on, the default identity of a process first. Processes that get nothing any more are told at once. */
  register(registrations: readonly Registration[]): void {
    this.#registrations = registrations
    this.#changes.announce()
  }

  /** The bundles of other trust domains that everybody is given from now on. */
  federate(bundles: readonly TrustBundle[]): void {
    this.#federated = bundles.filter(({ trustDomain }) => trustDomain !== this.#authority.trustDomain)
    this.#changes.announce()
  }

  /** Issues a new X.509-SVID to everyone now. For new roots, rotate the authority. */
  renew(): void {
    this.#svids.clear()
    this.#changes.announce()
  }

  /** Ends every stream. */
  close(): void {
    this.#stopped.abort()
  }

  /** The door for this process itself, which needs no word of the kernel. */
  ownDoor(id: SpiffeId): WorkloadApiDoor {
    const entitled: Entitled = () => [{ id }]
    return {
      follow: (path, signal) => this.#follow(path, entitled, signal),
      ask: (path, request) => this.#ask(path, request, entitled),
    }
  }

  /**
   * Yields what holds now, and again whenever it changes or half of its life is gone. Who is slow gets the newest.
   * @throws CallError
   */
  follow(path: string, peer: Peer | undefined, signal: AbortSignal): AsyncIterable<Uint8Array> {
    return this.#follow(path, () => this.#identitiesOf(peer), signal)
  }

  /** @throws CallError */
  ask(path: string, request: Uint8Array, peer: Peer | undefined): Promise<Uint8Array> {
    return this.#ask(path, request, () => this.#identitiesOf(peer))
  }

  async #followAuthority(): Promise<void> {
    for await (const _ of this.#authority.updates(this.#stopped.signal)) this.renew()
  }

  async *#follow(path: string, entitled: Entitled, until: AbortSignal): AsyncGenerator<Uint8Array> {
    const answer = this.#streamOf(path)
    const signal = AbortSignal.any([until, this.#stopped.signal])
    while (!signal.aborted) {
      const changed = new AbortController()
      // Noted before the answer is made, so that nothing happens unseen in between.
      const change = this.#changes
        .since(AbortSignal.any([signal, changed.signal]))
        [Symbol.asyncIterator]()
        .next()
      const { bytes, renewAt } = answer(entitled())
      const waiting = change.then(() => changed.abort())
      try {
        yield bytes
        const due = this.#due(renewAt, AbortSignal.any([signal, changed.signal]))
        await Promise.race([waiting, due])
      } finally {
        changed.abort()
      }
    }
  }

  #streamOf(path: string): (identities: readonly Identity[]) => Message {
    switch (path) {
      case paths.x509Svid:
        return (identities) => this.#x509Svids(identities)
      case paths.x509Bundles:
        return () => this.#x509Bundles()
      case paths.jwtBundles:
        return () => this.#jwtBundles()
      default:
        throw new CallError(status.unimplemented, 'there is no such stream')
    }
  }

  async #ask(path: string, request: Uint8Array, entitled: Entitled): Promise<Uint8Array> {
    try {
      switch (path) {
        case paths.jwtSvid:
          return await this.#jwtSvids(request, entitled())
        case paths.validateJwtSvid:
          entitled()
          return await this.#validateJwtSvid(request)
        default:
          throw new CallError(status.unimplemented, 'there is no such call')
      }
    } catch (error) {
      if (error instanceof ProtobufError || error instanceof JwtSvidError)
        throw new CallError(status.invalidArgument, error.message, error)
      throw error
    }
  }

  #x509Svids(identities: readonly Identity[]): Message {
    const { x509Authorities, revocationLists = [] } = this.#authority.bundle()
    const bundle = Buffer.concat(x509Authorities)
    const own = identities.map(({ id, hint = '' }) => ({ ...this.#svidOf(id), hint }))
    const bytes = x509SvidAnswer({
      svids: own.map(({ svid, hint }) => ({
        spiffeId: svid.id,
        certificates: Buffer.concat(svid.chain),
        key: svid.key.export({ type: 'pkcs8', format: 'der' }),
        bundle,
        hint,
      })),
      revocationLists: [...revocationLists, ...this.#federated.flatMap(({ revocationLists = [] }) => revocationLists)],
      federatedBundles: rootsOf(this.#federated),
    })
    return { bytes, renewAt: Math.min(...own.map(({ renewAt }) => renewAt)) }
  }

  #x509Bundles(): Message {
    const all = this.#bundles()
    const lists = all.flatMap(({ revocationLists = [] }) => revocationLists)
    return { bytes: x509BundlesAnswer(rootsOf(all), lists), renewAt: Number.POSITIVE_INFINITY }
  }

  #jwtBundles(): Message {
    const documents = this.#bundles().flatMap(({ trustDomain, jwtAuthorities }) =>
      jwtAuthorities === undefined
        ? []
        : [[`spiffe://${trustDomain}`, Buffer.from(JSON.stringify({ keys: jwtAuthorities }))] as const],
    )
    return { bytes: jwtBundlesAnswer(new Map(documents)), renewAt: Number.POSITIVE_INFINITY }
  }

  async #jwtSvids(request: Uint8Array, identities: readonly Identity[]): Promise<Uint8Array> {
    const { audience, spiffeId } = readJwtSvidRequest(request)
    if (audience.length === 0) throw new CallError(status.invalidArgument, 'an audience is needed')
    const own = identities.filter(({ id }) => spiffeId === '' || id === spiffeId)
    if (own.length === 0) throw new CallError(status.permissionDenied, 'this process has no such identity')
    return jwtSvidAnswer(
      await Promise.all(
        own.map(async ({ id, hint = '' }) => ({
          spiffeId: id,
          token: await this.#authority.issueJwt(id, audience),
          hint,
        })),
      ),
    )
  }

  async #validateJwtSvid(request: Uint8Array): Promise<Uint8Array> {
    const { audience, token } = readValidateJwtSvidRequest(request)
    if (audience === '') throw new CallError(status.invalidArgument, 'an audience is needed')
    const bundles = this.#bundles()
    const { id } = await validateJwtSvid({
      token,
      audience,
      bundleFor: (domain) => bundles.find(({ trustDomain }) => trustDomain === domain),
      now: this.#now(),
    })
    return validateJwtSvidAnswer(id, decodeJwt(token))
  }

  #bundles(): readonly TrustBundle[] {
    return [this.#authority.bundle(), ...this.#federated]
  }

  #identitiesOf(peer: Peer | undefined): readonly Identity[] {
    const own = this.#registrations.filter((registration) => matches(registration, peer))
    if (own.length === 0) throw new CallError(status.permissionDenied, 'this process has no identity')
    return own
  }

  #svidOf(id: SpiffeId): Issued {
    const now = this.#now()
    const known = this.#svids.get(id)
    // A clock that was put back makes what was issued by it a certificate of tomorrow.
    if (known !== undefined && now < known.renewAt && now >= known.issuedAt - lookEvery) return known
    const svid = this.#authority.issue(id)
    const fresh = { svid, issuedAt: now, renewAt: now + (svid.expiresAt - now) / 2 }
    this.#svids.set(id, fresh)
    return fresh
  }

  /** Resolves when it is time to renew, or the clock has been put back. */
  async #due(renewAt: number, signal: AbortSignal): Promise<void> {
    let before = this.#now()
    while (!signal.aborted) {
      const now = this.#now()
      if (now >= renewAt || now < before - lookEvery) return
      before = now
      await this.#wait(Math.min(Math.max(renewAt - now, 100), lookEvery), signal)
    }
  }
}

function rootsOf(bundles: readonly TrustBundle[]): ReadonlyMap<string, Uint8Array> {
  return new Map(
    bundles
      .filter(({ x509Authorities }) => x509Authorities.length > 0)
      .map(({ trustDomain, x509Authorities }) => [`spiffe://${trustDomain}`, Buffer.concat(x509Authorities)]),
  )
}

const untilTimeOrAbort: Wait = (milliseconds, signal) =>
  sleep(milliseconds, undefined, { signal, ref: false }).catch(() => undefined)
