// Records that tell of something else than a request: handoffs, stops, and what became of the records themselves; in one sentence each.
import type { AuditRecord } from './line.ts'
import type { Colour } from './terminal-text.ts'

export interface EventText {
  readonly text: string
  readonly colour: Colour
}

/** undefined: it is about a request or a connection. */
export function eventOf(record: AuditRecord): EventText | undefined {
  switch (record.kind) {
    case 'gap':
      return { text: `${record.lost ?? 0} records were lost here`, colour: 'red' }
    case 'delegation':
      return handoff(record)
    case 'stop':
      return stop(record)
    case 'checkpoint':
      return { text: `checkpoint over the records up to ${record.checkpoint?.seq ?? '?'}`, colour: 'grey' }
    case 'audit':
      return { text: amiss(record), colour: 'red' }
    default:
      return undefined
  }
}

function handoff({ delegation, principal, txn }: AuditRecord): EventText {
  if (delegation === undefined) return { text: 'a handoff of which nothing is known', colour: 'yellow' }
  const { event, from, to, granted, reason } = delegation
  const right = granted === undefined || granted.scopes.length === 0 ? '' : ` with ${granted.scopes.join(' ')}`
  const way = `${from?.spiffe_id ?? principal?.id ?? 'the root'} → ${to.spiffe_id}`
  const ended = event === 'delegation.denied' || event === 'delegation.revoked'
  return {
    text: `${event} ${way}${right}${reason === undefined ? '' : `: ${reason}`}${txn === undefined ? '' : ` (txn ${txn})`}`,
    colour: ended ? 'red' : 'grey',
  }
}

function stop({ stop: order }: AuditRecord): EventText {
  if (order === undefined) return { text: 'a stop of which nothing is known', colour: 'yellow' }
  const { event, what, reason, by } = order
  const who = by.uid === undefined ? '' : ` by uid ${by.uid}`
  const which = what.id === undefined ? what.kind : `${what.kind} ${what.id}`
  return {
    text: `${event} ${which}${who}${reason === undefined ? '' : `: ${reason}`}`,
    colour: event === 'stop.ordered' ? 'red' : 'green',
  }
}

function amiss({ audit }: AuditRecord): string {
  return audit?.event === 'mismatch'
    ? `at the start, record ${audit.at_seq ?? '?'} did not follow from the one before it`
    : `a record was cut off here after ${audit?.bytes ?? '?'} bytes, when an earlier process ended`
}
