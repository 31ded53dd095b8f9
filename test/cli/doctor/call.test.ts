// What the answer to a call says, and what its record says.
import { describe, expect, it } from 'vitest'
import { judgeCall, judgeInjection } from '../../../cli/doctor/call.ts'
import type { AuditRecord } from '../../../proxy/record/line.ts'

const answer = (status: number, headers: Record<string, string>, body = '') => ({
  status,
  headers,
  body,
  certificate: undefined,
})
const id = '019b2c3d-4e5f-7a6b-8c7d-9e0f1a2b3c4d'

describe('a call', () => {
  it('that did not come through the proxy is red, whatever it got', () => {
    expect(judgeCall(answer(200, { server: 'nginx' }))).toMatchObject({
      state: 'red',
      saw: expect.stringContaining('did not come through the proxy'),
    })
  })

  it('that was refused is red, with the reason and what to do next', () => {
    const headers = { 'postern-request-id': id, 'postern-reason': 'no_rule' }
    expect(judgeCall(answer(403, headers, '{"next":"Ask for a rule."}'))).toEqual({
      state: 'red',
      saw: `It was refused: no_rule (request ${id}).`,
      todo: `Ask for a rule. \`postern why ${id}\` says more.`,
    })
    expect(judgeCall(answer(403, headers, 'no JSON'))).toMatchObject({
      state: 'red',
      todo: `\`postern why ${id}\` says more.`,
    })
  })

  it('that the API does not take the credential of is red', () => {
    for (const status of [401, 403])
      expect(judgeCall(answer(status, { 'postern-request-id': id }))).toMatchObject({
        state: 'red',
        saw: expect.stringContaining(`answered ${status}`),
      })
  })

  it('that is answered is green, and says its id', () => {
    for (const status of [200, 204, 302, 404])
      expect(judgeCall(answer(status, { 'postern-request-id': id }))).toEqual({
        state: 'green',
        saw: `Answered ${status}, as request ${id}.`,
      })
  })
})

describe('the record of a call', () => {
  const record = (more: Partial<AuditRecord>): AuditRecord => ({
    v: 1,
    time: '2026-01-01T00:00:00.000Z',
    id,
    kind: 'request',
    outcome: 'allowed',
    decision: { verdict: 'allow', rule: 'a-rule', policy_version: 'x' },
    ...more,
  })

  it('is green where the credential was put in', () => {
    const injected = { placement: 'bearer' }
    expect(judgeInjection(record({ credential: { name: 'key' }, injected }))).toEqual({
      state: 'green',
      saw: 'Credential key was put in as bearer, for rule a-rule.',
    })
  })

  it('is red where there was one and it was not', () => {
    expect(judgeInjection(record({ credential: { name: 'key' } }))).toMatchObject({
      state: 'red',
      todo: expect.stringContaining('stand-in'),
    })
  })

  it('proves nothing where there was none to put in', () => {
    expect(judgeInjection(record({}))).toMatchObject({
      state: 'skipped',
      saw: expect.stringContaining('names no credential'),
    })
    expect(judgeInjection(record({ outcome: 'refused' }))).toMatchObject({ state: 'skipped' })
  })
})
