// Which records somebody wants to see.
import type { AuditRecord } from './line.ts'

export interface Wanted {
  /** A pattern with `*`, for the whole SPIFFE ID or its last part. */
  readonly agent?: string | undefined
  readonly host?: string | undefined
  readonly outcome?: AuditRecord['outcome'] | undefined
  readonly reason?: string | undefined
  /** Epoch milliseconds. */
  readonly since?: number | undefined
}

export function filter({ agent, host, outcome, reason, since }: Wanted): (record: AuditRecord) => boolean {
  const isAgent = agent === undefined ? undefined : glob(agent)
  const isHost = host === undefined ? undefined : glob(host.toLowerCase())
  const from = since === undefined ? undefined : new Date(since).toISOString()
  return (record) => {
    const id = record.caller?.spiffe_id ?? ''
    return (
      (isAgent === undefined || isAgent.test(id) || isAgent.test(shortAgent(id))) &&
      (isHost === undefined || isHost.test(record.destination?.host ?? '')) &&
      (outcome === undefined || record.outcome === outcome) &&
      (reason === undefined || record.refusal?.reason === reason) &&
      // Both in UTC and of one length, so that text compares as time does.
      (from === undefined || record.time >= from)
    )
  }
}

/** The last part of a SPIFFE ID. */
export function shortAgent(id: string): string {
  return id.slice(id.lastIndexOf('/') + 1)
}

function glob(pattern: string): RegExp {
  const parts = pattern.split(/\*+/).map((part) => part.replace(/[\\^$.|?+()[\]{}]/g, '\\$&'))
  return new RegExp(`^${parts.join('.*')}$`, 's')
}
