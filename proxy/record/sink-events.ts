// What happens when records cannot be written: the operator hears of it in every place where he may look.
import type { Diagnostics } from './diagnostics.ts'
import type { SinkEvents } from './line-sink.ts'
import type { Metrics } from './metrics.ts'
import type { Readiness } from './readiness.ts'
import type { RecordsSettings } from './settings.ts'

export interface Alarms {
  readonly log: Diagnostics
  readonly metrics: Metrics
  readonly readiness: Readiness
  readonly settings: Pick<RecordsSettings, 'to' | 'whenFull'>
}

export function sinkEvents({ log, metrics, readiness, settings: { to, whenFull } }: Alarms): SinkEvents {
  const consequence =
    whenFull === 'refuse' ? 'requests that would carry a credential are refused' : 'requests go unrecorded'
  return {
    failed(error) {
      log.error({ err: error, to }, `records cannot be written; ${consequence}`)
      metrics.recordsHealthy.set(0)
      if (whenFull === 'refuse') readiness.notReady('records', 'records cannot be written')
    },
    recovered(lost) {
      log.warn({ lost, to }, 'records are written again')
      metrics.recordsHealthy.set(1)
      readiness.ready('records')
    },
    dropped: () => metrics.recordsDropped.add(1),
  }
}
