// Sends what was injected, to an address that was checked.
import type { Answer, Authorized, Injected, Signal } from '../exchange.ts'

export interface Forwarder {
  /**
   * @param signal ends the exchange with the upstream when the agent is gone or access is withdrawn
   * @throws Refusal `blocked_address`, `upstream_*`
   */
  forward(exchange: Injected, signal: Signal): Promise<Answer>

  /** Opens the raw connection behind a CONNECT to an opaque destination; the answer's `tunnel` is that connection. Throws as `forward` does. */
  tunnel(exchange: Authorized, signal: Signal): Promise<Answer>
}
