// Totals of delegations (`max_lifetime`, `max_subtree`), counted for as long as the token lives.
import type { AccountLine, Counted } from '../budgets/account.ts'
import type { Debit, Ledger } from './action.ts'

interface Total {
  spent: number
  readonly expiresAt: number
}

const mostTotals = 100_000

/** Under this they are written down; the books of budgets have spaces in their names. */
export const bookOfTotals = 'delegations'

/** A token of an issuer elsewhere outlives this process, so what is counted is written down with what is spent of budgets. */
export class Totals implements Ledger, Counted {
  readonly #totals = new Map<string, Total>()
  #changed = new Set<string>()
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
      const name = nameOf(debit)
      const total = this.#totals.get(name)
      if (total === undefined) this.#totals.set(name, { spent: debit.amount, expiresAt: debit.expiresAt })
      else total.spent += debit.amount
      this.#changed.add(name)
    }
    return undefined
  }

  get hasChanged(): boolean {
    return this.#changed.size > 0
  }

  *takeChanged(): Iterable<AccountLine> {
    const changed = this.#changed
    this.#changed = new Set()
    for (const name of changed) {
      const total = this.#totals.get(name)
      if (total !== undefined) yield lineOf(name, total)
    }
  }

  *all(): Iterable<AccountLine> {
    for (const [name, total] of this.#totals) yield lineOf(name, total)
  }

  restore({ key, cost, ends }: AccountLine): void {
    if (ends > this.#now()) this.#totals.set(key, { spent: cost, expiresAt: ends })
  }

  sweep(): void {
    this.#forgetExpired()
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

function lineOf(key: string, { spent, expiresAt }: Total): AccountLine {
  return { book: bookOfTotals, key, ends: expiresAt, requests: 0, bytes: 0, cost: spent }
}
