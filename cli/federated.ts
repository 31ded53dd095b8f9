// How the bundles of federated trust domains are, in a line each.

import { printable } from '../proxy/config/problems.ts'
import type { AdminStatus } from '../proxy/record/admin-protocol.ts'

export type FederatedStatus = NonNullable<AdminStatus['federation']>[number]

const states: Readonly<Record<FederatedStatus['state'], string>> = {
  waiting: 'no bundle yet, its callers are refused',
  held: 'trusted',
  empty: 'its bundle is empty, its callers are refused',
}

export function federatedLine(status: FederatedStatus): string {
  const { trust_domain, state, sequence, refreshed_at, next_refresh, problem } = status
  return [
    `federated ${trust_domain}: ${states[state]}`,
    ...(sequence === undefined ? [] : [`sequence ${sequence}`]),
    ...(refreshed_at === undefined ? [] : [`read ${refreshed_at}`]),
    ...(next_refresh === undefined ? [] : [`next ${next_refresh}`]),
    ...(problem === undefined ? [] : [`last problem: ${printable(problem)}`]),
  ].join(', ')
}
