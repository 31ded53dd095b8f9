// Opens what budgets are counted in: one ledger for all configurations, and the file that outlives the process.
import { dirname, join } from 'node:path'
import { compileBudget } from '../../policy/budgets/budget.ts'
import { Ledger } from '../../policy/budgets/ledger.ts'
import { BudgetFile } from '../../proxy/budget/budget-file.ts'
import { ConfiguredBudgets } from '../../proxy/budget/budgets.ts'
import type { Config } from '../../proxy/config/schema.ts'

export interface OpenBudgets {
  /** Those of a configuration. What is spent goes on counting. */
  of(settings: Config['budgets']): ConfiguredBudgets
  close(): Promise<void>
}

/**
 * @param beside the file of stops; budgets are written down in the same folder, or nowhere
 * @throws Error when it cannot be known what is spent
 */
export async function openBudgets(
  beside: string | undefined,
  { now, onProblem }: { readonly now: () => number; readonly onProblem: (problem: Error) => void },
): Promise<OpenBudgets> {
  const ledger = new Ledger(now)
  const file =
    beside === undefined
      ? undefined
      : await BudgetFile.open({ path: join(dirname(beside), 'budgets.jsonl'), ledger, onProblem })
  const written = file === undefined ? () => Promise.resolve() : () => file.written()
  return {
    of(settings) {
      const budgets = Object.entries(settings).map(([name, budget]) => compileBudget(name, budget))
      return new ConfiguredBudgets(budgets, ledger, written)
    },
    close: async () => file?.close(),
  }
}
