import { describe, expect, test } from 'vitest'
import { type AuditRecord, gapOf, intentOf, recordOf } from '../../../proxy/record/line.ts'
import { ocsfOf } from '../../../proxy/record/ocsf.ts'
import { Refusal } from '../../../proxy/refusal.ts'
import { anAuthorized, anExchange, anOutcome } from './exchanges.ts'

const context = { policyVersion: 'p1', fingerprint: () => 'f', placementOf: () => 'bearer' }
/** As it arrives: without what is absent. */
const event = (record: AuditRecord) => JSON.parse(JSON.stringify(ocsfOf(record, '1.2.3') ?? null))

test('a request that was refused is a failed and denied activity, with the reason', () => {
  const refusal = new Refusal('no_rule', { detail: 'none' })
  const record = recordOf(anOutcome({ exchange: anExchange({ grant: {} }), refusal }), context)
  expect(event(record)).toMatchObject({
    category_uid: 4,
    class_uid: 4_002,
    status_id: 2,
    status_detail: 'no_rule',
    action_id: 2,
    metadata: { version: '1.8.0', product: { name: 'Postern', version: '1.2.3' }, uid: record.id },
  })
})

test('what other events repeat is none', () => {
  expect(ocsfOf(intentOf(anAuthorized({ grant: {} }), context), '1')).toBeUndefined()
  expect(ocsfOf({ ...gapOf('c', 0, 0), kind: 'checkpoint' }, '1')).toBeUndefined()
})

describe('a request', () => {
  const base: AuditRecord = {
    v: 1,
    time: '2026-01-01T00:00:00.000Z',
    id: 'r1',
    kind: 'request',
    outcome: 'allowed',
    listener: 'agents',
    connection: { id: 'c1', address: '127.0.0.1', port: 4000 },
    caller: {
      spiffe_id: 'spiffe://acme.example/researcher',
      proofs: ['kernel'],
      pid: 7,
      executable: '/usr/bin/python3',
    },
    principal: { kind: 'user', id: 'https://idp.example#8821' },
    chain: [
      { id: 'spiffe://acme.example/planner', scopes: ['crm.*'] },
      { id: 'spiffe://acme.example/researcher', scopes: ['crm.read'] },
    ],
    destination: { name: 'crm', scheme: 'https', host: 'api.crm.example', port: 443, address: '203.0.113.9' },
    request: { method: 'GET', path: '/v1/contacts', bytes: 0 },
    decision: { verdict: 'allow', rule: 'reads', policy_version: 'p1' },
    response: { status: 200, bytes: 10, ended: 'complete' },
    ms: { total: 4.6 },
    seq: 17,
  }

  test('with a credential is an activity of an API', () => {
    expect(event({ ...base, credential: { name: 'crm-token' } })).toMatchObject({
      category_uid: 6,
      class_uid: 6_003,
      activity_id: 2,
      type_uid: 600_302,
      time: 1_767_225_600_000,
      duration: 5,
      status_code: '200',
      metadata: { sequence: 17, correlation_uid: 'c1' },
      actor: {
        user: { uid: 'https://idp.example#8821', type_id: 1 },
        app_uid: 'spiffe://acme.example/researcher',
        process: { pid: 7, file: { name: 'python3' } },
      },
      api: { operation: 'GET /v1/contacts', service: { name: 'crm' } },
      src_endpoint: { ip: '127.0.0.1', port: 4000 },
      dst_endpoint: { hostname: 'api.crm.example', ip: '203.0.113.9', port: 443 },
      http_response: { code: 200, length: 10 },
      authorizations: [{ decision: 'Allowed', policy: { name: 'reads', version: 'p1' } }],
      unmapped: { delegation_chain: base.chain, ai_agent: { uid: 'spiffe://acme.example/researcher' } },
    })
  })

  test.each([
    ['CONNECT', 1],
    ['DELETE', 2],
    ['GET', 3],
    ['HEAD', 4],
    ['OPTIONS', 5],
    ['POST', 6],
    ['PUT', 7],
    ['TRACE', 8],
    ['PATCH', 9],
    ['PROPFIND', 99],
  ])('without one is an HTTP activity: %s is number %d', (method, number) => {
    const made = event({ ...base, request: { method, path: '/' } })
    expect([made.class_uid, made.activity_id, made.type_uid]).toEqual([4_002, number, 400_200 + number])
  })

  test.each([
    ['POST', 1],
    ['GET', 2],
    ['PUT', 3],
    ['PATCH', 3],
    ['DELETE', 4],
    ['PROPFIND', 99],
  ])('of an API with %s is number %d', (method, number) => {
    expect(event({ ...base, credential: { name: 'k' }, request: { method, path: '/' } }).activity_id).toBe(number)
  })

  test('in a tunnel is a connection', () => {
    expect(event({ ...base, kind: 'tunnel', credential: { name: 'k' } })).toMatchObject({
      class_uid: 4_002,
      activity_id: 1,
    })
  })
})

describe('a handoff', () => {
  const handoff = (name: 'created' | 'denied' | 'revoked'): AuditRecord => ({
    v: 1,
    time: '2026-01-01T00:00:00.000Z',
    id: 'h1',
    kind: 'delegation',
    txn: 'txn-1',
    principal: { kind: 'user', id: 'alice' },
    delegation: {
      event: `delegation.${name}`,
      from: { spiffe_id: 'spiffe://acme.example/planner' },
      to: { spiffe_id: 'spiffe://acme.example/researcher', jti: 'j1' },
      granted: { scopes: ['crm.read'], expires_at: '2026-01-01T00:10:00.000Z' },
      ...(name === 'created' ? {} : { reason: 'not_narrower' }),
    },
  })

  test('authorizes a session with its scopes as privileges', () => {
    expect(event(handoff('created'))).toMatchObject({
      category_uid: 3,
      class_uid: 3_003,
      type_uid: 300_301,
      status_id: 1,
      metadata: { correlation_uid: 'txn-1' },
      user: { uid: 'spiffe://acme.example/researcher' },
      actor: { user: { uid: 'alice', type_id: 1 }, app_uid: 'spiffe://acme.example/planner' },
      session: { uid: 'j1', expiration_time: 1_767_226_200_000 },
      privileges: ['crm.read'],
    })
  })

  test('that was denied failed, and one that was taken back is another activity', () => {
    expect(event(handoff('denied'))).toMatchObject({
      activity_id: 1,
      status_id: 2,
      status_detail: 'not_narrower',
      action_id: 2,
    })
    expect(event(handoff('revoked'))).toMatchObject({ activity_id: 99, type_uid: 300_399 })
  })
})

test('a gap in the records and a stop are base events', () => {
  expect(event(gapOf('g', 0, 3))).toMatchObject({
    class_uid: 0,
    type_uid: 99,
    severity_id: 4,
    message: '3 records were lost here',
    unmapped: { lost: 3 },
  })
  const stop: AuditRecord = {
    ...gapOf('s', 0, 0),
    kind: 'stop',
    stop: { event: 'stop.ordered', what: { kind: 'all' }, by: { uid: 0 } },
  }
  expect(event(stop)).toMatchObject({ class_uid: 0, severity_id: 3, message: 'stop.ordered all by uid 0' })
})
