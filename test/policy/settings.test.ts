import { describe, expect, it } from 'vitest'
import { z } from 'zod'
import { checkRule, checkRuleNames, nameRules, type Rule, ruleSchema } from '../../policy/settings.ts'

const agent = 'spiffe://acme.example/a'
const rules = z.array(ruleSchema.superRefine(checkRule)).superRefine(checkRuleNames)

/** What is wrong, each with its place. */
function problems(...written: unknown[]): string[] {
  const issues = rules.safeParse(written).error?.issues ?? []
  return issues.map((issue) => {
    const expected = issue.code === 'custom' ? issue.params?.expected : undefined
    return `${issue.path.join('.')}: ${issue.message}${expected === undefined ? '' : ` (${expected})`}`
  })
}

describe('a rule that is refused', () => {
  it.each<[string, unknown, string]>([
    ['neither allow nor deny', { name: 'x' }, '0: a rule has either `allow` or `deny`'],
    ['both', { allow: {}, deny: {} }, '0.deny: a rule has either `allow` or `deny`, not both'],
    ['an unknown key', { deny: {}, wehn: 'true' }, '0: Unrecognized key: "wehn"'],
    ['an unknown key within', { deny: { method: ['GET'] } }, '0.deny: Unrecognized key: "method"'],
    ['a name with a space', { name: 'a b', deny: {} }, '0.name: a name of letters'],
    ['an agent that is no SPIFFE ID', { allow: { agents: ['researcher'] } }, '0.allow.agents.0: a SPIFFE ID such as'],
    ['any agent at all', { allow: { agents: ['*'] } }, '0.allow.agents.0: a SPIFFE ID such as'],
    [
      'a principal without kind',
      { deny: { principals: ['alice'] } },
      '0.deny.principals.0: user: or agent: and a glob',
    ],
    ['a method in lower case', { deny: { methods: ['get'] } }, '0.deny.methods.0: a method in upper case'],
    [
      'a path without slash',
      { deny: { paths: ['v1'] } },
      '0.deny.paths.0: not in the right form (a path that begins with /)',
    ],
    ['a query value that is a number', { deny: { query: { a: 1 } } }, '0.deny.query.a: Invalid input'],
    ['absent: false', { deny: { query: { a: { absent: false } } } }, '0.deny.query.a'],
    [
      'a header that carries credentials',
      { deny: { headers: { Authorization: '*' } } },
      '0.deny.headers.Authorization',
    ],
    ['a header that is no name', { deny: { headers: { 'a b': '*' } } }, '0.deny.headers.a b'],
    [
      'an expression with a wrong type',
      { deny: {}, when: 'chain.depth > "2"' },
      '0.when: no such overload: int > string',
    ],
    ['an unknown mode', { deny: {}, mode: 'off' }, '0.mode: Invalid option'],
    ['an unknown proof', { allow: { agents: [agent], to: 'x' }, proof: ['password'] }, '0.proof.0: Invalid option'],
    ['no proofs', { allow: {}, proof: [] }, '0.proof: Too small'],
    ['no scopes', { allow: {}, requires: [] }, '0.requires: Too small'],
    ['a limit without whom', { allow: {}, limit: '60/minute' }, '0.limit: a limit such as 60/minute per agent'],
    ['a deny with a credential', { deny: {}, use: 'x' }, '0.use: `use` goes with `allow` only'],
    ['a deny with a limit', { deny: {}, limit: '1/day per rule' }, '0.limit: `limit` goes with `allow` only'],
    [
      'a deny with proofs',
      { deny: {}, proof: ['kernel'] },
      '0.proof: `proof` goes with `allow` only; in a deny, say it in `when`',
    ],
    [
      'a deny with scopes',
      { deny: {}, requires: ['x'] },
      '0.requires: `requires` goes with `allow` only; in a deny, say it in `when`',
    ],
    ['a deny of no methods', { deny: { methods: [] } }, '0.deny.methods: an empty list would deny nothing'],
    ['a deny of no agents', { deny: { agents: [] } }, '0.deny.agents: an empty list would deny nothing'],
    ['a deny of no destinations', { deny: { to: [] } }, '0.deny.to: an empty list would deny nothing'],
  ])('%s', (_what, rule, problem) => {
    expect(problems(rule).join('\n')).toContain(problem)
  })

  it('has a name that another has, given or generated', () => {
    const deny = {}
    expect(problems({ name: 'a', deny }, { name: 'a', deny })).toEqual(['1.name: rule 1 has the name a already'])
    expect(problems({ name: 'rule-2', deny }, { deny })).toEqual(['1: rule 1 has the name rule-2 already'])
  })
})

describe('a rule that is accepted', () => {
  it.each<[string, Rule]>([
    ['a deny of everything', { deny: {} }],
    ['an allow of nobody', { allow: {} }],
    ['an allow with empty lists', { allow: { agents: [], to: [], methods: [], paths: [] } }],
    [
      'everything that can be said',
      {
        name: 'all',
        allow: {
          agents: [agent, 'spiffe://acme.example/*'],
          to: ['x', 'y'],
          principals: ['user:*@acme.example', 'agent:spiffe://acme.example/*'],
          methods: ['GET', '*'],
          paths: ['/**'],
          query: { a: '*', b: { absent: true } },
          headers: { 'X-Tenant': 'a*' },
        },
        when: 'chain.depth <= 2',
        mode: 'shadow',
        proof: ['x509-svid', 'kernel'],
        requires: ['crm.read'],
        use: 'token',
        limit: '60/minute per agent',
      },
    ],
  ])('%s', (_what, rule) => {
    expect(problems(rule)).toEqual([])
    expect(rules.parse([rule])).toEqual([rule])
  })

  it('can be extended by another room', () => {
    const extended = ruleSchema.extend({ inject: z.string() }).superRefine(checkRule)
    expect(extended.parse({ deny: {}, inject: 'bearer' })).toEqual({ deny: {}, inject: 'bearer' })
    expect(extended.safeParse({ inject: 'bearer' }).success).toBe(false)
  })

  it('gets a name by its number where it has none', () => {
    expect(nameRules([{ deny: {} }, { name: 'x', deny: {} }, { deny: {} }]).map(({ name }) => name)).toEqual([
      'rule-1',
      'x',
      'rule-3',
    ])
  })
})

describe('the schema', () => {
  it('describes each of its keys, for editors', () => {
    const schema = z.toJSONSchema(ruleSchema, { io: 'input' })
    const undescribed: string[] = []
    const visit = (node: z.core.JSONSchema._JSONSchema | undefined, path: string) => {
      if (typeof node !== 'object') return
      for (const [key, child] of Object.entries(node.properties ?? {})) {
        if (typeof child !== 'object' || child.description === undefined) undescribed.push(`${path}.${key}`)
        visit(child, `${path}.${key}`)
      }
    }
    visit(schema, 'rule')
    expect(undescribed).toEqual([])
  })

  it('says that a missing list of agents or destinations means nobody', () => {
    const { allow } = ruleSchema.shape
    for (const key of ['agents', 'to'] as const) {
      expect(allow.unwrap().shape[key].description).toContain('Missing or empty means nobody.')
    }
  })
})
