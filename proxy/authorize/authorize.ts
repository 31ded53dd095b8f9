// May this caller, for this principal, do exactly this, now? The policy answers; here its answer becomes a step or a refusal.
import type { Deny, PolicyEngine, Question } from '../../policy/engine.ts'
import type { Authorized, Destination, Identified } from '../exchange.ts'
import { Refusal } from '../refusal.ts'

/** @throws Refusal `denied_by_rule`, `no_rule`, `limit_exceeded` */
export function authorize(
  identified: Identified,
  policy: PolicyEngine,
  destinations: ReadonlyMap<string, Destination>,
): Authorized {
  const decision = policy.decide(question(identified))
  if (decision.verdict === 'deny') throw new Refusal(decision.reason, denial(decision))
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

function question({ caller, principal, chain, method, target, headers, receivedAt }: Identified): Question {
  return {
    now: receivedAt,
    caller,
    principal,
    chain: {
      depth: chain.depth,
      agents: chain.hops.map(({ id }) => id),
      scopes: chain.hops.map(({ scopes }) => scopes),
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

function denial({ detail, rule, retryAfter, shadows }: Deny) {
  return {
    detail,
    shadows,
    ...(rule === undefined ? {} : { rule }),
    ...(retryAfter === undefined ? {} : { retryAfter }),
  }
}
