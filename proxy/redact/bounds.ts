// How far answers to requests with a credential are looked into. A row of docs/limits.md each.
import { ampleBytes, ampleRatio, mostCodings } from './decode.ts'
import { mostDue } from './websocket.ts'

export const echoBounds = [
  {
    limit: 'Content codings on top of each other',
    value: mostCodings,
    unit: 'count',
    does: 'reject',
    how: '`response_uninspectable` (502)',
    metric: 'postern_requests_total',
    test: ['test/proxy/redact/decode.test.ts', 'gzip, gzip, gzip, gzip'],
  },
  {
    limit: `Decoded body, when it is also more than ${ampleRatio} times its coded size`,
    value: ampleBytes,
    unit: 'bytes',
    does: 'close',
    how: '`response_uninspectable` (502)',
    metric: 'postern_requests_total',
    test: ['test/proxy/redact/decode.test.ts', '250 times'],
  },
  {
    limit: 'Frames of a WebSocket that wait while a find is open',
    value: mostDue,
    unit: 'count',
    does: 'close',
    how: '`response_uninspectable`',
    metric: 'postern_requests_total',
    test: [
      'test/path/websocket.test.ts',
      'is cut when more frames wait for the end of what may be the credential than may, and not before',
    ],
  },
] as const
