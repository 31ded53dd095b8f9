// Says in a line why a request was denied. The line goes into the record: it holds no value of a query or header.
import type { CompiledRule } from './compiled-rule.ts'
import type { Condition } from './conditions.ts'
import type { Found, RuleIndex } from './rule-index.ts'
import type { View } from './view.ts'

/** So many rules are looked at for the nearest one; a denial must stay cheap. */
const maxLookedAt = 20
const maxPart = 120

/** What of the request a deny matched. */
export function deniedDetail(rule: CompiledRule, view: View): string {
  const conditions = [...rule.indexed, ...rule.conditions]
  const unreadable = conditions.find((condition) => condition.test(view) === 'unreadable')
  if (unreadable !== undefined) {
    return `rule ${rule.name}: ${unreadable.key} ${clip(unreadable.expected)}: ${actual(unreadable, view)}; in a deny that counts as a match`
  }
  const told = rule.conditions.length > 0 ? rule.conditions : rule.indexed
  if (told.length === 0) return `rule ${rule.name} denies everything`
  return `rule ${rule.name}: ${told.map((each) => `${each.key} ${clip(each.expected)} matched ${actual(each, view)}`).join('; ')}`
}

/** Which rule came closest to allowing it, and what was in the way. */
export function noRuleDetail(index: RuleIndex, found: readonly Found[], view: View): string {
  const { method, scheme, host, port } = view.question.request
  const places = index.places(view)
  const [place] = places
  if (place === undefined) {
    const [named] = index.hosts.at(host)
    if (named === undefined) return `no destination has the host ${clip(host)}`
    const kind = named.protocol === 'opaque' ? 'an opaque tunnel' : named.protocol
    const asked = method === 'CONNECT' ? 'an opaque tunnel' : scheme
    return `destination ${named.name}: expected ${kind} on port ${named.ports.join(' or ')}, found ${asked} on port ${port}`
  }
  const own = found.flatMap(({ drawer }) => drawer.allows)
  const candidates = own.length > 0 ? own : places.flatMap(({ name }) => index.allowsTo(name))
  const nearest = nearestOf(candidates.slice(0, maxLookedAt), view)
  if (nearest === undefined) return `destination ${place.name}: no rule allows anything there`
  const [first, ...others] = nearest.unmet
  if (first === undefined) return `destination ${place.name}: no rule matched`
  const more = others.length === 0 ? '' : `, and ${others.map(({ key }) => key).join(', ')}`
  return `nearest rule ${nearest.rule.name}: ${first.key}: expected ${clip(first.expected)}, found ${actual(first, view)}${more}`
}

interface Nearest {
  readonly rule: CompiledRule
  readonly unmet: readonly Condition[]
}

/** What is in the way weighs by how far it leads from what was asked: another place is further off than another method. */
const weights = new Map([
  ['agents', 16],
  ['to', 16],
  ['paths', 8],
  ['methods', 4],
  ['proof', 2],
  ['requires', 2],
  ['when', 1],
])
const otherWeight = 3

function nearestOf(rules: readonly CompiledRule[], view: View): Nearest | undefined {
  let rule: CompiledRule | undefined
  let least = Number.POSITIVE_INFINITY
  for (const candidate of rules) {
    const far = distance(candidate, view, least)
    if (far >= least) continue
    rule = candidate
    least = far
  }
  return rule && { rule, unmet: [...rule.indexed, ...rule.conditions].filter((condition) => !met(condition, view)) }
}

/** Looks no further than `most`. Expressions, the dearest, come last and are run only where nothing else is in the way. */
function distance({ indexed, conditions }: CompiledRule, view: View, most: number): number {
  let far = 0
  for (const list of [indexed, conditions]) {
    for (const condition of list) {
      if (far >= most || (far > 0 && condition.key === 'when')) return far
      if (!met(condition, view)) far += weights.get(condition.key) ?? otherWeight
    }
  }
  return far
}

function met(condition: Condition, view: View): boolean {
  return condition.test(view) === 'met'
}

function actual(condition: Condition, view: View): string {
  return clip(condition.actual(view, false))
}

function clip(text: string): string {
  return text.length <= maxPart ? text : `${text.slice(0, maxPart - 1)}…`
}
