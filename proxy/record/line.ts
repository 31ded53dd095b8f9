// The canonical record: one closed shape, made by a pure function from how an exchange ended.
import type { z } from 'zod'
import { trustDomainOf } from '../../certs/spiffe-id.ts'
import type { Shadow } from '../../policy/engine.ts'
import type {
  Authorized,
  Caller,
  Chain,
  Connection,
  Destination,
  FailedConnection,
  Finding,
  Outcome,
  Principal,
  Reached,
} from '../exchange.ts'
import type { Lease } from '../obtain/provider.ts'
import type { Refusal } from '../refusal.ts'
import type { Secret } from '../secret.ts'
import { lasting } from './line-text.ts'
import { queryKeys } from './query-keys.ts'
import type { auditRecord } from './schema.ts'

/** Field names and meanings: `schema.ts`. Absent fields may stand as undefined, so that every record has one shape in memory. */
export type AuditRecord = z.infer<typeof auditRecord>

/** What a record says that the exchange itself does not know. */
export interface RecordContext {
  readonly policyVersion: string
  readonly fingerprint: (secret: Secret) => string
  /** How a rule's credential is written, as the placement calls itself. */
  readonly placementOf: (rule: string) => string | undefined
}

export const longestPath = 4_096
export const longestText = 1_024

/** The record of an exchange that has ended, or of a connection that never became one. */
export function recordOf(outcome: Outcome | FailedConnection, context: RecordContext): AuditRecord {
  return outcome.kind === 'connection' ? ofConnection(outcome, context) : ofExchange(outcome, context)
}

/** The record of a request that is allowed and about to leave. */
export function intentOf(exchange: Authorized, context: RecordContext): AuditRecord {
  return {
    v: 1,
    time: iso(exchange.receivedAt),
    id: exchange.id,
    kind: 'intent',
    listener: exchange.connection.listener,
    connection: connectionOf(exchange.connection),
    caller: callerOf(exchange.caller),
    principal: principalOf(exchange),
    txn: exchange.chain.txn,
    chain: chainOf(exchange.chain),
    destination: destinationOf(exchange, undefined),
    request: requestOf(exchange, undefined),
    decision: allowed(exchange, context.policyVersion),
    credential: exchange.grant.credential === undefined ? undefined : { name: exchange.grant.credential },
  }
}

/** The record that stands for records which could not be written. */
export function gapOf(id: string, now: number, lost: number): AuditRecord {
  return { v: 1, time: iso(now), id, kind: 'gap', lost }
}

function ofExchange(outcome: Outcome, context: RecordContext): AuditRecord {
  const { exchange, refusal, answer, bytes, spent } = outcome
  const lease = exchange.lease
  return {
    v: 1,
    time: iso(exchange.receivedAt),
    id: exchange.id,
    kind: outcome.kind,
    outcome: outcomeOf(refusal, outcome.ended),
    listener: exchange.connection.listener,
    connection: connectionOf(exchange.connection),
    caller: callerOf(exchange.caller),
    principal: principalOf(exchange),
    txn: exchange.chain?.txn,
    chain: chainOf(exchange.chain),
    destination: destinationOf(exchange, answer),
    request: requestOf(exchange, bytes.received),
    decision: decisionOf(outcome, context.policyVersion),
    budgets: budgetsOf(exchange),
    credential: lease === undefined ? wanted(exchange) : credentialOf(lease, exchange.receivedAt, context),
    injected: injectedOf(exchange, context),
    findings: findingsOf(exchange.findings, answer?.findings, refusal?.findings),
    response: { status: answer?.status ?? refusal?.status, bytes: bytes.sent, ended: outcome.ended },
    ms: {
      identify: thousandths(spent.identify),
      authorize: thousandths(spent.authorize),
      obtain: thousandths(spent.obtain),
      inject: thousandths(spent.inject),
      forward: thousandths(spent.forward),
      redact: thousandths(spent.redact),
      body: thousandths(spent.body),
      total: elapsed(exchange.receivedAt, outcome.endedAt),
    },
    refusal: refusalOf(refusal),
  }
}

function ofConnection(failed: FailedConnection, { policyVersion }: RecordContext): AuditRecord {
  return {
    v: 1,
    time: iso(failed.receivedAt),
    id: failed.id,
    kind: 'connection',
    outcome: outcomeOf(failed.refusal, 'refused'),
    listener: failed.connection.listener,
    connection: connectionOf(failed.connection),
    caller: callerOf(failed.caller),
    destination: failed.host === undefined ? undefined : { host: cut(failed.host, longestText) },
    decision: denied(failed.refusal, policyVersion),
    ms: { total: elapsed(failed.receivedAt, failed.endedAt) },
    refusal: refusalOf(failed.refusal),
  }
}

let second = Number.NaN
let upToSecond = ''

/** RFC 3339 with milliseconds; writing a date anew for each record of the same second would cost a microsecond. */
function iso(milliseconds: number): string {
  const whole = Math.floor(milliseconds / 1_000)
  if (whole !== second) {
    second = whole
    upToSecond = new Date(whole * 1_000).toISOString().slice(0, 20)
  }
  return `${upToSecond}${String(Math.floor(milliseconds) - whole * 1_000).padStart(3, '0')}Z`
}

/** One part for each of those that it tells of, since they come again in record after record. */
function once<Of extends object, Part extends object>(make: (of: Of) => Part): (of: Of) => Part {
  const made = new WeakMap<Of, Part>()
  return (of) => {
    const known = made.get(of)
    if (known !== undefined) return known
    const part = lasting(make(of))
    made.set(of, part)
    return part
  }
}

const connectionOf = once(({ id, remoteAddress, remotePort, isolation, original }: Connection) => ({
  id,
  address: remoteAddress,
  port: remotePort,
  isolation,
  original: original === undefined ? undefined : { address: original.address, port: original.port },
}))

/** Refused: somebody decided against it. Failed: nobody did, it broke. */
function outcomeOf(refusal: Refusal | undefined, ended: Outcome['ended']): AuditRecord['outcome'] {
  if (refusal === undefined) return ended === 'complete' ? 'allowed' : 'failed'
  switch (refusal.reason) {
    case 'secret_echoed':
    case 'response_uninspectable':
      return 'refused'
    case 'client_gone':
    case 'client_rejected_certificate':
      return 'failed'
    default:
      return refusal.status < 500 ? 'refused' : 'failed'
  }
}

const callerOf = (caller: Caller | undefined) => (caller === undefined ? undefined : partOfCaller(caller))

const partOfCaller = once((caller: Caller) => {
  const { id, attested, proofs, serial, expiresAt, uid, pid, executable, container, pod } = caller
  return {
    spiffe_id: id,
    attested,
    trust_domain: trustDomainOf(id),
    proofs: [...proofs],
    serial,
    expires: expiresAt === undefined ? undefined : new Date(expiresAt).toISOString(),
    uid,
    pid,
    executable,
    container,
    pod,
  }
})

function principalOf({ principal }: Reached): AuditRecord['principal'] {
  return principal === undefined ? undefined : partOfPrincipal(principal)
}

const partOfPrincipal = once(({ kind, id }: Principal) => ({ kind, id }))

function chainOf(chain: Chain | undefined): AuditRecord['chain'] {
  return chain === undefined ? undefined : partOfChain(chain)
}

const partOfChain = once(({ hops }: Chain) => hops.map(({ id, scopes, jti }) => ({ id, scopes: [...scopes], jti })))

type Where = NonNullable<AuditRecord['destination']>

/** The last part made for each destination: most have one host with one address. */
const wheres = new WeakMap<Destination, Where>()

/** A host that had to prove who it is has done so where there is an answer. */
function destinationOf({ target, destination }: Reached, answer: Outcome['answer']): Where {
  const { scheme, host, port } = target
  const address = answer?.address
  const spiffe_id = answer === undefined ? undefined : destination?.spiffeId
  const last = destination === undefined ? undefined : wheres.get(destination)
  if (last?.host === host && last.port === port && last.scheme === scheme && last.address === address) {
    if (last.spiffe_id === spiffe_id) return last
  }
  const where = { name: destination?.name, scheme, host, port, address, spiffe_id }
  if (destination !== undefined) wheres.set(destination, lasting(where))
  return where
}

function requestOf({ method, target }: Reached, bytes: number | undefined): AuditRecord['request'] {
  return { method, path: cut(target.path, longestPath), query_keys: queryKeys(target.query), bytes }
}

function decisionOf({ exchange: { grant }, refusal }: Outcome, policyVersion: string): AuditRecord['decision'] {
  // A denial may come after an allow, when an exchange under way is decided again.
  return denied(refusal, policyVersion) ?? (grant && allowed({ grant }, policyVersion))
}

function denied(refusal: Refusal | undefined, policyVersion: string): AuditRecord['decision'] {
  switch (refusal?.reason) {
    case 'denied_by_rule':
    case 'no_rule':
    case 'limit_exceeded':
      return {
        verdict: 'deny',
        rule: refusal.rule,
        reason: refusal.reason,
        policy_version: refusal.policyVersion ?? policyVersion,
        shadows: shadowsOf(refusal.shadows),
      }
    default:
      return undefined
  }
}

let allowedBy = new Map<string, AuditRecord['decision']>()
let allowedUnder = ''

function allowed({ grant: { rule, shadows } }: Pick<Authorized, 'grant'>, policyVersion: string) {
  if (shadows !== undefined && shadows.length > 0) return allowing(rule, policyVersion, shadowsOf(shadows))
  if (policyVersion !== allowedUnder) {
    allowedUnder = policyVersion
    allowedBy = new Map()
  }
  const known = allowedBy.get(rule)
  if (known !== undefined) return known
  const decision = lasting(allowing(rule, policyVersion, undefined))
  allowedBy.set(rule, decision)
  return decision
}

const allowing = (rule: string, policy_version: string, shadows: ReturnType<typeof shadowsOf>) => ({
  verdict: 'allow' as const,
  rule,
  reason: undefined,
  policy_version,
  shadows,
})

function shadowsOf(shadows: readonly Shadow[] | undefined) {
  if (shadows === undefined || shadows.length === 0) return undefined
  return shadows.map(({ rule, would }) => ({ rule, would }))
}

function budgetsOf({ spending }: Reached): AuditRecord['budgets'] {
  return spending?.charges.map(({ budget, cost, left }) => ({
    name: budget,
    cost,
    left: { requests: left.requests, response_bytes: left.responseBytes, paths: left.paths, cost: left.cost },
  }))
}

/** The credential that the rule names, when none was had. */
function wanted({ grant }: Reached): AuditRecord['credential'] {
  return grant?.credential === undefined ? undefined : { name: grant.credential }
}

type Held = NonNullable<AuditRecord['credential']>

/** The last part made for each lease; it changes once a second where the lease ends. */
const helds = new WeakMap<Lease, Held>()

function credentialOf(lease: Lease, receivedAt: number, context: RecordContext): Held {
  const { credential: name, kind, cache, expiresAt, scopes } = lease
  const expires_in_s = expiresAt === undefined ? undefined : Math.floor((expiresAt - receivedAt) / 1_000)
  const fingerprint = context.fingerprint(lease.secret)
  const last = helds.get(lease)
  if (last?.fingerprint === fingerprint && last.expires_in_s === expires_in_s) return last
  const held = { name, kind, cache, expires_in_s, scopes: scopes && [...scopes], fingerprint }
  helds.set(lease, lasting(held))
  return held
}

function injectedOf({ emitted, grant }: Reached, { placementOf }: RecordContext): AuditRecord['injected'] {
  if (emitted === undefined || emitted.length === 0 || grant === undefined) return undefined
  return { placement: placementOf(grant.rule) }
}

/** Of the request, of the answer, and of what refused one of them; each may carry on the list of the one before. */
function findingsOf(...lists: readonly (readonly Finding[] | undefined)[]): AuditRecord['findings'] {
  if (lists.every((list) => list === undefined || list.length === 0)) return undefined
  return [...new Set(lists.flatMap((list) => list ?? []))].map(({ kind, where, fingerprint, count, note }) => ({
    kind,
    where: cut(where, longestText),
    fingerprint,
    count,
    note: note === undefined ? undefined : cut(note, longestText),
  }))
}

function refusalOf(refusal: Refusal | undefined): AuditRecord['refusal'] {
  if (refusal === undefined) return undefined
  return {
    reason: refusal.reason,
    detail: refusal.detail === undefined ? undefined : cut(refusal.detail, longestText),
    budget: refusal.budget,
  }
}

const thousandths = (value: number | undefined) => (value === undefined ? undefined : Math.round(value * 1_000) / 1_000)

const elapsed = (from: number, to: number) => thousandths(Math.max(0, to - from)) ?? 0

const cut = (text: string, longest: number) => (text.length <= longest ? text : `${text.slice(0, longest)}…`)
