// What upstreams may send, and how long they are waited for. A row of docs/limits.md each.
import { mostWaiting } from './answer.ts'
import { largestAnswerHead } from './dispatcher.ts'
import { mostLookups } from './lookups.ts'
import { mostRemembered } from './recent.ts'
import { destinationSchema } from './settings.ts'

const { timeouts } = destinationSchema.parse({ hosts: ['api.example'] })

export const upstreamBounds = [
  {
    limit: 'Head of an answer',
    value: largestAnswerHead,
    unit: 'bytes',
    does: 'close',
    how: '`upstream_protocol` (502)',
    metric: 'postern_requests_total',
    test: ['test/proxy/forward/dispatcher.test.ts', 'answers with a head of 100 KB'],
  },
  {
    limit: 'Bytes of an answer that wait for the agent',
    value: mostWaiting,
    unit: 'bytes',
    does: 'shed',
    how: 'the upstream is paused until the agent takes them',
    metric: 'postern_bytes_sent_total',
    test: ['test/path/large-bodies.test.ts', 'comes down'],
  },
  {
    limit: 'Names of one destination being resolved at once',
    value: mostLookups,
    unit: 'count',
    does: 'shed',
    how: 'the others wait, `upstream_timeout` (504) after `timeouts.connect`',
    metric: 'postern_requests_total',
    test: [
      'test/proxy/forward/lookups.test.ts',
      'are resolved a few at a time, in the order in which they were asked for',
    ],
  },
  {
    limit: 'Hosts of one destination that are remembered, with their TLS sessions',
    value: mostRemembered,
    unit: 'count',
    does: 'shed',
    how: 'the oldest is forgotten',
    metric: 'postern_upstream_hosts_remembered',
    test: ['test/proxy/forward/recent.test.ts', 'keeps what was set last, and no more than a bound'],
  },
  {
    limit: 'Resolving and connecting, TLS included (`timeouts.connect`)',
    value: timeouts.connect,
    unit: 'ms',
    does: 'reject',
    how: '`upstream_timeout` (504)',
    metric: 'postern_requests_total',
    test: ['test/proxy/forward/dispatcher.test.ts', 'upstream_timeout'],
  },
  {
    limit: 'Until the head of the answer (`timeouts.headers`)',
    value: timeouts.headers,
    unit: 'ms',
    does: 'reject',
    how: '`upstream_timeout` (504)',
    metric: 'postern_requests_total',
    test: ['test/proxy/forward/dispatcher.test.ts', 'upstream_timeout'],
  },
  {
    limit: 'Without a byte in a body, a tunnel or a WebSocket (`timeouts.idle`)',
    value: timeouts.idle,
    unit: 'ms',
    does: 'close',
    how: '`upstream_timeout`',
    metric: 'postern_requests_total',
    test: ['test/path/websocket.test.ts', 'in which nothing is said for the time that the destination gives is cut'],
  },
  {
    limit: 'Body of an answer',
    value: 'none',
    unit: 'text',
    does: 'shed',
    how: 'it streams',
    metric: 'postern_bytes_sent_total',
    test: ['test/path/large-bodies.test.ts', 'comes down'],
  },
] as const
