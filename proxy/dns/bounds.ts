// What the DNS stub is asked and gives out. A row of docs/limits.md each.
import { mostAsked, mostUnderWay, mostWaiting } from './answer.ts'
import { longestQuery } from './message.ts'
import { mostPins } from './pins.ts'
import { mostStreams, streamIdle } from './stub.ts'
import { longestPrefix, mostLabels, mostNewNames } from './tunnels.ts'

export const dnsBounds = [
  {
    limit: 'DNS query',
    value: longestQuery,
    unit: 'bytes',
    does: 'reject',
    how: 'answered as malformed, a stream is closed',
    metric: 'postern_dns_queries_total',
    test: ['test/proxy/dns/stub.test.ts', 'closes a stream that announces more than a query can be'],
  },
  {
    limit: 'DNS resolutions under way at once',
    value: mostUnderWay,
    unit: 'count',
    does: 'reject',
    how: 'answered as failed',
    metric: 'postern_dns_queries_total',
    test: ['test/proxy/dns/stub.test.ts', 'asks for so many names at once and no more'],
  },
  {
    limit: 'DNS queries that wait for these, many perhaps for one name',
    value: mostWaiting,
    unit: 'count',
    does: 'reject',
    how: 'answered as failed',
    metric: 'postern_dns_queries_total',
    test: ['test/proxy/dns/stub.test.ts', 'lets so many queries wait for one name and no more'],
  },
  {
    limit: 'Resolutions with the system at once',
    value: mostAsked,
    unit: 'count',
    does: 'shed',
    how: 'the others wait, and are answered as failed after 5 s',
    metric: 'postern_dns_queries_total',
    test: ['test/proxy/forward/lookups.test.ts', 'of which more are allowed at once, for whoever says so'],
  },
  {
    limit: 'DNS streams open on one address',
    value: mostStreams,
    unit: 'count',
    does: 'close',
    how: '',
    metric: 'postern_dns_queries_total',
    test: ['test/proxy/dns/stub.test.ts', 'closes a stream that is one too many, and answers on the others'],
  },
  {
    limit: 'Time without a whole query on a DNS stream',
    value: streamIdle,
    unit: 'ms',
    does: 'close',
    how: '',
    metric: 'postern_dns_queries_total',
    test: ['test/proxy/dns/stub.test.ts', 'on which a query comes byte by byte and never whole'],
  },
  {
    limit: 'Characters in front of the suffix that a rule’s `*.suffix` leaves open, asked by DNS',
    value: longestPrefix,
    unit: 'count',
    does: 'reject',
    how: 'answered as no such name',
    metric: 'postern_dns_queries_total',
    test: ['test/proxy/dns/stub.test.ts', 'is what %s looks like'],
  },
  {
    limit: 'Labels there',
    value: mostLabels,
    unit: 'count',
    does: 'reject',
    how: 'answered as no such name',
    metric: 'postern_dns_queries_total',
    test: ['test/proxy/dns/stub.test.ts', 'a.b.c.d.e'],
  },
  {
    limit: 'New names below such suffixes in a minute',
    value: mostNewNames,
    unit: 'count',
    does: 'reject',
    how: 'answered as no such name',
    metric: 'postern_dns_queries_total',
    test: ['test/proxy/dns/stub.test.ts', 'of many short names runs dry, and names asked for before still work'],
  },
  {
    limit: 'Addresses remembered as given out',
    value: mostPins,
    unit: 'count',
    does: 'shed',
    how: 'the oldest is forgotten; a connection to it is looked into all the same',
    metric: 'postern_dns_queries_total',
    test: ['test/proxy/dns/pins.test.ts', 'are remembered, so many of them, and the oldest is forgotten'],
  },
] as const
