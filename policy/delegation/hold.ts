// Steps 8 and 9 of verification, on each request: no hop is revoked, and who presents the chain is its leaf.
import type { SpiffeId } from '../../certs/spiffe-id.ts'
import type { VerifiedChain, VerifiedHop } from './chain.ts'
import { ChainError } from './error.ts'

/** Asked for each hop, root first: whichever ancestor is revoked, all below it is. */
export interface Revocations {
  /** @returns undefined when nothing speaks against it */
  against(
    hop: VerifiedHop,
    chain: VerifiedChain,
  ): { readonly reason: 'chain_revoked' | 'chain_status_unknown'; readonly detail: string } | undefined
}

/** A chain in the hands of the agent that it was made for. Only `hold` makes one, so nothing acts on a chain that skipped it. */
export class HeldChain {
  /** A private field keeps the type nominal: no other object is one. */
  readonly #chain: VerifiedChain

  private constructor(chain: VerifiedChain) {
    this.#chain = chain
  }

  get chain(): VerifiedChain {
    return this.#chain
  }

  /**
   * @param caller the attested identity of who presents the chain, never anything that the chain says
   * @throws ChainError
   */
  static hold(chain: VerifiedChain, caller: SpiffeId, revocations: Revocations): HeldChain {
    checkRevocations(chain, revocations)
    if (chain.leaf.id !== caller) {
      throw new ChainError('chain_holder_binding_failed', 'it was handed to another agent', chain.depth)
    }
    return new HeldChain(chain)
  }
}

/**
 * Step 8 alone, for streams that are open.
 * @throws ChainError
 */
export function checkRevocations(chain: VerifiedChain, revocations: Revocations): void {
  chain.hops.forEach((hop, index) => {
    const found = revocations.against(hop, chain)
    if (found !== undefined) throw new ChainError(found.reason, found.detail, index)
  })
}
