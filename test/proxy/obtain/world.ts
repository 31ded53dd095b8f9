// What the tests of this room have in common: a need, a clock that is set by hand, a provider that does as it is told.
import { setMaxListeners } from 'node:events'
import { parseSpiffeId } from '../../../certs/spiffe-id.ts'
import type { Destination, HostName } from '../../../proxy/exchange.ts'
import type { CredentialProvider, Lease, Need } from '../../../proxy/obtain/provider.ts'
import { type Reason, Refusal } from '../../../proxy/refusal.ts'
import { Secret } from '../../../proxy/secret.ts'

/** Of a request that nobody cuts; a thousand may wait on it. */
export const never = new AbortController().signal
setMaxListeners(0, never)

export function needOf(caller = 'spiffe://acme.example/ns/agents/sa/researcher'): Need {
  const id = parseSpiffeId(caller)
  return {
    caller: { id, proofs: ['x509-svid'] },
    principal: { kind: 'agent', id },
    chain: { depth: 0, hops: [] },
    destination,
  }
}

/** Of the last of some agents that a user's right was handed along; each holds the scopes given. */
export function delegatedNeed(user: string, ...hops: readonly (readonly [agent: string, scopes: readonly string[]])[]) {
  const parsed = hops.map(([agent, scopes], index) => ({ id: parseSpiffeId(agent), scopes, jti: `${user}-${index}` }))
  const last = parsed.at(-1)
  if (last === undefined) throw new Error('a chain has at least one hop')
  const need = {
    caller: { id: last.id, proofs: ['x509-svid'] },
    principal: { kind: 'user', id: user, token: new Secret('user token', `token of ${user}`) },
    chain: { depth: parsed.length - 1, hops: parsed, txn: `txn of ${user}` },
    destination,
  } satisfies Need
  return need
}

const destination: Destination = {
  name: 'crm',
  hosts: ['api.crm.example' as HostName],
  protocol: 'https',
  ports: [443],
  addresses: [],
  ca: [],
  echo: 'redact',
  timeouts: { connect: 1_000, headers: 1_000, idle: 1_000 },
}

/** A clock that stands still until it is moved. */
export class HandClock {
  now = Date.UTC(2026, 0, 1)
  readonly read = (): number => this.now

  forward(milliseconds: number): void {
    this.now += milliseconds
  }
}

/** Hands out numbered secrets, each good for as long as `life` says; answers when it is told to. */
export class CountingProvider implements CredentialProvider {
  readonly kind = 'counting'
  revokesAt = 'https://login.example'
  readonly clock: HandClock
  calls = 0
  /** Milliseconds; undefined: no end. */
  life: number | undefined = 60_000
  failure: Error | undefined
  /** Answers wait for this. */
  gate: Promise<void> = Promise.resolve()
  byCaller = false
  readonly revoked: string[] = []
  /** Taking back fails with this. */
  revokeFailure: Error | undefined
  revokeAttempts = 0
  revokeGate: Promise<void> = Promise.resolve()
  readonly signals: AbortSignal[] = []
  closed = false
  changed: (() => void) | undefined
  /** What the next secret is; a number otherwise. */
  constant: string | undefined

  constructor(clock: HandClock) {
    this.clock = clock
  }

  partition(need: Need): string {
    return this.byCaller ? need.caller.id : ''
  }

  async obtain(_need: Need, signal: AbortSignal): Promise<Lease> {
    this.calls += 1
    this.signals.push(signal)
    const value = this.constant ?? `value-${this.calls}`
    await this.gate
    if (this.failure !== undefined) throw this.failure
    return {
      credential: 'counted',
      kind: this.kind,
      secret: new Secret('counted', value),
      username: undefined,
      expiresAt: this.life === undefined ? undefined : this.clock.now + this.life,
      scopes: undefined,
      cache: 'miss',
    }
  }

  async revoke(lease: Lease): Promise<void> {
    this.revokeAttempts += 1
    await this.revokeGate
    if (this.revokeFailure !== undefined) throw this.revokeFailure
    this.revoked.push(lease.secret.reveal())
  }

  watch(changed: () => void): void {
    this.changed = changed
  }

  close(): void {
    this.closed = true
  }
}

/** A gate that opens when it is told to. */
export function gate(): { readonly closed: Promise<void>; open(): void } {
  const { promise, resolve } = Promise.withResolvers<void>()
  return { closed: promise, open: resolve }
}

/** Waits for the refusal that is expected; anything else fails the test. */
export async function refusalOf(work: unknown): Promise<Refusal> {
  try {
    await work
  } catch (error) {
    if (error instanceof Refusal) return error
    throw error
  }
  throw new Error('nothing was refused')
}

export async function reasonOf(work: unknown): Promise<Reason> {
  return (await refusalOf(work)).reason
}
