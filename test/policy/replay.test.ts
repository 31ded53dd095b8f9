// The answer that the engine gives to the whole question is among those that the record leaves open.
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { parseSpiffeId } from '../../certs/spiffe-id.ts'
import { compile } from '../../policy/compile.ts'
import type { Allow, Deny, Question } from '../../policy/engine.ts'
import { type Answer, type Recalled, replay } from '../../policy/replay.ts'
import { createEngine } from '../../policy/rule-engine.ts'
import type { Rule } from '../../policy/settings.ts'
import { question } from './support.ts'

const planner = 'spiffe://acme.example/planner'
const researcher = 'spiffe://acme.example/ns/agents/sa/researcher'
const destinations = [
  { name: 'crm', hosts: ['api.crm.example'], ports: [443], protocol: 'https' as const },
  { name: 'all', hosts: ['*.crm.example'], ports: [443], protocol: 'https' as const },
]

const policyOf = (...rules: Rule[]) => compile({ rules, destinations })

const everything = { agents: [researcher, planner], to: ['crm', 'all'] }

function recalled({ request: { query, headers: _, ...request }, ...rest }: Question): Recalled {
  return { ...rest, request: { ...request, hasQuery: query.length > 1, pathCut: false } }
}

function told(answer: Allow | Deny): Answer {
  const { rule } = answer
  if (answer.verdict === 'allow') {
    const { destination, credential } = answer
    return { verdict: 'allow', rule: answer.rule, destination, credential }
  }
  if (answer.reason === 'limit_exceeded') throw new Error('limits are not looked at in a review')
  return { verdict: 'deny', rule, reason: answer.reason }
}

const ask = (rules: Rule[], change: Parameters<typeof question>[0] = {}) =>
  replay(policyOf(...rules), recalled(question(change)))

describe('what is not in a record', () => {
  const byHeader: Rule = { name: 'by-header', allow: { ...everything, headers: { 'x-purpose': 'sync' } } }
  const byQuery: Rule = { name: 'by-query', allow: { ...everything, query: { role: 'reader' } } }
  const noRule = { verdict: 'deny', rule: undefined, reason: 'no_rule' }
  const allowedBy = (rule: string) => ({ verdict: 'allow', rule, destination: 'crm', credential: undefined })

  it('a header: it may be allowed, or not', () => {
    expect(ask([byHeader])).toEqual({ answers: [allowedBy('by-header'), noRule], openAt: ['by-header'] })
  })

  it('what a query says: open with a query, settled without', () => {
    expect(ask([byQuery], { request: { query: '?role=writer' } })).toEqual({
      answers: [allowedBy('by-query'), noRule],
      openAt: ['by-query'],
    })
    expect(ask([byQuery])).toEqual({ answers: [noRule], openAt: [] })
  })

  it('does not matter where the rule fails at something else', () => {
    const posts: Rule = { name: 'posts', allow: { ...everything, methods: ['POST'], headers: { a: 'b' } } }
    expect(ask([posts])).toEqual({ answers: [noRule], openAt: [] })
    const users: Rule = { ...byHeader, when: 'principal.kind == "agent"' }
    expect(ask([users])).toEqual({ answers: [noRule], openAt: [] })
  })

  it('does not matter where a rule before it decides, and leaves the rule open where one behind it would', () => {
    const all: Rule = { name: 'all', allow: everything }
    expect(ask([all, byHeader])).toEqual({ answers: [allowedBy('all')], openAt: [] })
    expect(ask([byHeader, all])).toEqual({ answers: [allowedBy('by-header'), allowedBy('all')], openAt: ['by-header'] })
  })

  it('a deny that looks at it may deny', () => {
    const deny: Rule = { name: 'odd', deny: { headers: { 'x-odd': '*' } } }
    expect(ask([{ name: 'all', allow: everything }, deny])).toEqual({
      answers: [{ verdict: 'deny', rule: 'odd', reason: 'denied_by_rule' }, allowedBy('all')],
      openAt: ['odd'],
    })
  })

  it('is noticed in expressions where they get as far as that, in each rule anew', () => {
    const when = (name: string, text: string): Rule => ({ name, allow: everything, when: text })
    const settled = [when('short', 'request.method == "PUT" && request.headers["a"] == "b"')]
    expect(ask(settled)).toEqual({ answers: [noRule], openAt: [] })
    const open = [when('one', '"a" in request.headers'), when('two', '"b" in request.headers')]
    expect(ask(open).openAt).toEqual(['one', 'two'])
    const query = [when('three', 'request.query["a"] == "1"'), when('four', '"a" in request.query_all')]
    expect(ask(query, { request: { query: '?a=1' } }).openAt).toEqual(['three', 'four'])
    expect(ask(query)).toEqual({ answers: [noRule], openAt: [] })
  })

  it('the end of a path that was cut', () => {
    const rule: Rule = { name: 'below', allow: { ...everything, paths: ['/v1/**'] } }
    const long = recalled(question())
    const cut = { ...long, request: { ...long.request, pathCut: true } }
    expect(replay(policyOf(rule), cut).openAt).toEqual(['below'])
  })
})

const pick = <T>(...values: T[]) => fc.constantFrom(...values)

const someRule: fc.Arbitrary<Rule> = fc
  .record({
    isDeny: fc.boolean(),
    to: fc.option(pick('crm', 'all')),
    methods: fc.option(pick(['GET'], ['POST', 'PUT'], ['*'])),
    paths: fc.option(pick(['/v1/**'], ['/v1/contacts/*'], ['/**'])),
    principals: fc.option(pick(['user:*'], ['agent:*'])),
    query: fc.option(pick({ role: 'reader' }, { role: { absent: true as const } }, { page: '*' })),
    headers: fc.option(pick({ 'x-purpose': 'sync' }, { 'x-purpose': { absent: true as const } })),
    when: fc.option(
      pick(
        '"role" in request.query',
        'request.headers["x-purpose"] == "sync"',
        'chain.depth > 0 || "x-purpose" in request.headers',
        'request.query_all["role"].size() == 1',
        'now < timestamp("2030-01-01T00:00:00Z")',
      ),
    ),
    requires: fc.option(pick(['crm.read'])),
  })
  .map(({ isDeny, to, methods, paths, principals, query, headers, when, requires }) => {
    const match = {
      ...(to === null ? {} : { to }),
      ...(methods === null ? {} : { methods }),
      ...(paths === null ? {} : { paths }),
      ...(principals === null ? {} : { principals }),
      ...(query === null ? {} : { query }),
      ...(headers === null ? {} : { headers }),
    }
    const condition = when === null ? {} : { when }
    if (isDeny) return { deny: match, ...condition }
    return {
      allow: { agents: [researcher, planner], to: to ?? ['crm', 'all'], ...match },
      ...condition,
      ...(requires === null ? {} : { requires }),
    }
  })

const someQuestion = fc
  .record({
    id: pick(researcher, planner),
    kind: pick('user', 'agent'),
    scopes: pick([], [['crm.*']], [['crm.*'], ['crm.list']], [['crm.*'], ['crm.read']]),
    method: pick('GET', 'POST', 'DELETE'),
    host: pick('api.crm.example', 'x.crm.example', 'other.example'),
    path: pick('/v1/contacts/7', '/v1', '/elsewhere', '/v1//x;y'),
    query: pick('', '?role=reader', '?role=writer&page=2', '?role=%zz'),
    headers: pick([], ['X-Purpose', 'sync'], ['x-purpose', 'a', 'x-purpose', 'sync']),
  })
  .map(({ id, kind, scopes, method, host, path, query, headers }) =>
    question({
      caller: { id: parseSpiffeId(id), proofs: [] },
      principal: { kind, id: 'zoe' },
      chain: { depth: Math.max(0, scopes.length - 1), agents: scopes.map(() => planner), scopes },
      request: { method, host, path, query, headers },
    }),
  )

describe('a replay', () => {
  it('has the answer of the engine among its own, whatever the rules and the request', () => {
    fc.assert(
      fc.property(fc.array(someRule, { maxLength: 6 }), someQuestion, (rules, asked) => {
        const policy = policyOf(...rules)
        expect(replay(policy, recalled(asked)).answers).toContainEqual(told(createEngine(policy).review(asked)))
      }),
      { numRuns: 2_000 },
    )
  })

  it('has that answer alone where no rule looks at headers or a query', () => {
    const plain = someRule.filter(
      ({ allow, deny, when }) =>
        (allow ?? deny)?.headers === undefined &&
        (allow ?? deny)?.query === undefined &&
        (when === undefined || !/headers|query/.test(when)),
    )
    fc.assert(
      fc.property(fc.array(plain, { maxLength: 6 }), someQuestion, (rules, asked) => {
        const policy = policyOf(...rules)
        expect(replay(policy, recalled(asked))).toEqual({
          answers: [told(createEngine(policy).review(asked))],
          openAt: [],
        })
      }),
      { numRuns: 1_000 },
    )
  })
})
