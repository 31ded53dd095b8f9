// What the pipeline talks to: makes the records, hands them to the sink, and refuses what could not be recorded.
import type { Authorized, FailedConnection, Outcome } from '../exchange.ts'
import { Refusal } from '../refusal.ts'
import { type AuditRecord, intentOf, type RecordContext, recordOf } from './line.ts'
import type { RecordsSettings } from './settings.ts'
import type { Journal, RecordSink } from './sink.ts'

export interface JournalSurroundings extends Pick<RecordContext, 'fingerprint' | 'placementOf'> {
  readonly sink: RecordSink
  readonly settings: Pick<RecordsSettings, 'durability' | 'whenFull'>
  /** The version of the policy in force, for intents. */
  readonly policyVersion: () => string
  /** Sees each record, for the metrics. */
  readonly observe: (record: AuditRecord) => void
  /** A record could not be made: a mistake of ours. */
  readonly failed: (error: unknown) => void
}

/** Seconds after which the agent may try again. */
const retryAfter = 5

export function auditJournal(surroundings: JournalSurroundings): Journal {
  const { sink, settings, observe, failed, fingerprint, placementOf, policyVersion } = surroundings

  function refuse(exchange: Authorized, cause?: unknown): void {
    // A request without a credential can do no more than its agent could by itself; one with ours must not go unrecorded.
    if (exchange.grant.credential === undefined || settings.whenFull === 'drop') return
    throw new Refusal('records_unavailable', { detail: `${sink.name} cannot be written`, retryAfter, cause })
  }

  async function committed(exchange: Authorized): Promise<void> {
    try {
      await sink.commit(intentOf(exchange, { policyVersion: policyVersion(), fingerprint, placementOf }))
    } catch (error) {
      refuse(exchange, error)
    }
  }

  return {
    intent(exchange) {
      if (!sink.healthy) return refuse(exchange)
      return settings.durability === 'intent' ? committed(exchange) : undefined
    },
    record(outcome: Outcome | FailedConnection, policyVersion: string) {
      try {
        const record = recordOf(outcome, { policyVersion, fingerprint, placementOf })
        sink.write(record)
        observe(record)
      } catch (error) {
        failed(error)
      }
    },
  }
}
