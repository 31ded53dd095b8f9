import { describe, expect, it } from 'vitest'
import { compile } from '../../policy/compile.ts'
import { explain, renderExplanation } from '../../policy/explain.ts'
import { createEngine } from '../../policy/rule-engine.ts'
import type { Rule } from '../../policy/settings.ts'
import { type Change, question } from './support.ts'

const researcher = 'spiffe://acme.example/ns/agents/sa/researcher'
const rules: Rule[] = [
  { name: 'nobody-deletes', deny: { methods: ['DELETE'] } },
  { name: 'no-role', deny: { query: { role: 'admin' } }, mode: 'shadow' },
  {
    name: 'read',
    allow: { agents: [researcher], to: 'crm', methods: ['GET'], paths: ['/v1/**'] },
    when: 'principal.kind == "user"',
    use: 'token',
    limit: '1/minute per agent',
  },
  { name: 'elsewhere', allow: { agents: [researcher], to: 'wiki' } },
]
const policy = compile({
  rules,
  destinations: [
    { name: 'crm', hosts: ['api.crm.example'], ports: [443], protocol: 'https' },
    { name: 'wiki', hosts: ['wiki.example'], ports: [443], protocol: 'https' },
  ],
})
const explained = (change: Change = {}) => explain(policy, question(change))

describe('an explanation', () => {
  it('shows every rule with every condition, expected and actual', () => {
    const { verdict, rules: shown } = explained({ request: { method: 'POST', query: '?role=user' } })
    expect(verdict).toMatchObject({ verdict: 'deny', reason: 'no_rule' })
    expect(shown.map(({ rule, matched }) => [rule, matched])).toEqual([
      ['nobody-deletes', false],
      ['no-role', false],
      ['read', false],
      ['elsewhere', false],
    ])
    expect(shown[2]).toEqual({
      rule: 'read',
      effect: 'allow',
      mode: 'enforce',
      matched: false,
      decided: false,
      limit: '1/minute per agent',
      conditions: [
        { key: 'agents', expected: researcher, actual: researcher, outcome: 'met' },
        { key: 'to', expected: 'crm', actual: 'https://api.crm.example:443 (crm)', outcome: 'met' },
        { key: 'methods', expected: 'GET', actual: 'POST', outcome: 'unmet' },
        { key: 'paths', expected: '/v1/**', actual: '/v1/contacts/7', outcome: 'met' },
        { key: 'when', expected: 'principal.kind == "user"', actual: 'true, principal.kind = "user"', outcome: 'met' },
      ],
    })
  })

  it('shows values of the query, which a record does not', () => {
    const [, shadow] = explained({ request: { query: '?role=root' } }).rules
    expect(shadow?.conditions[0]).toEqual({ key: 'query.role', expected: 'admin', actual: 'root', outcome: 'unmet' })
  })

  it('says which rule decided, and what a rule in shadow would', () => {
    const { verdict, rules: shown } = explained({ request: { query: '?role=admin' } })
    expect(verdict).toMatchObject({ verdict: 'allow', rule: 'read', shadows: [{ rule: 'no-role', would: 'deny' }] })
    expect(shown.filter(({ decided }) => decided).map(({ rule }) => rule)).toEqual(['read'])
    expect(shown.filter(({ matched }) => matched).map(({ rule }) => rule)).toEqual(['no-role', 'read'])
  })

  it('says of what cannot be read that it counts against the request', () => {
    const [, shadow] = explained({ request: { query: '?role=%' } }).rules
    expect(shadow).toMatchObject({ matched: true, conditions: [{ actual: 'unreadable', outcome: 'unreadable' }] })
  })

  it('agrees with the decision, and uses up no permit', () => {
    const decision = createEngine(policy).decide(question())
    for (let asked = 0; asked < 3; asked++) expect(explained().verdict).toEqual(decision)
  })
})

describe('an explanation for people', () => {
  it('lines up what was expected and what was found', () => {
    expect(renderExplanation(explained({ request: { method: 'DELETE' } }))).toBe(
      `DENY    denied_by_rule (nobody-deletes)
why     rule nobody-deletes: methods DELETE matched DELETE
policy  ${policy.version}

nobody-deletes: deny, matched, decided
  + methods  expected DELETE  found DELETE

no-role: deny (shadow), not matched
  - query.role  expected admin  found absent

read: allow, not matched, 1/minute per agent
  + agents   expected spiffe://acme.example/ns/agents/sa/researcher  found spiffe://acme.example/ns/agents/sa/researcher
  + to       expected crm                                            found https://api.crm.example:443 (crm)
  - methods  expected GET                                            found DELETE
  + paths    expected /v1/**                                         found /v1/contacts/7
  + when     expected principal.kind == "user"                       found true, principal.kind = "user"

elsewhere: allow, not matched
  + agents  expected spiffe://acme.example/ns/agents/sa/researcher  found spiffe://acme.example/ns/agents/sa/researcher
  - to      expected wiki                                           found https://api.crm.example:443 (crm)

marks: + holds, - does not, ! unreadable (satisfies a deny, fails an allow)`,
    )
  })

  it('begins with the verdict', () => {
    expect(renderExplanation(explained({ request: { query: '?role=admin' } }))).toMatch(
      /^ALLOW {3}read\nto {6}crm, credential token\nshadow {2}no-role would deny\n/,
    )
  })

  it('is short where there are no rules', () => {
    const nothing = compile({ rules: [], destinations: [] })
    expect(renderExplanation(explain(nothing, question()))).toBe(
      `DENY    no_rule\nwhy     no destination has the host api.crm.example\npolicy  ${nothing.version}`,
    )
  })
})
