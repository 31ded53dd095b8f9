// Opens what budgets, and the totals of delegations, are counted in, and the file by which that outlives the process.
import { dirname, join } from 'node:path'
import type { Counted } from '../../policy/budgets/account.ts'
import { compileBudget } from '../../policy/budgets/budget.ts'
import { Ledger } from '../../policy/budgets/ledger.ts'
import type { Ledger as DelegationLedger } from '../../policy/delegation/action.ts'
import { bookOfTotals, Totals } from '../../policy/delegation/totals.ts'
import { BudgetFile } from '../../proxy/budget/budget-file.ts'
import { ConfiguredBudgets } from '../../proxy/budget/budgets.ts'
import type { Config } from '../../proxy/config/schema.ts'

export interface OpenBudgets {
  /** Those of a configuration. What is spent goes on counting. */
  of(settings: Config['budgets']): ConfiguredBudgets
  /** For `max_lifetime` and `max_subtree`. */
  readonly totals: DelegationLedger
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
  const totals = new Totals(now)
  const counted = together(ledger, totals)
  const file =
    beside === undefined ? undefined : await BudgetFile.open({ path: pathBeside(beside), counted, onProblem })
  const written = async () => {
    if (file !== undefined) return file.written()
    // Nobody asks what has changed, so it is not remembered either.
    for (const _ of counted.takeChanged());
  }
  return {
    of(settings) {
      const budgets = Object.entries(settings).map(([name, budget]) => compileBudget(name, budget))
      return new ConfiguredBudgets(budgets, ledger, written)
    },
    totals: {
      debit(debits) {
        const refused = totals.debit(debits)
        if (refused === undefined) void written()
        return refused
      },
    },
    close: async () => file?.close(),
  }
}

function pathBeside(stops: string): string {
  const path = join(dirname(stops), 'budgets.jsonl')
  if (path === stops) throw new Error(`${stops} is the name of the file of budgets; give stop.file another`)
  return path
}

function together(ledger: Ledger, totals: Totals): Counted {
  return {
    get hasChanged() {
      return ledger.hasChanged || totals.hasChanged
    },
    *takeChanged() {
      yield* ledger.takeChanged()
      yield* totals.takeChanged()
    },
    *all() {
      yield* ledger.all()
      yield* totals.all()
    },
    restore(line) {
      if (line.book === bookOfTotals) totals.restore(line)
      else ledger.restore(line)
    },
    sweep() {
      ledger.sweep()
      totals.sweep()
    },
  }
}
