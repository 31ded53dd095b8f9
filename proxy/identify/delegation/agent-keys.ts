// The keys that sign what agents here hand on, one for each agent; an issuer of roots elsewhere names them in what it grants.
import type { SpiffeId } from '../../../certs/spiffe-id.ts'
import { DelegationKey } from '../../../policy/delegation/keys.ts'

/** Agents whose keys are kept; the one longest unused goes first, and with it what was granted to its key. */
const mostKeys = 1_000

export class AgentKeys {
  readonly #keys = new Map<SpiffeId, DelegationKey>()

  /** The same for an agent as long as it is used. */
  of(agent: SpiffeId): DelegationKey {
    const key = this.#keys.get(agent) ?? DelegationKey.generate()
    this.#keys.delete(agent)
    this.#keys.set(agent, key)
    const [oldest] = this.#keys.size > mostKeys ? this.#keys.keys() : []
    if (oldest !== undefined) this.#keys.delete(oldest)
    return key
  }
}
