import { describe, expect, it } from 'vitest'
import { parseSpiffeId } from '../../certs/spiffe-id.ts'
import { compile } from '../../policy/compile.ts'
import { createEngine } from '../../policy/rule-engine.ts'
import type { Rule } from '../../policy/settings.ts'
import { type Change, question } from './support.ts'

const researcher = 'spiffe://acme.example/ns/agents/sa/researcher'
const destinations = [
  { name: 'crm', hosts: ['api.crm.example'], ports: [443], protocol: 'https' as const },
  { name: 'empty', hosts: ['empty.example'], ports: [443, 8443], protocol: 'https' as const },
  { name: 'db', hosts: ['db.example'], ports: [5432], protocol: 'opaque' as const },
]
const detail = (rules: Rule[], change: Change = {}) => {
  const decision = createEngine(compile({ rules, destinations })).decide(question(change))
  return decision.verdict === 'deny' ? decision.detail : undefined
}
const allow = (rest: NonNullable<Rule['allow']>): Rule => ({ allow: { agents: [researcher], to: 'crm', ...rest } })

describe('the detail of a denial without a rule', () => {
  it.each<[string, Rule[], Change, string]>([
    ['an unknown host', [], { request: { host: 'x.example' } }, 'no destination has the host x.example'],
    [
      'a port',
      [],
      { request: { host: 'empty.example', port: 444 } },
      'destination empty: expected https on port 443 or 8443, found https on port 444',
    ],
    [
      'a tunnel',
      [],
      { request: { method: 'CONNECT' } },
      'destination crm: expected https on port 443, found an opaque tunnel on port 443',
    ],
    [
      'a destination without rules',
      [allow({})],
      { request: { host: 'empty.example' } },
      'destination empty: no rule allows anything there',
    ],
    [
      'another agent',
      [allow({})],
      { caller: { id: parseSpiffeId('spiffe://acme.example/x'), proofs: [] } },
      `nearest rule rule-1: agents: expected ${researcher}, found spiffe://acme.example/x`,
    ],
    [
      'the method',
      [allow({ methods: ['POST', 'PUT'] })],
      {},
      'nearest rule rule-1: methods: expected POST, PUT, found GET',
    ],
    [
      'the rule in which the path fits rather than the method',
      [allow({ methods: ['GET'], paths: ['/x'] }), allow({ methods: ['POST'], paths: ['/v1/**'] })],
      {},
      'nearest rule rule-2: methods: expected POST, found GET',
    ],
    [
      'the rule in which only the expression is false',
      [allow({ paths: ['/x'] }), { ...allow({ paths: ['/v1/**'] }), when: 'chain.depth > 0' }],
      {},
      'nearest rule rule-2: when: expected chain.depth > 0, found false, chain.depth = 0',
    ],
    [
      'the first thing in the way, and the names of the others',
      [{ ...allow({ methods: ['POST'], paths: ['/x'] }), requires: ['a'] }],
      {},
      'nearest rule rule-1: methods: expected POST, found GET, and paths, requires',
    ],
    ['an empty list', [allow({ methods: [] })], {}, 'nearest rule rule-1: methods: expected nothing, found GET'],
  ])('names %s', (_what, rules, change, expected) => {
    expect(detail(rules, change)).toBe(expected)
  })

  it('stays short, however long the request and the rule are', () => {
    const paths = Array.from({ length: 200 }, (_, number) => `/somewhere/else/${number}`)
    const found = detail([allow({ paths })], { request: { path: `/${'a'.repeat(8_000)}` } })
    expect(found).toMatch(/^nearest rule rule-1: paths: expected \/somewhere/)
    expect(found?.length).toBeLessThan(400)
  })

  it('holds no value of the query or of a header', () => {
    const rules = [
      {
        ...allow({ query: { k: 'x', token: { absent: true } }, headers: { 'x-tenant': 'y' } }),
        when: 'request.query.k == "x"',
      },
    ]
    const found = detail(rules, { request: { query: '?k=s3cret&token=s3cret', headers: ['X-Tenant', 's3cret'] } })
    expect(found).toBe(
      'nearest rule rule-1: query.k: expected x, found another value, and query.token, headers.x-tenant, when',
    )
  })
})

describe('the detail of a denial by a rule', () => {
  it.each<[string, Rule, Change, string]>([
    [
      'what matched',
      { deny: { methods: ['GET'], paths: ['/v1/**'] } },
      {},
      'rule rule-1: methods GET matched GET; paths /v1/** matched /v1/contacts/7',
    ],
    [
      'agent and place where nothing else is asked',
      { deny: { agents: [researcher] } },
      {},
      `rule rule-1: agents ${researcher} matched ${researcher}`,
    ],
    ['a deny of everything', { deny: {} }, {}, 'rule rule-1 denies everything'],
    [
      'what could not be read',
      { deny: { paths: ['/admin/**'] } },
      { request: { path: '/a/../b' } },
      'rule rule-1: paths /admin/**: /a/../b; in a deny that counts as a match',
    ],
    [
      'what could not be evaluated',
      { deny: {}, when: 'request.query.k == "1"' },
      {},
      'rule rule-1: when request.query.k == "1": could not be evaluated (no such key at character 15, `k`); in a deny that counts as a match',
    ],
  ])('names %s', (_what, rule, change, expected) => {
    expect(detail([rule], change)).toBe(expected)
  })
})
