// What the pipeline asks of budgets: to set aside what a request may spend, before it leaves.
import type { Budget } from '../../policy/budgets/budget.ts'
import type { Fullness, Ledger } from '../../policy/budgets/ledger.ts'
import type { Spending } from '../../policy/budgets/spending.ts'
import type { Question } from '../../policy/engine.ts'
import { refusalOf } from './refusal.ts'

export interface Budgets {
  readonly isEmpty: boolean
  /**
   * @param destination its name
   * @returns at once where no budget concerns it; otherwise when it is written down
   * @throws Refusal `budget_exhausted`
   */
  reserve(question: Question, destination: string): undefined | Promise<Spending>
}

/** Those of one configuration; all count in one ledger. */
export class ConfiguredBudgets implements Budgets {
  readonly #budgets: readonly Budget[]
  readonly #ledger: Ledger
  readonly #written: () => Promise<void>

  /** @param written resolves when everything counted so far is written down, or cannot be; never rejects */
  constructor(budgets: readonly Budget[], ledger: Ledger, written: () => Promise<void>) {
    this.#budgets = budgets
    this.#ledger = ledger
    this.#written = written
  }

  get isEmpty(): boolean {
    return this.#budgets.length === 0
  }

  reserve(question: Question, destination: string): undefined | Promise<Spending> {
    const taken = this.#ledger.reserve(this.#budgets, question, destination)
    if (taken === undefined) return undefined
    if ('what' in taken) throw refusalOf(taken)
    return this.#written().then(() => taken)
  }

  status(): readonly (Fullness & { readonly name: string })[] {
    return this.#budgets.map((budget) => ({ name: budget.name, ...this.#ledger.fullness(budget) }))
  }
}
