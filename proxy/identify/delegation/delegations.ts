// On whose behalf: the delegation that a request presents, verified and in the hands of the one it was made for.
import type { SpiffeId } from '../../../certs/spiffe-id.ts'
import type { VerifiedChain } from '../../../policy/delegation/chain.ts'
import { ChainError } from '../../../policy/delegation/error.ts'
import { HeldChain, type Revocations } from '../../../policy/delegation/hold.ts'
import { isCurrent, type VerifiedChains } from '../../../policy/delegation/verified-chains.ts'
import type { Caller, Captured, Chain, Principal } from '../../exchange.ts'
import { type Known, Refusal } from '../../refusal.ts'
import type { Secret } from '../../secret.ts'
import type { KernelFacts } from '../kernel/facts.ts'
import type { Held, HeldDelegations } from './held.ts'
import { holderProblem } from './holder.ts'
import { type Presented, presentedIn } from './presented.ts'

/** What a request, or a CONNECT, presents. */
export type Asking = Pick<Captured, 'connection' | 'headers' | 'receivedAt'>

/** Who acts, for whom, by which right. */
export interface Behalf {
  readonly caller: Caller
  readonly principal: Principal
  readonly chain: Chain
  readonly delegation: HeldChain
}

export interface DelegationsOptions {
  readonly held: HeldDelegations
  readonly chains: VerifiedChains
  readonly revocations: Revocations
  /** Changes with the roots that are trusted. */
  readonly epoch: () => number
  readonly facts: Pick<KernelFacts, 'socketOwner'>
}

export class Delegations {
  readonly #options: DelegationsOptions
  /** What a chain means to the steps; made once for each. */
  readonly #told = new WeakMap<VerifiedChain, { readonly principal: Principal; readonly chain: Chain }>()
  /** Who has been found to be the holder: by caller, which is one object as long as its proof stands. */
  readonly #proved = new WeakMap<Caller, { readonly held: Held; readonly acting: Caller }>()

  constructor(options: DelegationsOptions) {
    this.#options = options
  }

  /**
   * @param attested who calls, as proved
   * @returns undefined when the request presents no delegation
   * @throws Refusal `chain_*`, `delegation_unknown`, `unidentified_caller`
   */
  of(captured: Asking, attested: Caller): Behalf | undefined {
    const presented = presentedIn(captured)
    if (presented === undefined) return this.#withNothing(captured, attested)
    try {
      return presented.kind === 'handle'
        ? this.#byHandle(presented, captured, attested)
        : this.#byChain(presented, captured, attested)
    } catch (error) {
      throw refusalOf(error, { caller: attested })
    }
  }

  /**
   * In a room of its own the whole of a command is let in without showing anything. Once a part of it was handed less,
   * that part must not have all again by showing nothing.
   */
  #withNothing({ connection }: Asking, { proofs }: Caller): undefined {
    if (connection.isolation === undefined || !this.#options.held.begun || proofs.includes('run-token')) return
    const detail =
      'a right was handed on in this run, so who shows neither the run token nor a handle could be anybody in it'
    throw new Refusal('unidentified_caller', { detail })
  }

  /** What the caller of a request holds by the handle that it presents. */
  heldBy(captured: Asking): Held | undefined {
    const presented = presentedIn(captured)
    return presented?.kind === 'handle' ? this.#options.held.find(presented.value) : undefined
  }

  #byHandle({ value }: Presented, captured: Asking, attested: Caller): Behalf {
    const held = this.#options.held.find(value)
    if (held === undefined)
      throw new Refusal('delegation_unknown', { detail: 'no such handle is known', known: { caller: attested } })
    const { chain, userToken } = held
    if (!isCurrent(chain, captured.receivedAt)) throw new ChainError('chain_expired', 'it is over')
    return this.#behalf(chain, this.#holder(held, captured, attested), userToken)
  }

  #byChain({ value }: Presented, captured: Asking, attested: Caller): Behalf {
    const { chains, epoch } = this.#options
    const chain = chains.verify(value, captured.receivedAt, epoch())
    return this.#behalf(chain, { ...attested, proofs: [...attested.proofs, 'delegation'] }, undefined)
  }

  /** Looking for the process that holds a socket costs some hundred microseconds, so it is done once. */
  #holder(held: Held, { connection }: Asking, attested: Caller): Caller {
    const proved = this.#proved.get(attested)
    if (proved?.held === held) return proved.acting
    const problem = holderProblem(held.holder, attested, connection, this.#options.facts)
    if (problem !== undefined) throw new ChainError('chain_holder_binding_failed', problem, held.chain.depth)
    const acting = actingAs(held.chain.leaf.id, attested)
    this.#proved.set(attested, { held, acting })
    return acting
  }

  #behalf(chain: VerifiedChain, caller: Caller, userToken: Secret | undefined): Behalf {
    let told = this.#told.get(chain)
    if (told === undefined) {
      told = tell(chain, userToken)
      this.#told.set(chain, told)
    }
    try {
      return { caller, ...told, delegation: HeldChain.hold(chain, caller.id, this.#options.revocations) }
    } catch (error) {
      throw refusalOf(error, { caller, ...told })
    }
  }
}

function actingAs(id: SpiffeId, attested: Caller): Caller {
  const proofs = [...attested.proofs, 'delegation'] as const
  return id === attested.id ? { ...attested, proofs } : { ...attested, id, attested: attested.id, proofs }
}

function tell(verified: VerifiedChain, token: Secret | undefined) {
  const { principal, depth, hops, txn, leaf, expiresAt } = verified
  return {
    principal: token === undefined ? principal : { ...principal, token },
    chain: {
      depth,
      txn,
      expiresAt,
      hops: hops.map(({ id, jti, scopes }) => ({ id, jti, scopes })),
      constraints: leaf.constraints,
    },
  }
}

/**
 * A chain is refused in the words of its own room; they are among the reasons.
 * @param known for the record: who tried it, and by which right
 */
function refusalOf(error: unknown, known: Known): unknown {
  if (!(error instanceof ChainError)) return error
  const { reason, detail, hop } = error
  return new Refusal(reason, { detail: hop === undefined ? detail : `hop ${hop + 1}: ${detail}`, known, cause: error })
}
