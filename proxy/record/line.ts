// The canonical record.
export interface AuditRecord {
  readonly v: 1
}
