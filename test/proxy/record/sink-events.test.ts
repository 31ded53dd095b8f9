import { expect, test } from 'vitest'
import { diagnostics } from '../../../proxy/record/diagnostics.ts'
import { posternMetrics } from '../../../proxy/record/metrics.ts'
import { Readiness } from '../../../proxy/record/readiness.ts'
import { sinkEvents } from '../../../proxy/record/sink-events.ts'

function alarms(whenFull: 'refuse' | 'drop') {
  const lines: string[] = []
  const log = diagnostics({ to: { write: (line) => void lines.push(line) } })
  const metrics = posternMetrics({ version: '1', node: '26' })
  const readiness = new Readiness([])
  return {
    lines,
    metrics,
    readiness,
    events: sinkEvents({ log, metrics, readiness, settings: { to: 'stdout', whenFull } }),
  }
}

test('trouble with records is logged, counted, and seen at /readyz until it is over', () => {
  const { lines, metrics, readiness, events } = alarms('refuse')
  events.failed(new Error('ENOSPC'))
  events.dropped()
  events.dropped()
  expect(JSON.parse(lines[0] ?? '')).toMatchObject({
    level: 'error',
    message: 'records cannot be written; requests that would carry a credential are refused',
    err: { message: 'ENOSPC' },
  })
  expect(metrics.registry.text()).toContain('postern_records_healthy 0\n')
  expect(metrics.registry.text()).toContain('postern_log_dropped_total 2\n')
  expect(readiness.reasons).toEqual([{ check: 'records', why: 'records cannot be written' }])
  events.recovered(2)
  expect(JSON.parse(lines[1] ?? '')).toMatchObject({ level: 'warn', message: 'records are written again', lost: 2 })
  expect(metrics.registry.text()).toContain('postern_records_healthy 1\n')
  expect(readiness.isReady).toBe(true)
})

test('where records may be dropped, the proxy stays ready', () => {
  const { readiness, events } = alarms('drop')
  events.failed(new Error('ENOSPC'))
  expect(readiness.isReady).toBe(true)
})
