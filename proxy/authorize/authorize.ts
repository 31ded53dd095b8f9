// May this caller, for this principal, do exactly this, now? The policy answers; here its answer becomes a step or a refusal.
import type { Allow, Deny, PolicyEngine, Question } from '../../policy/engine.ts'
import type { Authorized, Destination, Identified } from '../exchange.ts'
import { Refusal } from '../refusal.ts'
import { type Delegated, refuseBeyondDelegation, refuseEndedDelegation } from './delegated.ts'
import { refuseStopped, type Stops } from './stopped.ts'

/** What may end a right that was once given. */
export interface Standing {
  readonly stops: Stops
  readonly delegated: Delegated
}

/** @throws Refusal `revoked`, `chain_*`, `denied_by_rule`, `no_rule`, `limit_exceeded` */
export function authorize(
  identified: Identified,
  policy: PolicyEngine,
  destinations: ReadonlyMap<string, Destination>,
  { stops, delegated }: Standing,
): Authorized {
  refuseStopped(identified, stops, identified.receivedAt)
  refuseBeyondDelegation(identified, delegated)
  const decision = policy.decide(questionOf(identified, identified.receivedAt))
  const authorized = granted(identified, decision, policy.version, destinations)
  refuseStopped(authorized, stops, identified.receivedAt)
  return authorized
}

/**
 * Whether what was authorized would be now; nothing is counted.
 * @throws Refusal as `authorize`
 */
export function reauthorize(
  authorized: Authorized,
  policy: PolicyEngine,
  destinations: ReadonlyMap<string, Destination>,
  { stops, delegated }: Standing,
  now: number,
): void {
  refuseStopped(authorized, stops, now)
  refuseEndedDelegation(authorized, delegated, now)
  const decision = policy.review(questionOf(authorized, now))
  const { grant, destination } = granted(authorized, decision, policy.version, destinations)
  const { grant: before } = authorized
  if (grant.credential === before.credential && destination.name === before.destination) return
  throw new Refusal('no_rule', { rule: grant.rule, detail: 'it would be sent otherwise by now, so not as it was' })
}

function granted(
  identified: Identified,
  decision: Allow | Deny,
  policyVersion: string,
  destinations: ReadonlyMap<string, Destination>,
): Authorized {
  if (decision.verdict === 'deny') throw new Refusal(decision.reason, denial(decision, policyVersion))
  const destination = destinations.get(decision.destination)
  if (destination === undefined)
    throw new Refusal('internal_error', { detail: `no destination ${decision.destination}` })
  if (identified.target.scheme === 'http' && destination.protocol !== 'http') {
    throw new Refusal('no_rule', {
      rule: decision.rule,
      detail: `destination ${destination.name} is not to be reached in clear`,
    })
  }
  return { ...identified, grant: decision, destination }
}

/** An exchange, as the policy sees it. */
export function questionOf({ caller, principal, chain, method, target, headers }: Identified, now: number): Question {
  return {
    now,
    caller,
    principal,
    chain: {
      depth: chain.depth,
      agents: chain.hops.map(({ id }) => id),
      scopes: chain.hops.map(({ scopes }) => scopes),
      txn: chain.txn,
      constraints: chain.constraints,
    },
    request: {
      method,
      scheme: target.scheme,
      host: target.host,
      port: target.port,
      path: target.path,
      query: target.query,
      headers,
    },
  }
}

function denial({ detail, rule, retryAfter, shadows }: Deny, policyVersion: string) {
  return {
    detail,
    policyVersion,
    shadows,
    ...(rule === undefined ? {} : { rule }),
    ...(retryAfter === undefined ? {} : { retryAfter }),
  }
}
