// A rule made ready to be tried: its conditions in the order of their cost.
import {
  agentsCondition,
  type Condition,
  destinationCondition,
  type Effect,
  matchConditions,
  proofsCondition,
  scopesCondition,
  whenCondition,
} from './conditions.ts'
import { compileExpression } from './expression.ts'
import { type Limit, parseLimit } from './limits.ts'
import type { Match, NamedRule } from './settings.ts'
import type { View } from './view.ts'

export interface CompiledRule {
  readonly name: string
  /** Position in the file, from 0. */
  readonly order: number
  readonly effect: Effect
  readonly shadow: boolean
  /** undefined, in a deny: everybody, everywhere. */
  readonly agents: readonly string[] | undefined
  readonly to: readonly string[] | undefined
  /** What the index answers for: who and where to. */
  readonly indexed: readonly Condition[]
  /** The rest. */
  readonly conditions: readonly Condition[]
  readonly credential: string | undefined
  readonly limit: Limit | undefined
  /** Changes with anything that the rule says. */
  readonly fingerprint: string
}

/** @param placesOf names of the destinations that cover the target of a question */
export function compileRule(
  rule: NamedRule,
  order: number,
  fingerprint: string,
  placesOf: (view: View) => readonly string[],
): CompiledRule {
  const { effect, match } = sideOf(rule)
  // An allow without callers or destinations means nobody and nowhere, a deny everybody and everywhere.
  const fallback = effect === 'allow' ? [] : undefined
  const agents = match.agents ?? fallback
  const to = (typeof match.to === 'string' ? [match.to] : match.to) ?? fallback
  return {
    name: rule.name,
    order,
    effect,
    shadow: rule.mode === 'shadow',
    agents,
    to,
    indexed: [
      ...(agents === undefined ? [] : [agentsCondition(agents)]),
      ...(to === undefined ? [] : [destinationCondition(to, placesOf)]),
    ],
    conditions: [
      ...(rule.proof === undefined ? [] : [proofsCondition(rule.proof)]),
      ...matchConditions(match, effect),
      ...(rule.requires === undefined ? [] : [scopesCondition(rule.requires)]),
      ...(rule.when === undefined ? [] : [whenCondition(compileExpression(rule.when))]),
    ],
    credential: rule.use,
    limit: rule.limit === undefined ? undefined : parseLimit(rule.limit),
    fingerprint,
  }
}

function sideOf({ name, allow, deny }: NamedRule): { readonly effect: Effect; readonly match: Match } {
  if (deny !== undefined) return { effect: 'deny', match: deny }
  if (allow !== undefined) return { effect: 'allow', match: allow }
  throw new Error(`rule ${name} neither allows nor denies`)
}

/** Whether all these conditions hold. What cannot be read counts against the request: it satisfies a deny and fails an allow. */
export function holds(conditions: readonly Condition[], effect: Effect, view: View): boolean {
  for (const condition of conditions) {
    const outcome = condition.test(view)
    if (outcome === 'unmet' || (outcome === 'unreadable' && effect === 'allow')) return false
  }
  return true
}
