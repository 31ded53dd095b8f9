// What orders to stop may be. A row of docs/limits.md each.
import { largestOrder } from './drop.ts'
import { largestFeed } from './feed-document.ts'

export const stopBounds = [
  {
    limit: 'File of the folder of stops',
    value: largestOrder,
    unit: 'bytes',
    does: 'reject',
    how: 'it stops nothing, and that is logged',
    metric: 'postern_stops_active',
    test: ['test/proxy/stop/drop.test.ts', 'that is too large'],
  },
  {
    limit: 'Feed of stops',
    value: largestFeed,
    unit: 'bytes',
    does: 'shed',
    how: 'the one before stays, until it is stale',
    metric: 'postern_stop_feed_failures_total',
    test: ['test/cli/stops.test.ts', 'that is too large'],
  },
] as const
