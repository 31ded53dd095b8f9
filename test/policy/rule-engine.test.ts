import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { parseSpiffeId } from '../../certs/spiffe-id.ts'
import { compile } from '../../policy/compile.ts'
import { holds } from '../../policy/compiled-rule.ts'
import type { Question } from '../../policy/engine.ts'
import { explain, renderExplanation } from '../../policy/explain.ts'
import type { PolicyDestination } from '../../policy/hosts.ts'
import { createEngine } from '../../policy/rule-engine.ts'
import type { Rule } from '../../policy/settings.ts'
import { View } from '../../policy/view.ts'
import { question } from './support.ts'

const researcher = 'spiffe://acme.example/ns/agents/sa/researcher'
const destination = (name: string, hosts: string[], rest: Partial<PolicyDestination> = {}): PolicyDestination => ({
  name,
  hosts,
  ports: [443],
  protocol: 'https',
  ...rest,
})
const crm = destination('crm', ['api.crm.example'])
const engineOf = (rules: Rule[], destinations: PolicyDestination[] = [crm]) =>
  createEngine(compile({ rules, destinations }))

// Small worlds, so that rules and questions meet often.
const agents = ['spiffe://td/a', 'spiffe://td/a/b', 'spiffe://td/c', 'spiffe://other/a']
const patterns = [...agents, 'spiffe://td/*', 'spiffe://td/a/*']
const hosts = ['x.example', 'y.x.example', 'z.example']
const world: PolicyDestination[] = [
  destination('x', ['x.example']),
  destination('below-x', ['*.x.example', 'x.example'], { ports: [443, 8443] }),
  destination('all', ['*.example'], { protocol: 'http', ports: [80, 443] }),
  destination('opaque', ['z.example'], { protocol: 'opaque' }),
]
const some = <Item>(items: readonly Item[], least = 1) => fc.subarray([...items], { minLength: least, maxLength: 3 })
const maybe = <Key extends string, Value>(key: Key, value: fc.Arbitrary<Value>) =>
  fc
    .option(value, { nil: undefined })
    .map((found) => (found === undefined ? {} : { [key]: found }) as { [K in Key]?: Value })
const match = (least: number) =>
  fc
    .tuple(
      maybe('agents', some(patterns, least)),
      maybe(
        'to',
        fc.oneof(
          some(
            world.map(({ name }) => name),
            least,
          ),
          fc.constantFrom(...world.map(({ name }) => name)),
        ),
      ),
      maybe('methods', some(['GET', 'POST', '*'])),
      maybe('paths', some(['/**', '/p/*', '/p/q', '/p/**'])),
      maybe('query', fc.constantFrom({ k: '1' }, { k: '*' }, { k: { absent: true as const } })),
    )
    .map(([who, to, methods, paths, query]) => ({ ...who, ...to, ...methods, ...paths, ...query }))
const extras = fc
  .tuple(
    maybe('mode', fc.constantFrom('enforce' as const, 'shadow' as const)),
    maybe('when', fc.constantFrom('chain.depth == 0', 'request.query.k == "1"', 'false')),
  )
  .map(([mode, when]) => ({ ...mode, ...when }))
const rule: fc.Arbitrary<Rule> = fc.oneof(
  { weight: 3, arbitrary: fc.tuple(match(0), extras).map(([allow, rest]) => ({ allow, ...rest })) },
  { weight: 1, arbitrary: fc.tuple(match(1), extras).map(([deny, rest]) => ({ deny, ...rest })) },
)
const asked = fc
  .record({
    agent: fc.constantFrom(...agents),
    host: fc.constantFrom(...hosts, 'elsewhere.test'),
    port: fc.constantFrom(80, 443, 8443),
    scheme: fc.constantFrom('http' as const, 'https' as const),
    method: fc.constantFrom('GET', 'POST', 'CONNECT', 'post'),
    path: fc.constantFrom('/', '/p', '/p/q', '/p/', '/p/q/r', '/p/%', '/p/../q'),
    query: fc.constantFrom('', '?k=1', '?k=2', '?k=1&k=2', '?k=%'),
    depth: fc.constantFrom(0, 1),
  })
  .map(({ agent, depth, ...request }) =>
    question({ caller: { id: parseSpiffeId(agent), proofs: [] }, chain: { depth, agents: [], scopes: [] }, request }),
  )

/** The rules, one after the other, each condition tried. */
function linear(rules: Rule[], asked: Question) {
  const { rules: compiled } = compile({ rules, destinations: world })
  const view = new View(asked)
  const fitting = compiled.filter(
    (each) => !each.shadow && holds([...each.indexed, ...each.conditions], each.effect, view),
  )
  const deny = fitting.find(({ effect }) => effect === 'deny')
  if (deny !== undefined) return { verdict: 'deny', reason: 'denied_by_rule', rule: deny.name }
  const allow = fitting.find(({ effect }) => effect === 'allow')
  if (allow !== undefined) return { verdict: 'allow', rule: allow.name }
  return { verdict: 'deny', reason: 'no_rule', rule: undefined }
}

describe('a decision', () => {
  it('is the same as that of going through every rule', () => {
    fc.assert(
      fc.property(
        fc.array(rule, { maxLength: 12 }),
        fc.array(asked, { minLength: 1, maxLength: 5 }),
        (rules, questions) => {
          const engine = engineOf(rules, world)
          for (const each of questions) expect(engine.decide(each)).toMatchObject(linear(rules, each))
        },
      ),
      { numRuns: 700 },
    )
  })

  it('is a denial whenever a deny matches, wherever it stands', () => {
    fc.assert(
      fc.property(fc.array(rule, { maxLength: 8 }), asked, fc.nat(), (rules, each, seed) => {
        const { rules: compiled } = compile({ rules, destinations: world })
        const view = new View(each)
        const denied = compiled.some(
          (one) => one.effect === 'deny' && !one.shadow && holds([...one.indexed, ...one.conditions], 'deny', view),
        )
        fc.pre(denied)
        const at = seed % Math.max(1, rules.length)
        const turned = [...rules.slice(at), ...rules.slice(0, at)]
        expect(engineOf(turned, world).decide(each)).toMatchObject({ verdict: 'deny', reason: 'denied_by_rule' })
      }),
      { numRuns: 300 },
    )
  })

  it('does not change with rules in shadow', () => {
    fc.assert(
      fc.property(fc.array(rule, { maxLength: 8 }), fc.array(rule, { maxLength: 8 }), asked, (rules, others, each) => {
        const named = rules.map((one, number) => ({ ...one, name: `enforced-${number}`, mode: 'enforce' as const }))
        const shadows = others.map((one, number) => ({ ...one, name: `shadow-${number}`, mode: 'shadow' as const }))
        const { shadows: _, ...without } = engineOf(named, world).decide(each)
        const { shadows: told, ...within } = engineOf([...shadows, ...named], world).decide(each)
        expect(within).toEqual(without)
        for (const { would } of told) expect(would).not.toBe(without.verdict)
      }),
      { numRuns: 300 },
    )
  })

  it('names the destination that the host belongs to more closely', () => {
    const wide = destination('wide', ['*.example'])
    const allow = { allow: { agents: [researcher], to: ['wide', 'crm'] } }
    expect(engineOf([allow], [wide, crm]).decide(question())).toMatchObject({ verdict: 'allow', destination: 'crm' })
  })
})

describe('a hostile request', () => {
  const hostile = fc.oneof(fc.string({ unit: 'binary', maxLength: 40 }), fc.string({ maxLength: 40 }))
  const rules: Rule[] = [
    { deny: { paths: ['/admin/**', '/*a*b*/x'], query: { a: '*x*' }, headers: { 'X-A': 'x*y' } } },
    { deny: {}, when: 'request.headers.exists(k, request.headers[k].contains("evil")) && request.path.glob("*a*")' },
    {
      allow: { agents: ['spiffe://acme.example/*'], to: ['x', 'below-x'], principals: ['user:*@*'], paths: ['/**/a*'] },
      when: 'request.query_all.all(k, request.query_all[k].size() < 3) && request.path.split("/").size() > 1',
      limit: '5/second per agent',
      requires: ['a'],
    },
  ]

  it('gets an answer all the same, and so does whoever asks for the reason', () => {
    const policy = compile({ rules, destinations: world })
    const engine = createEngine(policy)
    const request = fc.record({
      method: hostile,
      scheme: fc.constantFrom('http' as const, 'https' as const),
      host: fc.oneof(hostile, fc.constantFrom(...hosts)),
      port: fc.integer({ min: 0, max: 65_535 }),
      path: hostile.map((path) => `/${path}`),
      query: hostile.map((query) => `?${query}`),
      headers: fc.array(hostile, { maxLength: 7 }),
    })
    fc.assert(
      fc.property(request, hostile, fc.array(hostile, { maxLength: 3 }), (each, id, scopes) => {
        const asked = question({
          request: each,
          principal: { kind: 'user', id },
          chain: { depth: 1, agents: [id], scopes: [scopes] },
        })
        expect(['allow', 'deny']).toContain(engine.decide(asked).verdict)
        expect(renderExplanation(explain(policy, asked))).toMatch(/^(?:ALLOW|DENY)/)
      }),
      { numRuns: 1_000 },
    )
  })
})

describe('reach', () => {
  it('is none where no question can be allowed, and never none where one is', () => {
    fc.assert(
      fc.property(fc.array(rule, { maxLength: 8 }), asked, (rules, each) => {
        const engine = engineOf(rules, world)
        const { host, port, method } = each.request
        const reach = engine.reach(each.caller.id, host, port)
        const decision = engine.decide(each)
        if (decision.verdict === 'allow') expect(reach).not.toBe('none')
        if (decision.verdict === 'allow' && method !== 'CONNECT') expect(reach).toBe('inspect')
      }),
      { numRuns: 700 },
    )
  })

  const db = destination('db', ['db.example'], { protocol: 'opaque', ports: [5432] })
  const both = { allow: { agents: [researcher], to: ['crm', 'db'] } }
  const ask = (rules: Rule[], host = 'api.crm.example', port = 443, agent = researcher) =>
    engineOf(rules, [crm, db]).reach(parseSpiffeId(agent), host, port)

  it.each([
    ['another host', ask([both], 'other.example')],
    ['another port', ask([both], 'api.crm.example', 8443)],
    ['another agent', ask([both], 'api.crm.example', 443, 'spiffe://acme.example/other')],
    ['no rules', ask([])],
    ['an allow in shadow', ask([{ ...both, mode: 'shadow' }])],
    ['an allow of nobody', ask([{ allow: { to: 'crm' } }])],
    ['a deny of the agent', ask([both, { deny: { agents: ['spiffe://acme.example/*'] } }])],
    ['a deny of the destination', ask([both, { deny: { to: 'crm' } }])],
    ['a deny of everything', ask([both, { deny: {} }])],
  ])('is none for %s', (_what, reach) => {
    expect(reach).toBe('none')
  })

  it.each([
    ['a deny with conditions', ask([both, { deny: { methods: ['GET'] } }])],
    ['a deny in shadow', ask([both, { deny: {}, mode: 'shadow' }])],
    ['a deny of another destination', ask([both, { deny: { to: 'db' } }])],
    ['an allow with conditions', ask([{ allow: { agents: [researcher], to: 'crm', paths: ['/x'] }, when: 'false' }])],
  ])('is inspect for %s', (_what, reach) => {
    expect(reach).toBe('inspect')
  })

  it('is opaque where only tunnels lead', () => {
    expect(ask([both], 'db.example', 5432)).toBe('opaque')
  })
})

describe('the version', () => {
  const allow = { agents: [researcher], to: 'crm' }
  const versionOf = (rules: Rule[], destinations = [crm]) => engineOf(rules, destinations).version

  it('is short, and the same for the same content', () => {
    expect(versionOf([{ allow, use: 'x' }])).toMatch(/^[0-9a-f]{12}$/)
    expect(versionOf([{ use: 'x', allow: { to: 'crm', agents: [researcher] } }])).toBe(versionOf([{ allow, use: 'x' }]))
  })

  it('changes with a rule, its order, a key that another room added, and a destination', () => {
    const deny = { deny: { methods: ['GET'] } }
    const versions = [
      versionOf([{ allow }]),
      versionOf([{ allow, use: 'x' }]),
      versionOf([{ allow }, deny]),
      versionOf([deny, { allow }]),
      versionOf([Object.assign({ allow }, { inject: 'bearer' })]),
      versionOf([{ allow }], [{ ...crm, ports: [8443] }]),
    ]
    expect(new Set(versions).size).toBe(versions.length)
  })
})

describe('a policy that replaces another', () => {
  const limited = (paths: string[]): Rule => ({
    name: 'limited',
    allow: { agents: [researcher], to: 'crm', paths },
    limit: '1/minute per agent',
  })
  const compiled = (rules: Rule[]) => compile({ rules, destinations: [crm] })

  it('goes on counting for a rule that has not changed', () => {
    const before = createEngine(compiled([limited(['/**'])]))
    expect(before.decide(question()).verdict).toBe('allow')
    const after = createEngine(compiled([{ deny: { methods: ['DELETE'] } }, limited(['/**'])]), before)
    expect(after.decide(question())).toMatchObject({
      verdict: 'deny',
      reason: 'limit_exceeded',
      rule: 'limited',
      retryAfter: 60,
    })
  })

  it('counts anew for a rule that has', () => {
    const before = createEngine(compiled([limited(['/**'])]))
    before.decide(question())
    expect(createEngine(compiled([limited(['/v1/**'])]), before).decide(question()).verdict).toBe('allow')
  })

  it('counts nothing for a request that a deny refuses', () => {
    const engine = engineOf([limited(['/**']), { deny: { methods: ['DELETE'] } }])
    engine.decide(question({ request: { method: 'DELETE' } }))
    expect(engine.decide(question()).verdict).toBe('allow')
  })
})

describe('compiling', () => {
  it('refuses a destination that there is not', () => {
    expect(() => engineOf([{ allow: { agents: [researcher], to: 'nowhere' } }])).toThrow(
      'rule rule-1 names the destination nowhere',
    )
  })

  it('refuses a rule without effect, and an expression that is none', () => {
    expect(() => engineOf([{ name: 'empty' }])).toThrow('rule empty neither allows nor denies')
    expect(() => engineOf([{ deny: {}, when: 'chain.depth' }])).toThrow('not an expression')
  })
})

describe('what could be allowed to anybody', () => {
  const wild = destination('wild', ['*.example', '*.eu.example', 'one.example'])
  const unused = destination('unused', ['unused.example'])
  const rules: Rule[] = [
    { name: 'a', allow: { agents: [researcher], to: ['crm', 'wild'] } },
    { name: 'b', deny: { agents: [researcher], to: ['unused'] } },
    { name: 'c', mode: 'shadow', allow: { agents: [researcher], to: ['unused'] } },
  ]
  const engine = engineOf(rules, [crm, wild, unused])

  it.each([
    ['api.crm.example', { below: undefined }],
    ['one.example', { below: undefined }],
    ['two.example', { below: 'example' }],
    ['a.b.eu.example', { below: 'eu.example' }],
    ['eu.example', { below: 'example' }],
    ['example', undefined],
    ['elsewhere', undefined],
  ])('at %s is told with how it is named', (host, named) => {
    expect(engine.couldAllow(host)).toEqual(named)
  })

  it('is nothing where rules only deny, or only would allow', () => {
    expect(engineOf(rules, [crm, destination('wild', ['w.test']), unused]).couldAllow('unused.example')).toBeUndefined()
  })
})
