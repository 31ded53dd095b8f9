// One way of writing a credential into a request.
import type { Credentialed, Injected } from '../exchange.ts'

export interface Placement {
  readonly kind: string
  /**
   * Makes the head that leaves: the agent's own credentials and everything hop-by-hop taken out, ours put in.
   * Says in `emitted` which byte forms of the secret it wrote, for the scanner.
   * @throws Refusal `placement_conflict`, `stand_in_misused`, `credential_not_bound`
   */
  apply(exchange: Credentialed): Injected
}

/** Finds the placement of the rule that allowed a request; a rule without a credential has one that only takes out. */
export interface Placements {
  for(rule: string): Placement
}
