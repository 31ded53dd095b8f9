// Is there enough left to spend? What a request may spend is set aside before it leaves, and settled when it has ended.
import type { Budgets } from '../budget/budgets.ts'
import type { Authorized, Outcome } from '../exchange.ts'
import type { Reason } from '../refusal.ts'
import { questionOf } from './authorize.ts'

/** @throws Refusal `budget_exhausted` */
export function reserve(authorized: Authorized, budgets: Budgets): Authorized | Promise<Authorized> {
  if (budgets.isEmpty) return authorized
  const reserved = budgets.reserve(questionOf(authorized, authorized.receivedAt), authorized.destination.name)
  return reserved === undefined ? authorized : reserved.then((spending) => ({ ...authorized, spending }))
}

/** With these nothing was sent to an upstream. */
const neverSent: ReadonlySet<Reason> = new Set([
  'blocked_address',
  'upstream_unresolved',
  'upstream_unreachable',
  'upstream_untrusted',
  'upstream_svid_invalid',
  'upstream_wrong_identity',
  'upstream_rejected_certificate',
  'client_certificate_unavailable',
])

/** To be called once, before it is recorded. */
export function settle({ exchange, kind, refusal, answer }: Outcome): void {
  const { spending, outgoing } = exchange
  if (spending === undefined) return
  const left = kind === 'tunnel' || outgoing !== undefined
  spending.settle({
    sent: left && !(refusal !== undefined && neverSent.has(refusal.reason)),
    // One that we withheld may have cost as much as any.
    failed: refusal === undefined && answer !== undefined && answer.status >= 400,
  })
}
