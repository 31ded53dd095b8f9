// A request head in the making.
import { type Credentialed, type Finding, type Injected, OutgoingHead } from '../exchange.ts'
import type { Secret } from '../secret.ts'

export interface Draft {
  /** With the query. */
  path: string
  headers: string[]
  readonly findings: Finding[]
}

/** @param emitted each form of a secret that stands in the draft */
export function finish(
  exchange: Credentialed,
  { path, headers, findings }: Draft,
  emitted: readonly Secret[],
): Injected {
  return { ...exchange, outgoing: new OutgoingHead(exchange.method, path, headers), emitted, findings }
}
