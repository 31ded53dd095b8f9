// Sends what was injected, to an address that was checked.
import type { Answer, Injected } from '../exchange.ts'

export interface Forwarder {
  /**
   * @param signal ends the exchange with the upstream when the agent is gone or access is withdrawn
   * @throws Refusal `blocked_address`, `upstream_*`
   */
  forward(exchange: Injected, signal: AbortSignal): Promise<Answer>
}
