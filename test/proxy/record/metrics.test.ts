import { readFileSync } from 'node:fs'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { fingerprinter } from '../../../proxy/record/fingerprint.ts'
import { recordOf } from '../../../proxy/record/line.ts'
import { observer, posternMetrics } from '../../../proxy/record/metrics.ts'
import { processMetrics } from '../../../proxy/record/process-metrics.ts'
import { Registry } from '../../../proxy/record/registry.ts'
import { Refusal } from '../../../proxy/refusal.ts'
import { Secret } from '../../../proxy/secret.ts'
import { anExchange, anOutcome } from './exchanges.ts'
import { canary, failedConnections, outcomes } from './outcomes.ts'

const context = { policyVersion: 'p', fingerprint: fingerprinter(new Uint8Array(32)), placementOf: () => undefined }

describe('the exposition format', () => {
  test('help, type and value, with what would break a line escaped', () => {
    const registry = new Registry()
    registry.counter('a_total', 'Counts\nwith \\.', ['rule']).add(2, 'say "no"\n\\')
    expect(registry.text()).toBe(
      '# HELP a_total Counts\\nwith \\\\.\n# TYPE a_total counter\na_total{rule="say \\"no\\"\\n\\\\"} 2\n',
    )
  })

  test('a counter without labels is there from the start', () => {
    const registry = new Registry()
    registry.counter('a_total', 'A.')
    expect(registry.text()).toContain('\na_total 0\n')
  })

  test('histogram buckets add up', () => {
    const registry = new Registry()
    const histogram = registry.histogram('d_seconds', 'D.', [0.1, 1])
    for (const value of [0.1, 0.5, 7]) histogram.observe(value)
    expect(registry.text().split('\n').slice(2, -1)).toEqual([
      'd_seconds_bucket{le="0.1"} 1',
      'd_seconds_bucket{le="1"} 2',
      'd_seconds_bucket{le="+Inf"} 3',
      'd_seconds_sum 7.6',
      'd_seconds_count 3',
    ])
  })

  test('a gauge that is read at the scrape may have no value now', () => {
    const registry = new Registry()
    let value: number | undefined
    registry.gauge('g', 'G.').from(() => value)
    expect(registry.text()).toBe('# HELP g G.\n# TYPE g gauge\n')
    value = 3
    expect(registry.text()).toContain('\ng 3\n')
  })

  test('a name stands once', () => {
    const registry = new Registry()
    registry.gauge('g', 'G.')
    expect(() => registry.counter('g', 'G.')).toThrow('g is there already')
  })

  test('label values are bounded: beyond 2,000 series the rest is one', () => {
    const registry = new Registry()
    const counter = registry.counter('a_total', 'A.', ['decision', 'rule'])
    for (let rule = 0; rule < 5_000; rule += 1) counter.add(1, 'allow', `rule-${rule}`)
    const lines = registry
      .text()
      .split('\n')
      .filter((line) => line.startsWith('a_total'))
    expect(lines).toHaveLength(2_001)
    expect(lines).toContain('a_total{decision="other",rule="other"} 3000')
  })
})

describe('what is counted', () => {
  test('requests by decision, rule and reason', () => {
    const metrics = posternMetrics({ version: '1', node: '26' })
    const observe = observer(metrics)
    observe(recordOf(anOutcome({ exchange: anExchange({ grant: { rule: 'r1' } }) }), context))
    observe(recordOf(anOutcome({ refusal: new Refusal('denied_by_rule', { rule: 'r2' }) }), context))
    observe(recordOf(anOutcome({ refusal: new Refusal('svid_expired') }), context))
    const text = metrics.registry.text()
    expect(text).toContain('postern_requests_total{decision="allow",rule="r1",reason=""} 1')
    expect(text).toContain('postern_requests_total{decision="deny",rule="r2",reason="denied_by_rule"} 1')
    expect(text).toContain('postern_requests_total{decision="none",rule="",reason="svid_expired"} 1')
  })

  test('bytes, durations, cache and findings', () => {
    const metrics = posternMetrics({ version: '1', node: '26' })
    const lease = {
      credential: 'crm-token',
      kind: 'env',
      secret: new Secret('s', 'x'),
      username: undefined,
      expiresAt: 61_000,
      scopes: undefined,
      cache: 'hit',
    } as const
    const exchange = anExchange({
      grant: { credential: 'crm-token' },
      lease,
      findings: [{ kind: 'agent_credential_removed', where: 'header:authorization', count: 2 }],
    })
    observer(metrics)(recordOf(anOutcome({ exchange, bytes: { sent: 10, received: 20 } }), context))
    const text = metrics.registry.text()
    for (const line of [
      'postern_bytes_sent_total 10',
      'postern_bytes_received_total 20',
      'postern_credential_cache_hits_total{credential="crm-token"} 1',
      'postern_credential_expiry_seconds{credential="crm-token"} 60',
      'postern_findings_total{kind="agent_credential_removed"} 2',
      'postern_upstream_request_duration_seconds_bucket{le="0.025"} 1',
      'postern_decision_duration_seconds_bucket{le="0.000005"} 1',
    ]) {
      expect(text.split('\n')).toContain(line)
    }
  })

  test('no value of a request, and no host, is ever a label', () => {
    const metrics = posternMetrics({ version: '1', node: '26' })
    const observe = observer(metrics)
    fc.assert(
      fc.property(fc.oneof(outcomes, failedConnections), (outcome) => {
        observe(recordOf(outcome, context))
        expect(metrics.registry.text()).not.toContain(canary)
        if (outcome.kind !== 'connection') expect(metrics.registry.text()).not.toContain(outcome.exchange.target.host)
      }),
      { numRuns: 50 },
    )
  })
})

test('the process tells its memory, time and lag', () => {
  const registry = new Registry()
  const stop = processMetrics(registry)
  const value = (name: string) => Number(registry.text().match(new RegExp(`^${name} (.*)$`, 'm'))?.[1])
  expect(value('process_resident_memory_bytes')).toBeGreaterThan(10e6)
  expect(value('process_cpu_seconds_total')).toBeGreaterThan(0)
  expect(Math.abs(value('process_start_time_seconds') - (Date.now() / 1_000 - process.uptime()))).toBeLessThan(5)
  expect(value('nodejs_eventloop_lag_seconds')).toBeGreaterThanOrEqual(0)
  stop()
})

test('docs/operations.md names every metric, and none that does not exist', () => {
  const { registry } = posternMetrics({ version: '1', node: '26' })
  processMetrics(registry)()
  const page = readFileSync(new URL('../../../docs/operations.md', import.meta.url), 'utf8')
  const rows = [...page.matchAll(/^\| `((?:postern|process|nodejs)_\w+)(?:\{([\w, ]*)\})?` \| (\w+) \| (.*) \|$/gm)]
  const documented = rows.map(([, name, labels, type, help]) => ({
    name,
    type,
    help,
    labels: labels === undefined ? [] : labels.split(', '),
  }))
  expect(documented).toEqual(registry.describe().map(({ name, type, help, labels }) => ({ name, type, help, labels })))
})
