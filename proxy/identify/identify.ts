// Who is calling, and what proves it. Asks the attestors that the listener names, strongest first; a caller who cannot be told is refused.
import type { Caller, Captured, Connection, Identified, ProofKind, Signal } from '../exchange.ts'
import { type Reason, Refusal } from '../refusal.ts'
import { abortSignalOf } from '../withdrawal.ts'
import type { Attestor } from './attestor.ts'
import type { Delegations } from './delegation/delegations.ts'

/** The attestors of each listener, strongest first. An empty list means that nobody may call there. */
export type Attestors = ReadonlyMap<string, readonly Attestor[]>

interface Known {
  readonly caller: Caller
  readonly attestor: Attestor
  readonly epoch: number | undefined
}

/** A proof concerns a connection, so it is asked for once a connection; its end is looked at on every request. */
const known = new WeakMap<Connection, Known>()

/** Where the proof that ends is no certificate. */
const expired: Partial<Record<ProofKind, Reason>> = {
  'jwt-svid': 'jwt_svid_expired',
  'kubernetes-token': 'kubernetes_token_expired',
}

/** Proofs that come in Proxy-Authorization, so that a caller without a certificate may have one. */
const tokens: ReadonlySet<string> = new Set(['jwt-svid', 'kubernetes-token'])

/** @throws Refusal `unidentified_caller`, `svid_*`, `jwt_svid_*`, `kubernetes_*`, `chain_*`, `delegation_unknown` */
export function identify(
  captured: Captured,
  attestors: Attestors,
  delegations: Delegations,
  signal: Signal,
): Identified | Promise<Identified> {
  const caller = callerOf(captured.connection, attestors, captured.receivedAt, signal)
  return caller instanceof Promise
    ? caller.then((found) => identified(captured, found, delegations))
    : identified(captured, caller, delegations)
}

/** The caller of a connection, before any request on it. */
export function callerOf(
  connection: Connection,
  attestors: Attestors,
  now: number,
  signal: Signal,
): Caller | Promise<Caller> {
  const proved = known.get(connection)
  if (proved === undefined || proved.attestor.epoch !== proved.epoch)
    return attest(connection, attestors.get(connection.listener) ?? [], signal)
  const { caller } = proved
  if (caller.expiresAt !== undefined && caller.expiresAt <= now) {
    const [strongest = 'x509-svid'] = caller.proofs
    throw new Refusal(expired[strongest] ?? 'svid_expired', {
      detail: 'the proof that was given with the connection has expired',
    })
  }
  return caller
}

/** Whom a connection is served for: its caller, once that has been proved on it, else where it comes from. */
export function whoseTurn(connection: Connection): string {
  return known.get(connection)?.caller.id ?? connection.remoteAddress ?? `uid ${connection.peer?.uid}`
}

async function attest(connection: Connection, attestors: readonly Attestor[], signal: Signal): Promise<Caller> {
  for (const attestor of attestors) {
    const { epoch } = attestor
    const caller = await attestor.attest(connection, abortSignalOf(signal))
    if (caller === undefined) continue
    known.set(connection, { caller, attestor, epoch })
    return caller
  }
  const asksForCertificate = connection.accept === 'https-proxy' && !attestors.some(({ name }) => tokens.has(name))
  if (asksForCertificate && connection.peerCertificates.length === 0) throw new Refusal('svid_missing')
  const tried = attestors.map(({ name }) => name).join(', ')
  throw new Refusal('unidentified_caller', {
    detail: tried === '' ? 'the listener names no callers' : `no evidence for ${tried}`,
  })
}

/** Where no delegation is presented, an agent acts on its own grant and is its own principal. */
function identified(captured: Captured, caller: Caller, delegations: Delegations): Identified {
  const behalf = delegations.of(captured, caller)
  if (behalf !== undefined) return { ...captured, ...behalf }
  const { principal, chain } = own.get(caller) ?? actingForItself(caller)
  return { ...captured, caller, principal, chain }
}

/** What a caller is by itself, made once for each. */
const own = new WeakMap<Caller, Pick<Identified, 'principal' | 'chain'>>()

function actingForItself(caller: Caller): Pick<Identified, 'principal' | 'chain'> {
  const made = { principal: { kind: 'agent', id: caller.id }, chain: { depth: 0, hops: [] } } as const
  own.set(caller, made)
  return made
}
