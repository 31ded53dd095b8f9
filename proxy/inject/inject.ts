// The step: what leaves. The agent's own credentials out, the rule's in; nothing changes the request after this.
import type { Credentialed, Injected } from '../exchange.ts'
import type { Placements } from './placement.ts'

/**
 * @returns the request as it leaves, and which secrets stand in it
 * @throws Refusal `placement_conflict`, `stand_in_misused`, `credential_not_bound`, `credential_unavailable`
 */
export function inject(exchange: Credentialed, placements: Placements): Injected {
  return placements.for(exchange.grant.rule).apply(exchange)
}
