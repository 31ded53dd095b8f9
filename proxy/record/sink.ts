// What the pipeline tells, and where records go.
import type { Authorized, FailedConnection, Outcome } from '../exchange.ts'
import type { AuditRecord } from './line.ts'

/** What the pipeline talks to. */
export interface Journal {
  /**
   * Before a request leaves; waits where the configured durability asks for it.
   * @throws Refusal `records_unavailable` when it would carry a credential and could not be recorded
   */
  intent(exchange: Authorized): void | Promise<void>
  /** How it ended. Never throws. */
  record(outcome: Outcome | FailedConnection, policyVersion: string): void
}

export interface RecordSink {
  readonly name: string
  /** False from the first write that failed until one has succeeded again. */
  readonly healthy: boolean
  /** Takes it, to be written soon. Costs microseconds and never throws. */
  write(record: AuditRecord): void
  /** Resolves when it can no longer be lost with this process; rejects when it could not be written. */
  commit(record: AuditRecord): Promise<void>
  /** Resolves when everything taken so far is written; rejects when that fails. */
  flush(): Promise<void>
  /** Looks for the place by its name again, as after a rotation. */
  reopen(): void
  close(): Promise<void>
}
