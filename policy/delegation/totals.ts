// Totals of delegations (`max_lifetime`, `max_subtree`), counted in memory for as long as the token lives.
import type { Debit, Ledger } from './action.ts'

interface Total {
  spent: number
  readonly expiresAt: number
}

const mostTotals = 100_000

/** A restart begins them anew: what must outlast it is a budget, not a bound of a token. */
export class Totals implements Ledger {
  readonly #totals = new Map<string, Total>()
  readonly #now: () => number
  readonly #most: number

  /** @param now epoch milliseconds; @param most totals that are kept: beyond it, what is new is refused */
  constructor(now: () => number, most = mostTotals) {
    this.#now = now
    this.#most = most
  }

  debit(debits: readonly Debit[]): Debit | undefined {
    const refused = debits.find((debit) => this.#spent(debit) + debit.amount > debit.bound)
    if (refused !== undefined) return refused
    const fresh = debits.filter((debit) => !this.#totals.has(nameOf(debit)))
    if (this.#totals.size + fresh.length > this.#most) this.#forgetExpired()
    if (this.#totals.size + fresh.length > this.#most) return fresh[0]
    for (const debit of debits) {
      const total = this.#totals.get(nameOf(debit))
      if (total === undefined) this.#totals.set(nameOf(debit), { spent: debit.amount, expiresAt: debit.expiresAt })
      else total.spent += debit.amount
    }
    return undefined
  }

  #spent(debit: Debit): number {
    return this.#totals.get(nameOf(debit))?.spent ?? 0
  }

  #forgetExpired(): void {
    const now = this.#now()
    for (const [name, { expiresAt }] of this.#totals) if (expiresAt < now) this.#totals.delete(name)
  }
}

/** Neither a digest nor a type holds a space. */
function nameOf({ digest, type, key }: Debit): string {
  return `${digest} ${type} ${key}`
}
