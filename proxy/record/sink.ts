// Where records go.
import type { AuditRecord } from './line.ts'

export interface RecordSink {
  readonly name: string
  /** False from the first write that failed until one has succeeded again. */
  readonly healthy: boolean
  write(record: AuditRecord): void | Promise<void>
  flush(): Promise<void>
}
