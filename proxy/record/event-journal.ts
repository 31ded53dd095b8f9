// Writes down what is no request: handoffs between agents, and stops.
import { Refusal } from '../refusal.ts'
import type { Delegation, Stop } from './handoff-schema.ts'
import type { AuditRecord } from './line.ts'
import type { RecordsSettings } from './settings.ts'
import type { RecordSink } from './sink.ts'

export interface Handoff extends Pick<AuditRecord, 'principal' | 'txn' | 'chain' | 'decision'> {
  readonly delegation: Delegation
}

export interface EventJournal {
  /**
   * Resolves when it can no longer be lost; a use, of which there are many, when it will be written soon.
   * @throws Refusal `records_unavailable` when a handoff would go unrecorded and the configuration does not prefer that
   */
  recordHandoff(handoff: Handoff): Promise<void>
  /** @returns whether it is written down. A stop is carried out either way, so this never throws. */
  recordStop(order: Stop): Promise<boolean>
}

export interface EventSurroundings {
  readonly sink: RecordSink
  readonly settings: Pick<RecordsSettings, 'whenFull'>
  /** Epoch milliseconds. */
  readonly now: () => number
  readonly newId: (now: number) => string
}

/** Seconds after which the agent may try again. */
const retryAfter = 5

export function eventJournal({ sink, settings, now, newId }: EventSurroundings): EventJournal {
  const common = (): Pick<AuditRecord, 'v' | 'time' | 'id'> => {
    const time = now()
    return { v: 1, time: new Date(time).toISOString(), id: newId(time) }
  }
  return {
    async recordHandoff({ principal, chain, decision, txn, delegation }) {
      const record: AuditRecord = { ...common(), kind: 'delegation', principal, chain, decision, txn, delegation }
      if (delegation.event === 'delegation.used') {
        sink.write(record)
        return
      }
      try {
        await sink.commit(record)
      } catch (error) {
        // What takes a right away is done although nobody can write it down.
        if (settings.whenFull === 'drop' || delegation.event !== 'delegation.created') return
        throw new Refusal('records_unavailable', { detail: `${sink.name} cannot be written`, retryAfter, cause: error })
      }
    },
    async recordStop(stop) {
      try {
        await sink.commit({ ...common(), kind: 'stop', stop })
        return true
      } catch {
        return false
      }
    },
  }
}
