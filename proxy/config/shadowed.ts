// Allow rules that never decide, because one before them allows everything that they would. Only what is plain to see is told.
import { agentMatches } from '../../policy/agents.ts'
import type { Config } from './schema.ts'

type Rule = Config['rules'][number]
type Match = NonNullable<Rule['allow']>

/** @returns by number of the rule: the name of the one before it */
export function shadowedRules(rules: readonly Rule[]): Map<number, string> {
  const found = new Map<number, string>()
  for (const [index, { allow, mode }] of rules.entries()) {
    if (allow === undefined || mode === 'shadow' || !allow.agents?.length || !allow.to?.length) continue
    const earlier = rules.slice(0, index).find((rule) => isUnconditional(rule) && covers(rule.allow, allow))
    if (earlier !== undefined) found.set(index, earlier.name)
  }
  return found
}

/** Whether it looks at nothing but who calls, and what for. */
function isUnconditional({ allow, mode, when, proof, requires }: Rule): boolean {
  if (allow === undefined || mode === 'shadow') return false
  const { principals, query, headers } = allow
  return [when, proof, requires, principals, query, headers].every((condition) => condition === undefined)
}

function covers(earlier: Match | undefined, later: Match): boolean {
  if (earlier === undefined) return false
  const agents = later.agents ?? []
  const hasAgent = (agent: string) =>
    earlier.agents?.some((each) => each === agent || agentMatches(each, agent)) === true
  const destinations = [earlier.to ?? []].flat()
  return (
    agents.every(hasAgent) &&
    [later.to ?? []].flat().every((name) => destinations.includes(name)) &&
    coversList(earlier.methods, later.methods, '*') &&
    coversList(earlier.paths, later.paths, '/**')
  )
}

/** Missing means any. */
function coversList(
  earlier: readonly string[] | undefined,
  later: readonly string[] | undefined,
  any: string,
): boolean {
  if (earlier === undefined || earlier.includes(any)) return true
  return later?.every((item) => earlier.includes(item)) === true
}
