// The `rules` section: what a rule may say. A JSON Schema is generated from the descriptions.
import * as z from 'zod'
import { agentPattern, maxIdLength } from './agents.ts'
import { expressionProblem } from './expression.ts'
import { limitPattern } from './limits.ts'
import { pathPatternProblem } from './paths.ts'
import { secretHeaders } from './secret-headers.ts'

const name = z
  .string()
  .regex(/^[A-Za-z0-9][A-Za-z0-9._-]{0,99}$/, 'a name of letters, digits, dots, dashes and underscores')

const agent = z
  .string()
  .max(maxIdLength)
  .regex(agentPattern, 'a SPIFFE ID such as spiffe://acme.example/ns/agents/sa/researcher, or one that ends in /*')

const principal = z
  .string()
  .max(maxIdLength)
  .regex(/^(?:user|agent):.+$/, 'user: or agent: and a glob, such as user:*@acme.example')

const method = z.string().regex(/^(?:\*|[A-Z][A-Z0-9_-]*)$/, 'a method in upper case, or *')

const path = z
  .string()
  .max(maxIdLength)
  .superRefine((pattern, context) => {
    const problem = pathPatternProblem(pattern)
    if (problem !== undefined)
      context.addIssue({ code: 'custom', message: 'not in the right form', params: { expected: problem } })
  })

const value = z.union([
  z.string().describe('A glob; `*` stands for any run of characters.'),
  z.strictObject({ absent: z.literal(true).describe('It must not be there.') }),
])

const headerName = z.string().superRefine((header, context) => {
  if (!/^[A-Za-z0-9!#$%&'*+.^_`|~-]+$/.test(header)) {
    context.addIssue({ code: 'custom', message: 'not the name of a header field' })
  } else if (secretHeaders.has(header.toLowerCase())) {
    context.addIssue({
      code: 'custom',
      message: 'this field carries a credential, and rules do not look at those',
    })
  }
})

/** The keys that `allow` and `deny` share; `empty` says what a missing key means. */
function matchFields(empty: { readonly who: string; readonly what: string }) {
  return {
    agents: z
      .array(agent)
      .optional()
      .describe(`Callers: SPIFFE IDs, or prefixes ending in \`/*\` for everything below. ${empty.who}`),
    to: z
      .union([z.string().min(1), z.array(z.string().min(1))])
      .optional()
      .describe(`Destinations, by name: one or a list. ${empty.who}`),
    principals: z
      .array(principal)
      .optional()
      .describe(`On whose behalf: \`user:\` or \`agent:\` and a glob over the id. ${empty.what}`),
    methods: z.array(method).optional().describe(`Methods in upper case, or \`*\`. ${empty.what}`),
    paths: z
      .array(path)
      .optional()
      .describe(
        `Paths: \`*\` stands for characters within one segment, \`**\` for any number of segments, also none. ${empty.what}`,
      ),
    query: z
      .record(z.string().min(1), value)
      .optional()
      .describe('Keys of the query, each with a glob over its value or `{absent: true}`. All must hold.'),
    headers: z
      .record(headerName, value)
      .optional()
      .describe('Header fields, each with a glob over its value or `{absent: true}`. All must hold.'),
  }
}

const allowSchema = z.strictObject(
  matchFields({ who: 'Missing or empty means nobody.', what: 'Missing means any, empty means none.' }),
)

export const denySchema = z.strictObject(
  matchFields({ who: 'Missing means everybody and everywhere.', what: 'Missing means any.' }),
)

/** Proofs of a caller that a rule can demand. */
export const proofKinds = [
  'x509-svid',
  'jwt-svid',
  'kubernetes-token',
  'kernel',
  'run-token',
  'namespace',
  'delegation',
] as const

/** One rule. Plain, so that it can be extended; `checkRule` holds what concerns more than one key. */
export const ruleSchema = z.strictObject({
  name: name
    .optional()
    .describe('Stands in records and metrics; unique. Missing: `rule-` and the number of the rule, counted from 1.'),
  allow: allowSchema
    .optional()
    .describe('What the rule allows. A rule has either `allow` or `deny`. The first rule that allows decides.'),
  deny: denySchema
    .optional()
    .describe('What the rule denies, whatever other rules say. An empty object denies everything.'),
  when: z
    .string()
    .superRefine((text, context) => {
      const problem = expressionProblem(text)
      if (problem !== undefined) context.addIssue({ code: 'custom', message: problem })
    })
    .optional()
    .describe(
      'A CEL expression that must be true. One that cannot be evaluated satisfies a deny and fails an allow. docs/policy.md lists what it can see.',
    ),
  mode: z
    .enum(['enforce', 'shadow'])
    .optional()
    .describe('`shadow`: evaluated and recorded, without effect. Default: `enforce`.'),
  proof: z
    .array(z.enum(proofKinds))
    .min(1)
    .optional()
    .describe('Proofs that the caller must have given, all of them. With `allow` only.'),
  requires: z
    .array(z.string().min(1))
    .min(1)
    .optional()
    .describe('Scopes that every hop of the delegation chain must hold. With `allow` only.'),
  use: z.string().min(1).optional().describe('Name of the credential to put into the request. With `allow` only.'),
  limit: z
    .string()
    .regex(limitPattern, 'a limit such as 60/minute per agent; per second, minute, hour or day, and per agent or rule')
    .optional()
    .describe('How often the rule may allow, such as `60/minute per agent` or `1000/day per rule`. With `allow` only.'),
})

export type Rule = z.infer<typeof ruleSchema>
/** A rule that has its name. */
export type NamedRule = Rule & { readonly name: string }
/** The keys of `allow` and `deny`. */
export type Match = z.infer<typeof allowSchema>

const allowOnly = ['proof', 'requires', 'use', 'limit'] as const
const lists = ['agents', 'to', 'principals', 'methods', 'paths'] as const

/** What one rule must fulfil besides its schema; for `superRefine`. */
export function checkRule(rule: Rule, context: z.RefinementCtx): void {
  const complain = (message: string, ...path: string[]) => context.addIssue({ code: 'custom', message, path })
  if (rule.allow === undefined && rule.deny === undefined) complain('a rule has either `allow` or `deny`')
  if (rule.deny === undefined) return
  if (rule.allow !== undefined) complain('a rule has either `allow` or `deny`, not both', 'deny')
  for (const key of allowOnly) {
    if (rule[key] === undefined) continue
    const hint = key === 'proof' || key === 'requires' ? '; in a deny, say it in `when`' : ''
    complain(`\`${key}\` goes with \`allow\` only${hint}`, key)
  }
  for (const key of lists) {
    if (rule.deny[key]?.length === 0) {
      complain(`an empty list would deny nothing: leave \`${key}\` out to mean any, or remove the rule`, 'deny', key)
    }
  }
}

/** What the rules must fulfil together; for `superRefine` of the list. */
export function checkRuleNames(rules: readonly Rule[], context: z.RefinementCtx): void {
  const seen = new Map<string, number>()
  for (const [index, rule] of nameRules(rules).entries()) {
    const first = seen.get(rule.name)
    if (first === undefined) seen.set(rule.name, index)
    else {
      const path = rules[index]?.name === undefined ? [index] : [index, 'name']
      context.addIssue({ code: 'custom', path, message: `rule ${first + 1} has the name ${rule.name} already` })
    }
  }
}

/** The same rules, each with a name: `rule-1`, `rule-2`, … where it has none. */
export function nameRules<Given extends Rule>(rules: readonly Given[]): (Given & { readonly name: string })[] {
  return rules.map((rule, index) => ({ ...rule, name: rule.name ?? `rule-${index + 1}` }))
}
