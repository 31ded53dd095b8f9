// Step 10 of verification: whether a held chain covers one action, its totals included. Rules are asked after it.
import { type Constraint, type Cumulative, isCumulative, permits, type Scalar } from './constraints.ts'
import { ChainError } from './error.ts'
import type { HeldChain } from './hold.ts'
import { isCovered } from './scope.ts'

/** What constraints look at, by their key: `host`, `method`, `path`, … No prototype is asked for a fact. */
export type Facts = Readonly<Record<string, Scalar | undefined>>

export interface Action {
  /** The name of this enforcement point. */
  readonly audience: string
  /** All that the action needs. */
  readonly scopes: readonly string[]
  readonly facts: Facts
}

/** An amount to be counted against the total of one hop. */
export interface Debit {
  readonly jti: string
  /** Of the token: what is counted by, since a holder could give two tokens one jti. */
  readonly digest: string
  readonly key: string
  readonly type: Cumulative['type']
  readonly bound: number
  /** 1 for `calls`, else the fact of that key. */
  readonly amount: number
  /** Epoch milliseconds after which nothing counts against it any more. */
  readonly expiresAt: number
}

/** Counts totals, outside the request and atomically. */
export interface Ledger {
  /** Takes all, or none and says which does not fit or is not counted here. */
  debit(debits: readonly Debit[]): Debit | undefined
}

/** @throws ChainError of step 10 */
export function checkAction({ chain }: HeldChain, action: Action, ledger: Ledger): void {
  // A child could name another audience than its parent, and so take a right where the parent has none: all are asked.
  chain.hops.forEach(({ audience }, hop) => {
    if (!audience.includes(action.audience)) {
      throw new ChainError('chain_audience_mismatch', 'it is meant for another enforcement point', hop)
    }
  })
  // Of scopes and bounds of an action the leaf has the narrowest (step 6), so it speaks for all.
  for (const scope of action.scopes) {
    const lacking = firstHopLacking(chain.hops, scope)
    if (lacking !== undefined) throw new ChainError('chain_scope_not_granted', `${scope} is not held`, lacking)
  }
  for (const constraint of chain.leaf.constraints) checkConstraint(constraint, action.facts, chain.depth)
  const debits = debitsOf(chain.hops, action.facts)
  const refused = debits.length === 0 ? undefined : ledger.debit(debits)
  if (refused !== undefined) {
    const hop = chain.hops.findIndex(({ digest }) => digest === refused.digest)
    throw new ChainError('chain_ceiling_exceeded', `${refused.key} is beyond its ${refused.type}`, hop)
  }
}

/** Index of the first hop whose scopes do not cover it; undefined: every hop's do. */
export function firstHopLacking(
  hops: readonly { readonly scopes: readonly string[] }[],
  scope: string,
): number | undefined {
  const index = hops.findIndex(({ scopes }) => !isCovered(scope, scopes))
  return index === -1 ? undefined : index
}

function checkConstraint(constraint: Constraint, facts: Facts, hop: number): void {
  if (constraint.type === 'unknown') {
    throw new ChainError('chain_unknown_constraint', `${constraint.name} is not known here`, hop)
  }
  if (isCumulative(constraint)) return
  const value = factOf(facts, constraint.key)
  // A bound on what the request does not say counts against it.
  if (value === undefined || !permits(constraint, value)) {
    throw new ChainError('chain_ceiling_exceeded', `${constraint.key} is beyond its ${constraint.type}`, hop)
  }
}

function debitsOf(hops: HeldChain['chain']['hops'], facts: Facts): readonly Debit[] {
  const last = hops.length - 1
  return hops.flatMap(({ jti, digest, constraints, expiresAt }, hop) =>
    constraints
      .filter(isCumulative)
      // A lifetime is that of the one token in use; a subtree counts what all below it do.
      .filter(({ type }) => type === 'max_subtree' || hop === last)
      .map(({ key, type, bound }) => ({ jti, digest, key, type, bound, amount: amountOf(facts, key, hop), expiresAt })),
  )
}

function amountOf(facts: Facts, key: string, hop: number): number {
  const amount = key === 'calls' ? 1 : factOf(facts, key)
  if (typeof amount === 'number' && amount >= 0) return amount
  throw new ChainError('chain_ceiling_exceeded', `the request does not say its ${key}`, hop)
}

function factOf(facts: Facts, key: string): Scalar | undefined {
  return Object.hasOwn(facts, key) ? facts[key] : undefined
}
