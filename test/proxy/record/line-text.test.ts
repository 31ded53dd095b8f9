import fc from 'fast-check'
import { expect, test } from 'vitest'
import { fingerprinter } from '../../../proxy/record/fingerprint.ts'
import { intentOf, type RecordContext, recordOf } from '../../../proxy/record/line.ts'
import { lasting, lineOf } from '../../../proxy/record/line-text.ts'
import { type Authorized, anExchange, anOutcome } from './exchanges.ts'
import { failedConnections, outcomes } from './outcomes.ts'

const fingerprint = fingerprinter(new Uint8Array(32).fill(7))
const contexts: fc.Arbitrary<RecordContext> = fc.record({
  policyVersion: fc.constantFrom('p1', 'p2'),
  fingerprint: fc.constantFrom(fingerprint, fingerprinter(new Uint8Array(32).fill(8))),
  placementOf: fc.constant(() => 'bearer'),
})

test('the line of any exchange is what JSON.stringify writes, however often its parts have come before', () => {
  fc.assert(
    fc.property(fc.array(outcomes, { minLength: 1, maxLength: 4 }), contexts, contexts, (several, one, other) => {
      for (const context of [one, other, one])
        for (const outcome of several) {
          const record = recordOf(outcome, context)
          // Without the memory of parts: every value made anew.
          expect(lineOf(record)).toBe(JSON.stringify(structuredClone(record)))
          expect(lineOf(record)).toBe(JSON.stringify(record))
        }
    }),
    { numRuns: 1_000 },
  )
})

test('so is that of any failed connection and of any intent', () => {
  fc.assert(
    fc.property(failedConnections, contexts, (failed, context) => {
      const record = recordOf(failed, context)
      expect(lineOf(record)).toBe(JSON.stringify(record))
    }),
  )
  fc.assert(
    fc.property(outcomes, contexts, ({ exchange }, context) => {
      fc.pre(exchange.grant !== undefined && exchange.destination !== undefined)
      const record = intentOf(exchange as Authorized, context)
      expect(lineOf(record)).toBe(JSON.stringify(record))
    }),
  )
})

test('what a part says of one exchange is not said of the next, where it differs', () => {
  const lease = {
    credential: 'key',
    kind: 'env',
    secret: { name: 'key' } as never,
    username: undefined,
    expiresAt: 61_000,
    scopes: ['a'],
    cache: 'hit' as const,
  }
  const context: RecordContext = { policyVersion: 'p1', fingerprint: () => 'f', placementOf: () => 'bearer' }
  const at = (receivedAt: number, host: string) =>
    JSON.parse(
      lineOf(
        recordOf(
          anOutcome({ exchange: anExchange({ receivedAt, host, grant: { credential: 'key' }, lease }) }),
          context,
        ),
      ),
    )
  expect(at(1_000, 'a.example').credential.expires_in_s).toBe(60)
  expect(at(31_000, 'b.example').credential.expires_in_s).toBe(30)
  expect(at(31_000, 'b.example').destination.host).toBe('b.example')
  expect(at(31_000, 'a.example').destination.host).toBe('a.example')
})

test('a part that lasts is written as it was when it was marked', () => {
  const connection = lasting({ id: 'c' })
  expect(lineOf({ v: 1, time: 't', id: 'i', kind: 'gap', connection })).toBe(
    '{"v":1,"time":"t","id":"i","kind":"gap","connection":{"id":"c"}}',
  )
})
