// Says of a budget that is used up: for the record which one and whose; to the agent when it renews.
import type { Exhausted } from '../../policy/budgets/exhausted.ts'
import { Refusal } from '../refusal.ts'

export function refusalOf({ budget, key, what, limit, at, renews }: Exhausted): Refusal {
  const until = `it renews at ${new Date(renews).toISOString()}`
  const used =
    what === 'accounts'
      ? `has no room to count for ${key}: ${limit} are counted`
      : `of ${key} is used up: ${limit} ${units[what]} in a window`
  return new Refusal('budget_exhausted', {
    budget,
    detail: `budget ${budget} ${used}; ${until}`,
    retryAfter: Math.max(1, Math.ceil((renews - at) / 1_000)),
  })
}

const units = {
  requests: 'requests',
  'response bytes': 'bytes of answers',
  paths: 'distinct paths',
  cost: 'units of cost',
} as const
