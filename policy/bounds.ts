// What rules look at and count. A row of docs/limits.md each.
import { mostAccounts, mostPaths } from './budgets/ledger.ts'
import { maxLength } from './expression.ts'
import { maxBuckets } from './limits.ts'
import { maxPairs } from './query.ts'
import { longestReason } from './stop/stop.ts'

export const policyBounds = [
  {
    limit: 'Parameters of a query that rules look at',
    value: maxPairs,
    unit: 'count',
    does: 'reject',
    how: 'the query counts as unreadable: it satisfies a deny and fails an allow',
    metric: 'postern_requests_total',
    test: ['test/policy/query.test.ts', 'too many pairs'],
  },
  {
    limit: 'Characters of an expression',
    value: maxLength,
    unit: 'count',
    does: 'reject',
    how: 'the configuration is refused',
    metric: 'postern_config_reload_failure_total',
    test: ['test/policy/expression.test.ts', 'at most 4000 characters'],
  },
  {
    limit: 'Agents that one rule’s `limit` counts for at once',
    value: maxBuckets,
    unit: 'count',
    does: 'reject',
    how: '`limit_exceeded` (429), until one of them falls silent',
    metric: 'postern_requests_total',
    test: ['test/policy/limits.test.ts', 'keeps no more agents than its bound, and forgets none that still waits'],
  },
  {
    limit: 'Accounts of one budget in a window',
    value: mostAccounts,
    unit: 'count',
    does: 'reject',
    how: '`budget_exhausted` (429), until the next window',
    metric: 'postern_requests_total',
    test: ['test/policy/budgets/ledger.test.ts', 'that is full is not made by forgetting what somebody has spent'],
  },
  {
    limit: 'Distinct paths of one budget in a window, of all accounts together',
    value: mostPaths,
    unit: 'count',
    does: 'reject',
    how: '`budget_exhausted` (429), until the next window',
    metric: 'postern_requests_total',
    test: ['test/policy/budgets/ledger.test.ts', 'for paths is bounded for all together'],
  },
  {
    limit: 'Characters of a reason to stop',
    value: longestReason,
    unit: 'count',
    does: 'reject',
    how: '(422)',
    metric: 'postern_stops_active',
    test: ['test/policy/stop/stop.test.ts', 'longestReason'],
  },
] as const
