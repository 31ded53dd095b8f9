import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { fingerprinter } from '../../../proxy/record/fingerprint.ts'
import { gapOf, intentOf, type RecordContext, recordOf } from '../../../proxy/record/line.ts'
import { lineOf } from '../../../proxy/record/line-text.ts'
import { auditRecord } from '../../../proxy/record/schema.ts'
import { Refusal } from '../../../proxy/refusal.ts'
import { Secret } from '../../../proxy/secret.ts'
import { type Authorized, anExchange, anOutcome } from './exchanges.ts'
import { canary, failedConnections, outcomes } from './outcomes.ts'

const context: RecordContext = {
  policyVersion: 'p1',
  fingerprint: fingerprinter(new Uint8Array(32).fill(7)),
  placementOf: () => 'bearer',
}

describe('what a record never says', () => {
  test('no value of query, header, cookie or secret is in the record of any exchange', () => {
    fc.assert(
      fc.property(outcomes, (outcome) => {
        expect(lineOf(recordOf(outcome, context))).not.toContain(canary)
      }),
      { numRuns: 2_000 },
    )
  })

  test('nor in that of any failed connection', () => {
    fc.assert(
      fc.property(failedConnections, (failed) => {
        expect(lineOf(recordOf(failed, context))).not.toContain(canary)
      }),
    )
  })

  test('nor in that of any intent', () => {
    fc.assert(
      fc.property(outcomes, ({ exchange }) => {
        fc.pre(exchange.grant !== undefined && exchange.destination !== undefined)
        expect(lineOf(intentOf(exchange as Authorized, context))).not.toContain(canary)
      }),
    )
  })

  test('a long path and a long detail are cut', () => {
    const record = recordOf(
      anOutcome({
        exchange: anExchange({ path: `/${'a'.repeat(9_000)}` }),
        refusal: new Refusal('no_rule', { detail: 'd'.repeat(9_000) }),
      }),
      context,
    )
    expect(record.request?.path).toHaveLength(4_097)
    expect(record.refusal?.detail).toHaveLength(1_025)
  })

  test('a control character in a path cannot begin a line of its own', () => {
    const line = lineOf(recordOf(anOutcome({ exchange: anExchange({ path: '/a\nb\u0000c\ud800' }) }), context))
    expect(line).not.toMatch(/[\x00-\x1f]/)
    expect(JSON.parse(line).request.path).toBe('/a\nb\u0000c\ud800')
  })
})

describe('what a record says', () => {
  test('every record fits the closed schema, and its line reads back as the same', () => {
    fc.assert(
      fc.property(fc.oneof(outcomes, failedConnections), (outcome) => {
        const read = JSON.parse(lineOf(recordOf(outcome, context)))
        expect(auditRecord.parse(read)).toEqual(read)
      }),
      { numRuns: 1_000 },
    )
  })

  test('the schema refuses a field that it does not name', () => {
    const record = { ...recordOf(anOutcome({}), context), extra: 1 }
    expect(auditRecord.safeParse(JSON.parse(JSON.stringify(record))).success).toBe(false)
  })

  test('a denial names rule, reason, what was expected, and the rules in shadow', () => {
    const { decision, refusal, outcome, response } = recordOf(
      anOutcome({
        refusal: new Refusal('denied_by_rule', {
          rule: 'nobody-deletes',
          detail: 'methods: expected DELETE, found DELETE',
          shadows: [{ rule: 'soon', would: 'allow' }],
        }),
      }),
      context,
    )
    expect(decision).toEqual({
      verdict: 'deny',
      rule: 'nobody-deletes',
      reason: 'denied_by_rule',
      policy_version: 'p1',
      shadows: [{ rule: 'soon', would: 'allow' }],
    })
    expect(refusal).toEqual({ reason: 'denied_by_rule', detail: 'methods: expected DELETE, found DELETE' })
    expect([outcome, response?.status]).toEqual(['refused', 403])
  })

  test('a connection to a host that no rule allows is a denial by the policy, before any request', () => {
    const { connection } = anExchange()
    const refusal = new Refusal('no_rule', { detail: 'no rule could allow it anything there' })
    const times = { receivedAt: 1_000, endedAt: 1_003 }
    const failed = {
      kind: 'connection',
      id: 'c',
      connection,
      caller: undefined,
      host: 'evil.example',
      refusal,
      ...times,
    } as const
    expect(recordOf(failed, context)).toMatchObject({
      outcome: 'refused',
      decision: { verdict: 'deny', reason: 'no_rule', policy_version: 'p1' },
      destination: { host: 'evil.example' },
      ms: { total: 3 },
    })
  })

  test('what ended before the policy was asked has no decision', () => {
    const record = recordOf(anOutcome({ refusal: new Refusal('svid_expired') }), context)
    expect(record.decision).toBeUndefined()
    expect(record.refusal?.reason).toBe('svid_expired')
  })

  test.each([
    ['blocked_address', 'refused'],
    ['secret_echoed', 'refused'],
    ['response_uninspectable', 'refused'],
    ['upstream_timeout', 'failed'],
    ['client_gone', 'failed'],
    ['client_rejected_certificate', 'failed'],
    ['internal_error', 'failed'],
  ] as const)('%s counts as %s', (reason, outcome) => {
    expect(recordOf(anOutcome({ refusal: new Refusal(reason) }), context).outcome).toBe(outcome)
  })

  test('an answer that broke off counts as failed, though nothing was refused', () => {
    expect(recordOf(anOutcome({ ended: 'upstream_gone' }), context).outcome).toBe('failed')
    expect(recordOf(anOutcome({ ended: 'complete' }), context).outcome).toBe('allowed')
  })

  test('a credential that was not to be had is still named', () => {
    const exchange = anExchange({ grant: { credential: 'crm-token' } })
    const record = recordOf(anOutcome({ exchange, refusal: new Refusal('credential_unavailable') }), context)
    expect(record.credential).toEqual({ name: 'crm-token' })
    expect(record.decision?.verdict).toBe('allow')
  })

  test('the expiry counts from the arrival of the request, and the same secret has the same fingerprint', () => {
    const secret = new Secret('crm-token', 's3cret')
    const lease = {
      credential: 'crm-token',
      kind: 'env',
      secret,
      username: undefined,
      scopes: ['r'],
      cache: 'hit',
    } as const
    const record = () =>
      recordOf(
        anOutcome({
          exchange: anExchange({ grant: { credential: 'crm-token' }, lease: { ...lease, expiresAt: 61_500 } }),
        }),
        context,
      ).credential
    expect(record()?.expires_in_s).toBe(60)
    expect(record()?.fingerprint).toBe(record()?.fingerprint)
    expect(record()?.fingerprint).toBe(secret.fingerprint(new Uint8Array(32).fill(7)))
  })

  test('a finding of the request that the answer carries on is told once', () => {
    const finding = { kind: 'agent_credential_removed', where: 'header:authorization' } as const
    const outcome = anOutcome({
      exchange: anExchange({ grant: {}, findings: [finding] }),
      answer: { status: 200, address: undefined, findings: [finding] },
    })
    expect(recordOf(outcome, context).findings).toHaveLength(1)
  })

  test('a gap says how many records are missing', () => {
    expect(auditRecord.parse(gapOf('019b2c3d-4e5f-7a6b-8c7d-9e0f1a2b3c4d', 0, 12))).toEqual({
      v: 1,
      time: '1970-01-01T00:00:00.000Z',
      id: '019b2c3d-4e5f-7a6b-8c7d-9e0f1a2b3c4d',
      kind: 'gap',
      lost: 12,
    })
  })

  test('a time that the clock set back cannot make a negative duration', () => {
    expect(recordOf(anOutcome({ endedAt: 900 }), context).ms?.total).toBe(0)
  })
})
