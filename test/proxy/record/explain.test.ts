import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { explain } from '../../../proxy/record/explain.ts'
import { gapOf, intentOf, recordOf } from '../../../proxy/record/line.ts'
import { plain } from '../../../proxy/record/terminal-text.ts'
import { Refusal } from '../../../proxy/refusal.ts'
import { Secret } from '../../../proxy/secret.ts'
import { anAuthorized, anExchange, anOutcome } from './exchanges.ts'
import { canary, failedConnections, outcomes } from './outcomes.ts'

const context = { policyVersion: 'p1', fingerprint: () => '3c0f5a7d9e1b2c4f', placementOf: () => 'bearer' }
const story = (record: Parameters<typeof explain>[0]) => explain(record, plain).join('\n')

test('a refusal by a rule: who, what, the rule with expected and actual, and what next', () => {
  const refusal = new Refusal('denied_by_rule', {
    rule: 'nobody-deletes',
    detail: 'methods: expected DELETE, found DELETE',
  })
  expect(story(recordOf(anOutcome({ exchange: anExchange({ method: 'DELETE' }), refusal }), context))).toBe(
    `Request 019b2c3d-4e5f-7a6b-8c7d-9e0f1a2b3c4d of 1970-01-01 00:00:01.000 UTC was refused with status 403: denied_by_rule. A rule denies this request.

Who        spiffe://acme.example/ns/agents/sa/researcher, proved by x509-svid (certificate serial 0a1b). It came in by listener agents from 127.0.0.1 port 40001.
For        Itself; nobody handed it anything.
What       DELETE api.crm.example/v1/contacts.
Rule       nobody-deletes denied it (policy p1). Methods: expected DELETE, found DELETE.
Answer     403, 1.0 kB. Postern answered by itself.
Time       13 ms in all, most of it waiting for the upstream: identify 10 µs, authorize 4 µs, forward 12 ms.
Next       Ask whoever runs this agent for a rule that allows it; quote the request id.`,
  )
})

test('a host keeps its spelling at the beginning of a sentence', () => {
  const refusal = new Refusal('blocked_address', {
    detail: 'weather.example resolves to 169.254.169.254 (cloud metadata)',
  })
  expect(story(recordOf(anOutcome({ refusal }), context))).toContain(
    'Why        weather.example resolves to 169.254.169.254 (cloud metadata).',
  )
})

test('what took most of the time is told only where one stage did', () => {
  const evenly = anOutcome({ spent: { identify: 3, authorize: 4, obtain: 3, forward: 4 } })
  expect(story(recordOf(evenly, context))).toMatch(/Time {7}\S+ ms in all: identify/)
})

test('an allowed request: credential, how it was written, what was found, where the time went', () => {
  const lease = {
    credential: 'crm-token',
    kind: 'oauth2-client-credentials',
    secret: new Secret('crm-token', 'x'),
    username: undefined,
    expiresAt: 251_000,
    scopes: ['contacts.read'],
    cache: 'hit',
  } as const
  const exchange = {
    ...anExchange({
      grant: { credential: 'crm-token' },
      lease,
      query: '?q=x',
      findings: [{ kind: 'agent_credential_removed', where: 'header:authorization', fingerprint: 'aa' }],
    }),
    emitted: [lease.secret],
  }
  const text = story(recordOf(anOutcome({ exchange }), context))
  for (const sentence of [
    'was allowed with status 200.',
    'What       GET api.crm.example/v1/contacts?q, which the configuration calls crm. Values of the query are not recorded.',
    'Rule       researcher-reads-contacts allowed it (policy p1).',
    'Credential crm-token (oauth2-client-credentials) was there already and had 4 min 10 s left. Written as bearer. Granted: contacts.read. Fingerprint 3c0f5a7d9e1b2c4f.',
    'Found      A credential of the agent’s own was taken out (header:authorization, fingerprint aa).',
    'Answer     200 from 93.184.216.34, 1.0 kB. It was passed on to its end.',
  ]) {
    expect(text).toContain(sentence)
  }
})

test('a credential that was not to be had: the source’s error is told, and that the request went without', () => {
  const refusal = new Refusal('credential_unavailable', { detail: 'the token server answered invalid_client' })
  const exchange = anExchange({ grant: { credential: 'crm-token' } })
  const text = story(recordOf(anOutcome({ exchange, refusal }), context))
  expect(text).toContain(
    'Rule       researcher-reads-contacts allowed it (policy p1).\nWhy        The token server answered invalid_client.',
  )
  expect(text).toContain('Credential crm-token was needed; the request did not get it.')
})

test('a caller that could not be told: the policy was not asked', () => {
  const { caller, principal, chain, ...exchange } = anExchange()
  expect([caller, principal, chain]).not.toContain(undefined)
  const text = story(recordOf(anOutcome({ exchange, refusal: new Refusal('unidentified_caller') }), context))
  expect(text).toContain('The caller could not be told.')
  expect(text).toContain('The policy was not asked')
})

describe('what is no outcome', () => {
  test('an intent says that nothing more is known', () => {
    expect(story(intentOf(anAuthorized({ grant: {} }), context))).toContain('no outcome has been written')
  })

  test('a gap says how many are lost', () => {
    expect(story(gapOf('id', 0, 12))).toContain('12 records could not be written and are lost.')
  })
})

test('a record of a later version, with a reason that is unknown here, still has a story', () => {
  const later = JSON.parse(
    JSON.stringify(recordOf(anOutcome({ refusal: new Refusal('no_rule') }), context)).replaceAll(
      'no_rule',
      'new_reason',
    ),
  )
  expect(story(later)).toContain('new_reason')
})

test('no record of any exchange breaks it, leaks, or steers the terminal', () => {
  fc.assert(
    fc.property(fc.oneof(outcomes, failedConnections), (outcome) => {
      const text = story(recordOf(outcome, context))
      expect(text).not.toContain(canary)
      expect(text).not.toMatch(/[\x00-\x09\x0b-\x1f\x7f-\x9f]|undefined|NaN|\[object/)
    }),
  )
})

test('what a request cost, and what is left of the budgets', () => {
  const record = recordOf(anOutcome({}), context)
  const budgets = [
    { name: 'tokens', cost: 42, left: { cost: 58 } },
    { name: 'task', left: { requests: 3, response_bytes: 2_000, paths: 1 } },
  ]
  expect(story({ ...record, budgets })).toContain(
    'Budgets    Of tokens 58 units were left after this cost 42; of task 3 requests, 2.0 kB of answers and 1 paths were left.',
  )
})
