// The conditions of a rule: each can be tried on a question, and says what it expected and what it found.
import { agentMatches } from './agents.ts'
import { isCovered } from './delegation/scope.ts'
import type { Expression } from './expression.ts'
import { compileGlob } from './glob.ts'
import type { Outcome } from './outcome.ts'
import { compilePath } from './paths.ts'
import type { Match } from './settings.ts'
import type { View } from './view.ts'

export interface Condition {
  /** The key of the rule, such as `methods` or `query.role`. */
  readonly key: string
  readonly expected: string
  test(view: View): Outcome
  /** What the question has. Values that records must not hold are left out unless asked for. */
  actual(view: View, withValues: boolean): string
}

type Values = readonly string[] | undefined
type Expected = string | { readonly absent: true }

export type Effect = 'allow' | 'deny'

const listed = (items: readonly string[]) => (items.length === 0 ? 'nothing' : items.join(', '))
const outcome = (met: boolean): Outcome => (met ? 'met' : 'unmet')

export function agentsCondition(agents: readonly string[]): Condition {
  return {
    key: 'agents',
    expected: listed(agents),
    test: ({ question }) => outcome(agents.some((pattern) => agentMatches(pattern, question.caller.id))),
    actual: ({ question }) => question.caller.id,
  }
}

/** @param placesOf names of the destinations that cover the target of a question */
export function destinationCondition(names: readonly string[], placesOf: (view: View) => readonly string[]): Condition {
  return {
    key: 'to',
    expected: listed(names),
    test: (view) => outcome(placesOf(view).some((name) => names.includes(name))),
    actual: (view) => {
      const { scheme, host, port } = view.question.request
      const places = placesOf(view)
      return `${scheme}://${host.includes(':') ? `[${host}]` : host}:${port} (${places.length === 0 ? 'no destination' : places.join(', ')})`
    },
  }
}

/** Everything that `allow` or `deny` says besides agents and destinations, cheapest first. */
export function matchConditions(match: Match, effect: Effect): Condition[] {
  return [
    ...(match.methods === undefined ? [] : [methodsCondition(match.methods, effect)]),
    ...(match.principals === undefined ? [] : [principalsCondition(match.principals)]),
    ...(match.paths === undefined ? [] : [pathsCondition(match.paths, effect)]),
    ...Object.entries(match.query ?? {}).map(([key, expected]) => queryCondition(key, expected, effect)),
    ...Object.entries(match.headers ?? {}).map(([name, expected]) => headerCondition(name, expected, effect)),
  ]
}

/** Some servers do not tell methods apart by case, so a deny does not either. */
function methodsCondition(methods: readonly string[], effect: Effect): Condition {
  const any = methods.includes('*')
  const set = new Set(methods)
  return {
    key: 'methods',
    expected: listed(methods),
    test: ({ question: { request } }) =>
      outcome(any || set.has(request.method) || (effect === 'deny' && set.has(request.method.toUpperCase()))),
    actual: ({ question }) => question.request.method,
  }
}

function principalsCondition(principals: readonly string[]): Condition {
  const globs = principals.map(compileGlob)
  return {
    key: 'principals',
    expected: listed(principals),
    test: ({ question: { principal } }) => {
      const found = `${principal.kind}:${principal.id}`
      return outcome(globs.some((fits) => fits(found)))
    },
    actual: ({ question: { principal } }) => `${principal.kind}:${principal.id}`,
  }
}

function pathsCondition(paths: readonly string[], effect: Effect): Condition {
  const matchers = paths.map(compilePath)
  return {
    key: 'paths',
    expected: listed(paths),
    test: ({ path }) => {
      if (path === undefined) return 'unreadable'
      const { exact, lenient } = path
      for (const matches of matchers) {
        if (matches(exact) || (effect === 'deny' && lenient !== exact && matches(lenient))) return 'met'
      }
      return 'unmet'
    },
    actual: ({ question }) => question.request.path,
  }
}

function queryCondition(key: string, expected: Expected, effect: Effect): Condition {
  const test = valuesTest(expected, effect)
  return {
    key: `query.${key}`,
    expected: describeExpected(expected),
    test: ({ query }) => (query === undefined ? 'unreadable' : test(query.get(key))),
    actual: ({ query }, withValues) =>
      query === undefined ? 'unreadable' : describeValues(query.get(key), withValues),
  }
}

function headerCondition(name: string, expected: Expected, effect: Effect): Condition {
  const test = valuesTest(expected, effect)
  const field = name.toLowerCase()
  return {
    key: `headers.${field}`,
    expected: describeExpected(expected),
    test: ({ headers }) => test(headers.get(field)),
    actual: ({ headers }, withValues) => describeValues(headers.get(field), withValues),
  }
}

/** Where a key is repeated, servers differ in which value they take: an allow wants all of them to fit, a deny one. */
function valuesTest(expected: Expected, effect: Effect): (values: Values) => Outcome {
  if (typeof expected !== 'string') return (values) => outcome(values === undefined)
  const fits = compileGlob(expected)
  return effect === 'allow'
    ? (values) => outcome(values?.every(fits) ?? false)
    : (values) => outcome(values?.some(fits) ?? false)
}

function describeExpected(expected: Expected): string {
  return typeof expected === 'string' ? expected : 'absent'
}

function describeValues(values: Values, withValues: boolean): string {
  if (values === undefined) return 'absent'
  if (withValues) return values.join(' and ')
  return values.length === 1 ? 'another value' : `${values.length} values`
}

export function proofsCondition(proofs: readonly string[]): Condition {
  return {
    key: 'proof',
    expected: proofs.join(' and '),
    test: ({ question }) => outcome(proofs.every((proof) => question.caller.proofs.includes(proof))),
    actual: ({ question }) => listed(question.caller.proofs),
  }
}

/** A scope is held by the chain when each hop holds one that covers it; where no hop's scopes are known, none is. */
export function scopesCondition(scopes: readonly string[]): Condition {
  return {
    key: 'requires',
    expected: scopes.join(' and '),
    test: ({ question }) => {
      const { scopes: held } = question.chain
      return outcome(held.length > 0 && held.every((hop) => scopes.every((scope) => isCovered(scope, hop))))
    },
    actual: ({ question }) => {
      const { scopes: held, agents } = question.chain
      if (held.length === 0) return 'no scopes are known'
      const lacking = held.findIndex((hop) => !scopes.every((scope) => isCovered(scope, hop)))
      if (lacking === -1) return 'held by every hop'
      const missing = scopes.filter((scope) => !isCovered(scope, held[lacking] ?? []))
      return `hop ${lacking + 1} (${agents[lacking] ?? 'unknown'}) lacks ${missing.join(', ')}`
    },
  }
}

export function whenCondition(expression: Expression): Condition {
  return {
    key: 'when',
    expected: expression.text,
    test: (view) => expression.test(view),
    actual: (view, withValues) => expression.describe(view, withValues),
  }
}
