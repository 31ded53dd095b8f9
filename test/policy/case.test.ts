import { describe, expect, it } from 'vitest'
import { caseFileSchema, caseSchema, runCase } from '../../policy/case.ts'
import { compile } from '../../policy/compile.ts'
import { plainReaders } from './support.ts'

const agent = 'spiffe://acme.example/a'
const policy = compile({
  destinations: [{ name: 'api', hosts: ['api.example'], ports: [443], protocol: 'https' }],
  rules: [
    { name: 'no-posts', mode: 'shadow', deny: { methods: ['POST'] } },
    {
      name: 'open',
      allow: { agents: [agent], to: 'api', paths: ['/open'] },
      use: 'token',
      limit: '2/minute per agent',
    },
  ],
})
const run = (ask: object, expected: object, repeat?: object) =>
  runCase(
    policy,
    caseSchema.parse({ name: 'x', ask: { agent, url: 'https://api.example/open', ...ask }, expect: expected, repeat }),
    plainReaders,
  )

describe('a case', () => {
  it('passes when everything that it expects is so', () => {
    expect(run({}, { verdict: 'allow', rule: 'open', destination: 'api', credential: 'token', shadows: [] })).toEqual(
      [],
    )
    expect(
      run({ url: 'https://api.example/' }, { verdict: 'deny', rule: null, credential: null, detail: 'paths' }),
    ).toEqual([])
  })

  it('tells each difference, expected and found', () => {
    expect(
      run({ method: 'POST' }, { verdict: 'deny', rule: null, reason: 'no_rule', shadows: [], credential: null }),
    ).toEqual(
      [
        { key: 'verdict', expected: 'deny', actual: 'allow' },
        { key: 'rule', expected: 'none', actual: 'open' },
        { key: 'reason', expected: 'no_rule', actual: 'none' },
        { key: 'shadows', expected: '[]', actual: '[{"rule":"no-posts","would":"deny"}]' },
        { key: 'credential', expected: 'none', actual: 'token' },
      ].toSorted((a, b) => order.indexOf(a.key) - order.indexOf(b.key)),
    )
  })

  it('repeated is judged by its last answer', () => {
    expect(run({}, { verdict: 'allow' }, { times: 2 })).toEqual([])
    expect(run({}, { verdict: 'deny', reason: 'limit_exceeded', retryAfter: 30 }, { times: 3 })).toEqual([])
    expect(run({}, { verdict: 'allow' }, { times: 9, every: '1m' })).toEqual([])
    expect(run({}, { verdict: 'allow' }, { times: 9, every: '030s' })).toEqual([])
  })

  it('begins with full limits, whatever ran before', () => {
    for (let before = 0; before < 5; before++) expect(run({}, { verdict: 'allow' })).toEqual([])
  })

  it.each([
    ['an agent that is no SPIFFE ID', { agent: 'a' }, 'not a SPIFFE ID'],
    ['an agent of the chain that is none', { chain: [{ agent: 'b' }] }, 'not a SPIFFE ID'],
    ['a URL that is none', { url: 'api.example' }, 'not a URL'],
  ])('throws for %s', (_what, ask, message) => {
    expect(() => run(ask, { verdict: 'allow' })).toThrow(message)
  })
})

const order = ['verdict', 'rule', 'reason', 'destination', 'credential', 'retryAfter', 'detail', 'shadows']

describe('a file of cases', () => {
  const good = { name: 'x', ask: { agent, url: 'https://api.example/' }, expect: { verdict: 'deny' } }

  it.each([
    ['no cases', { cases: [] }],
    ['an unknown key', { cases: [{ ...good, expects: {} }] }],
    ['no verdict', { cases: [{ ...good, expect: {} }] }],
    ['an unknown reason', { cases: [{ ...good, expect: { verdict: 'deny', reason: 'because' } }] }],
    ['an unknown proof', { cases: [{ ...good, ask: { ...good.ask, proofs: ['password'] } }] }],
    ['a principal without kind', { cases: [{ ...good, ask: { ...good.ask, principal: 'alice' } }] }],
    ['a time without zone', { cases: [{ ...good, ask: { ...good.ask, at: '2026-01-01T12:00:00' } }] }],
    ['too many times', { cases: [{ ...good, repeat: { times: 1_000_000 } }] }],
    ['a list', [good]],
  ])('with %s is refused', (_what, file) => {
    expect(caseFileSchema.safeParse(file).success).toBe(false)
  })

  it('in order is accepted', () => {
    expect(caseFileSchema.safeParse({ cases: [good] }).success).toBe(true)
  })
})
