// Why something cannot be spent.
import type { Account } from './account.ts'
import type { Budget } from './budget.ts'

export interface Exhausted {
  /** Name of the budget. */
  readonly budget: string
  /** Whose share of it. */
  readonly key: string
  /** `accounts`: too many share the budget, and there is no room to count for one more. */
  readonly what: 'requests' | 'response bytes' | 'paths' | 'cost' | 'accounts'
  readonly limit: number
  /** Epoch milliseconds: when it was asked for, and when there will be more. */
  readonly at: number
  readonly renews: number
}

export function exhausted(
  { name }: Budget,
  { key, ends }: Account,
  what: Exhausted['what'],
  limit: number,
  at: number,
): Exhausted {
  return { budget: name, key, what, limit, at, renews: ends }
}
