// What all that is opened here shares: how it is told of, what time it is, what is in force, what is closed again at the end.
import type { Config } from '../../proxy/config/schema.ts'
import type { IsOwn } from '../../proxy/forward/connector.ts'
import type { Resolve } from '../../proxy/forward/resolver.ts'
import type { Diagnostics } from '../../proxy/record/diagnostics.ts'
import type { Metrics } from '../../proxy/record/metrics.ts'
import type { Readiness } from '../../proxy/record/readiness.ts'

export interface House {
  readonly environment: Readonly<Record<string, string | undefined>>
  /** Epoch milliseconds. */
  readonly now: () => number
  readonly log: Diagnostics
  readonly metrics: Metrics
  readonly readiness: Readiness
  readonly isOwn: IsOwn
  /** As in force now. */
  readonly config: () => Config
  readonly resolve: Resolve
  /** To be called at the end, the last first. */
  readonly closes: (close: () => Promise<unknown> | unknown) => void
}
