// Names in one part of the configuration that lead to another, and names that must be said once only.
// Works on the data as written, so that everything can be told at once, whatever else is wrong.
import * as z from 'zod'
import { checkRuleNames } from '../../policy/settings.ts'
import { nearest, oneOf } from './nearest.ts'
import { type Mistake, shownAtMost } from './problems.ts'
import { entriesOf, itemsOf, member, textOf } from './shape.ts'

type Path = readonly string[]

/** A name, and where it stands. */
export interface Mention {
  readonly name: string
  readonly path: Path
}

/** The destinations that a rule names, one or a list. */
export function destinationsOf(rule: unknown, path: Path): Mention[] {
  return ['allow', 'deny'].flatMap((effect) => {
    const to = member(member(rule, effect), 'to')
    const at = [...path, effect, 'to']
    return typeof to === 'string' ? [{ name: to, path: at }] : mentions(to, at)
  })
}

/** The destinations that a budget concerns, one or a list. */
function budgeted(budget: unknown, path: Path): Mention[] {
  const to = member(member(budget, 'for'), 'to')
  const at = [...path, 'for', 'to']
  return typeof to === 'string' ? [{ name: to, path: at }] : mentions(to, at)
}

/** The destinations that a credential is for. */
export const boundTo = (credential: unknown, path: Path): Mention[] =>
  mentions(member(credential, 'for'), [...path, 'for'])

function mentions(list: unknown, path: Path): Mention[] {
  return itemsOf(list).flatMap((item, index) =>
    typeof item === 'string' ? [{ name: item, path: [...path, String(index)] }] : [],
  )
}

export function wrongReferences(data: unknown): Mistake[] {
  const destinations = entriesOf(member(data, 'destinations')).map(([name]) => name)
  const credentials = entriesOf(member(data, 'credentials'))
  const rules = itemsOf(member(data, 'rules'))
  const used = rules.flatMap((rule, index): Mention[] => {
    const name = textOf(member(rule, 'use'))
    return name === undefined ? [] : [{ name, path: ['rules', String(index), 'use'] }]
  })
  return [
    ...unknownNames(
      'destination',
      rules.flatMap((rule, index) => destinationsOf(rule, ['rules', String(index)])),
      destinations,
    ),
    ...unknownNames(
      'destination',
      credentials.flatMap(([name, credential]) => boundTo(credential, ['credentials', name])),
      destinations,
    ),
    ...unknownNames(
      'destination',
      entriesOf(member(data, 'budgets')).flatMap(([name, budget]) => budgeted(budget, ['budgets', name])),
      destinations,
    ),
    ...unknownNames(
      'credential',
      used,
      credentials.map(([name]) => name),
    ),
    ...repeated(member(data, 'listen'), 'name'),
    ...repeated(member(data, 'listen'), 'address'),
    ...repeatedRules(rules),
  ]
}

function unknownNames(kind: string, mentioned: readonly Mention[], known: readonly string[]): Mistake[] {
  const names = new Set(known)
  return (
    mentioned
      .filter(({ name }) => !names.has(name))
      // No more are shown, and looking for the nearest name takes a while where there are thousands.
      .slice(0, shownAtMost)
      .map(({ name, path }) => ({
        path,
        message: `there is no ${kind} of this name`,
        expected: oneOf(known),
        nearest: nearest(name, known),
      }))
  )
}

function repeated(listeners: unknown, key: 'name' | 'address'): Mistake[] {
  const seen = new Set<string>()
  return itemsOf(listeners).flatMap((listener, index) => {
    const value = textOf(member(listener, key))
    // Port 0 is another one each time.
    if (value === undefined || (key === 'address' && value.endsWith(':0'))) return []
    if (!seen.has(value)) {
      seen.add(value)
      return []
    }
    return [{ path: ['listen', String(index), key], message: `another listener has this ${key}` }]
  })
}

const ruleNames = z
  .array(z.object({ name: z.string().optional().catch(undefined) }).catch({}))
  .superRefine(checkRuleNames)

function repeatedRules(rules: readonly unknown[]): Mistake[] {
  const issues = ruleNames.safeParse(rules).error?.issues ?? []
  return issues.map(({ path, message }) => ({ path: ['rules', ...path.map(String)], message }))
}
