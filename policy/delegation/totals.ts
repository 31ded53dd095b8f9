// Counts what delegations have spent of their totals; lives as long as the process.
import type { Debit, Ledger } from './action.ts'

interface Account {
  spent: number
  readonly expiresAt: number
}

/** Accounts looked through for ended ones whenever so many were opened. */
const sweepEvery = 1_000

export class Totals implements Ledger {
  readonly #accounts = new Map<string, Account>()
  readonly #now: () => number
  #opened = 0

  /** @param now epoch milliseconds */
  constructor(now: () => number) {
    this.#now = now
  }

  debit(debits: readonly Debit[]): Debit | undefined {
    const refused = debits.find((debit) => this.#spentOf(debit) + debit.amount > debit.bound)
    if (refused !== undefined) return refused
    for (const debit of debits) this.#account(debit).spent += debit.amount
    return undefined
  }

  #spentOf(debit: Debit): number {
    return this.#accounts.get(keyOf(debit))?.spent ?? 0
  }

  #account(debit: Debit): Account {
    const key = keyOf(debit)
    let account = this.#accounts.get(key)
    if (account === undefined) {
      account = { spent: 0, expiresAt: debit.expiresAt }
      this.#accounts.set(key, account)
      this.#opened += 1
      if (this.#opened % sweepEvery === 0) this.#sweep()
    }
    return account
  }

  #sweep(): void {
    const now = this.#now()
    for (const [key, { expiresAt }] of this.#accounts) if (expiresAt < now) this.#accounts.delete(key)
  }
}

const keyOf = ({ jti, key, type }: Debit): string => `${jti} ${type} ${key}`
