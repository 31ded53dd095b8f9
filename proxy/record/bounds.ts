// What is kept of records and metrics while they cannot be written or read. A row of docs/limits.md each.
import { largestBody } from './admin-answers.ts'
import { mostFindings } from './audit/verify.ts'
import { longestPath, longestText } from './line.ts'
import { writerLimits } from './line-writer.ts'
import { otlpLimits } from './otlp.ts'
import { mostKeys } from './query-keys.ts'
import { mostSeries } from './registry.ts'

export const recordBounds = [
  {
    limit: 'Characters of records that wait while none can be written',
    value: writerLimits.backlog,
    unit: 'count',
    does: 'shed',
    how: 'records are dropped whole and counted, `gap` stands for them',
    metric: 'postern_log_dropped_total',
    test: [
      'test/proxy/record/file-sink.test.ts',
      'lines that come faster than the bound are dropped whole, and that counts as unhealthy',
    ],
  },
  {
    limit: 'Time a record waits for others',
    value: writerLimits.linger,
    unit: 'ms',
    does: 'shed',
    how: 'it is written then',
    metric: 'postern_records_healthy',
    test: ['test/proxy/record/line-writer.test.ts', 'waits for others for so long, and is written with them then'],
  },
  {
    limit: 'Time a write may take',
    value: writerLimits.stall,
    unit: 'ms',
    does: 'shed',
    how: 'records count as unhealthy, see [operations](operations.md#when-the-disk-is-full)',
    metric: 'postern_records_healthy',
    test: ['test/proxy/record/line-writer.test.ts', 'that does not come back in time counts as trouble until it does'],
  },
  {
    limit: 'Characters of copies that wait for a collector',
    value: otlpLimits.backlog,
    unit: 'count',
    does: 'shed',
    how: 'copies are dropped and counted',
    metric: 'postern_otlp_dropped_total',
    test: [
      'test/proxy/record/otlp.test.ts',
      'because it is gone costs nothing but the copies beyond the bound, which are counted',
    ],
  },
  {
    limit: 'Time a collector may take to answer',
    value: otlpLimits.patience,
    unit: 'ms',
    does: 'shed',
    how: 'the message is sent again',
    metric: 'postern_otlp_healthy',
    test: ['test/proxy/record/otlp.test.ts', 'patience: 100'],
  },
  {
    limit: 'Findings that verification lists',
    value: mostFindings,
    unit: 'count',
    does: 'shed',
    how: 'the rest is counted',
    metric: undefined,
    test: ['test/proxy/record/audit/verify.test.ts', 'signedLines(mostFindings + 50)'],
  },
  {
    limit: 'Names of query parameters in a record',
    value: mostKeys,
    unit: 'count',
    does: 'shed',
    how: 'the rest is not recorded',
    metric: 'postern_requests_total',
    test: ['test/proxy/record/query-keys.test.ts', 'a long name is cut and a long list ends'],
  },
  {
    limit: 'Characters of a path in a record',
    value: longestPath,
    unit: 'count',
    does: 'shed',
    how: 'it is cut',
    metric: 'postern_requests_total',
    test: ['test/proxy/record/line.test.ts', 'a long path and a long detail are cut'],
  },
  {
    limit: 'Characters of any other text in a record',
    value: longestText,
    unit: 'count',
    does: 'shed',
    how: 'it is cut',
    metric: 'postern_requests_total',
    test: ['test/proxy/record/line.test.ts', 'a long path and a long detail are cut'],
  },
  {
    limit: 'Series of a metric',
    value: mostSeries,
    unit: 'count',
    does: 'shed',
    how: 'further ones are counted as `other`',
    metric: 'postern_requests_total',
    test: ['test/proxy/record/metrics.test.ts', 'label values are bounded: beyond 2,000 series the rest is one'],
  },
  {
    limit: 'Body on the admin socket',
    value: largestBody,
    unit: 'bytes',
    does: 'reject',
    how: '(413)',
    metric: 'postern_stops_active',
    test: ['test/cli/kill.test.ts', 'A body has at most 16384 bytes.'],
  },
] as const
