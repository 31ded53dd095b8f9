// One kind of proof of who calls.
import type { Caller, Connection } from '../exchange.ts'

export interface Attestor {
  readonly name: string
  /** Counts changes of what evidence is verified against; whoever was attested under another count is attested anew. */
  readonly epoch?: number
  /**
   * @returns undefined when the connection carries no evidence of this kind
   * @throws Refusal when the evidence is there and wrong
   */
  attest(connection: Connection, signal: AbortSignal): Promise<Caller | undefined>
}
