import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { filter } from '../../../proxy/record/filter.ts'
import { gapOf, intentOf, recordOf } from '../../../proxy/record/line.ts'
import { table } from '../../../proxy/record/table.ts'
import { harmless, painted, paintFor, plain, spanOfTime } from '../../../proxy/record/terminal-text.ts'
import { Refusal } from '../../../proxy/refusal.ts'
import { anAuthorized, anExchange, anOutcome } from './exchanges.ts'
import { failedConnections, outcomes } from './outcomes.ts'

const context = { policyVersion: 'p', fingerprint: () => 'f', placementOf: () => 'bearer' }
const allowed = recordOf(
  anOutcome({ exchange: anExchange({ grant: { credential: 'crm-token' }, query: '?q=x&page=2' }) }),
  context,
)
const refused = recordOf(anOutcome({ refusal: new Refusal('no_rule') }), context)

describe('a row', () => {
  test('tells time, id, agent, request, status, verdict, credential and duration', () => {
    const { heading, row } = table({ width: undefined, paint: plain })
    expect(heading.split(/ {2,}/)).toEqual(['TIME', 'ID', 'AGENT', 'REQUEST', 'ST', 'VERDICT', 'CREDENTIAL', 'TOOK'])
    expect(row(allowed)?.split(/ {2,}/)).toEqual([
      '1970-01-01T00:00:01.000Z',
      '1a2b3c4d',
      'researcher',
      'GET api.crm.example/v1/contacts?q&page',
      '200',
      '✓ researcher-reads-contacts',
      'crm-token (none)',
      '13 ms',
    ])
    expect(row(refused)).toContain('✗ no_rule')
  })

  test('is as wide as the terminal at most, and nothing but what has room', () => {
    const { row, heading } = table({ width: 80, paint: plain })
    expect(heading.length).toBeLessThanOrEqual(80)
    expect(heading).not.toContain('CREDENTIAL')
    const long = recordOf(anOutcome({ exchange: anExchange({ grant: {}, path: `/${'a'.repeat(200)}` }) }), context)
    expect(row(long)?.length).toBeLessThanOrEqual(80)
    expect(row(long)).toMatch(/GET api\.crm\.example\S*… {2}200/)
  })

  test('no record of any exchange breaks it, widens it, or steers the terminal', () => {
    fc.assert(
      fc.property(fc.oneof(outcomes, failedConnections), fc.integer({ min: 60, max: 200 }), (outcome, width) => {
        const text = table({ width, paint: plain }).row(recordOf(outcome, context)) ?? ''
        expect(text).not.toMatch(/[\x00-\x1f\x7f-\x9f\u202a-\u202e]/)
        expect(text.length).toBeLessThanOrEqual(Math.max(width, 75))
      }),
    )
  })

  test('an intent has none, and a gap says what is missing', () => {
    const { row } = table({ width: undefined, paint: plain })
    expect(row(intentOf(anAuthorized({ grant: {} }), context))).toBeUndefined()
    expect(row(gapOf('id', 1_000, 12))).toBe('1970-01-01T00:00:01.000Z  12 records were lost here')
  })

  test('colour stands only where something asks for attention', () => {
    const { row } = table({ width: undefined, paint: painted })
    expect(row(allowed)).not.toContain('\x1b')
    expect(row(refused)).toMatch(/^\x1b\[31m.*\x1b\[0m$/)
  })
})

describe('colour', () => {
  test.each([
    [true, undefined, true],
    [true, '', true],
    [true, '1', false],
    [false, undefined, false],
  ])('terminal: %s, NO_COLOR: %j → %s', (terminal, noColor, coloured) => {
    expect(paintFor(terminal, noColor)('x', 'red') !== 'x').toBe(coloured)
  })
})

test('what would steer a terminal is shown instead', () => {
  expect(harmless('a\x1b[2J\u202eb\r\n')).toBe('a\\u001b[2J\\u202eb\\u000d\\u000a')
})

test.each([
  [0, '0 ms'],
  [0.004, '4 µs'],
  [0.123, '0.12 ms'],
  [3.14, '3.1 ms'],
  [12.6, '13 ms'],
  [3_400, '3.4 s'],
  [125_000, '2 min 5 s'],
  [11_040_000, '3 h 4 min'],
])('%d ms reads %s', (milliseconds, text) => {
  expect(spanOfTime(milliseconds)).toBe(text)
})

describe('a filter', () => {
  test.each([
    [{}, true],
    [{ agent: 'researcher' }, true],
    [{ agent: 'research*' }, true],
    [{ agent: 'spiffe://acme.example/*' }, true],
    [{ agent: 'esearcher' }, false],
    [{ agent: 'r.searcher' }, false],
    [{ host: '*.CRM.example' }, true],
    [{ host: 'crm.example' }, false],
    [{ outcome: 'refused' as const }, false],
    [{ outcome: 'allowed' as const }, true],
    [{ reason: 'no_rule' }, false],
    [{ since: 1_000 }, true],
    [{ since: 1_001 }, false],
    [{ agent: 'researcher', host: 'other' }, false],
  ])('%j', (wanted, passes) => {
    expect(filter(wanted)(allowed)).toBe(passes)
  })
})
