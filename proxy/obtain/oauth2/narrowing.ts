// Narrow at the source: under a delegation chain only those scopes are asked for that every hop holds, and no lease serves another chain.
import * as z from 'zod'
import { isCovered, isScope } from '../../../policy/delegation/scope.ts'
import type { Chain, Principal } from '../../exchange.ts'
import { Refusal } from '../../refusal.ts'
import type { Need } from '../provider.ts'

export const delegatedKey = z
  .record(z.string().min(1), z.string().refine(isScope, 'a scope of a delegation, such as crm.contacts.read'))
  .describe(
    'Scope of `scopes` → scope that every hop of a delegation chain must hold for it to be asked for. A scope that is not in here is asked for under its own name.',
  )

/** For kinds whose tokens speak of no chain: there it is for the configuration to say that they are narrowed. */
export const optionalDelegatedKey = delegatedKey
  .optional()
  .describe(
    'Scope of `scopes` → scope that every hop of a delegation chain must hold for it to be asked for; one that is not in here goes by its own name. Without this, all of `scopes` are asked for, whoever calls.',
  )

/** Every name must be one of the scopes: a slip of the pen would otherwise withhold a scope, or give it under another name. */
export function checkDelegated(
  { scopes, delegated = {} }: { readonly scopes: readonly string[]; readonly delegated?: Names | undefined },
  context: z.core.$RefinementCtx,
): void {
  for (const scope of Object.keys(delegated))
    if (!scopes.includes(scope))
      context.addIssue({ code: 'custom', path: ['delegated', scope], message: 'not one of `scopes`' })
}

type Names = Readonly<Record<string, string>>

/** What a chain may have of a credential. */
export interface Narrowed {
  /** To be asked for; may be empty. */
  readonly scopes: readonly string[]
  /** Tells its leases from those of all other chains: principal, every agent, scopes. */
  readonly key: string
}

interface Known extends Narrowed {
  readonly principal: Principal
  readonly caller: string
}

export class Narrowing {
  readonly #scopes: readonly string[]
  /** Scope → the one that hops must hold. */
  readonly #needed: ReadonlyMap<string, string>
  /** Worked out once a chain, since it is asked for on each request. */
  readonly #known = new WeakMap<Chain, Known>()

  constructor(scopes: readonly string[], names: Names = {}) {
    this.#scopes = scopes
    this.#needed = new Map(Object.entries(names))
  }

  /** @returns undefined where nothing was delegated */
  of({ chain, principal, caller }: Need): Narrowed | undefined {
    if (chain.hops.length === 0) return undefined
    const known = this.#known.get(chain)
    if (
      known !== undefined &&
      known.principal.id === principal.id &&
      known.principal.kind === principal.kind &&
      known.caller === caller.id
    )
      return known
    const scopes = this.#scopes.filter((scope) => isHeld(this.#needed.get(scope) ?? scope, chain))
    const agents = chain.hops.map(({ id }) => id)
    const key = JSON.stringify([principal.kind, principal.id, caller.id, agents, scopes])
    const narrowed = { scopes, key, principal, caller: caller.id }
    this.#known.set(chain, narrowed)
    return narrowed
  }

  /**
   * The scopes to ask for.
   * @throws Refusal `scope_not_granted` when the chain covers none
   */
  scopesFor(need: Need): readonly string[] {
    const narrowed = this.of(need)
    if (narrowed === undefined) return this.#scopes
    // Asking for none would mean the server's default, which may be all (RFC 6749 §3.3).
    if (narrowed.scopes.length === 0)
      throw new Refusal('scope_not_granted', {
        detail:
          this.#scopes.length === 0
            ? 'the credential names no scopes, so none of them can be delegated'
            : 'no scope of the credential is held by every hop of the chain',
      })
    return narrowed.scopes
  }
}

function isHeld(scope: string, { hops }: Chain): boolean {
  return hops.every(({ scopes }) => isCovered(scope, scopes))
}
