// A budget made ready: which exchanges it concerns, how it is divided among them, and how much there is in each window.
import { hash } from 'node:crypto'
import { agentsCondition, type Condition, matchConditions } from '../conditions.ts'
import type { Question } from '../engine.ts'
import type { Match } from '../settings.ts'
import type { View } from '../view.ts'

/** Each agent, each principal, each pair of first agent and principal, or each transaction has a budget of its own. */
export type Division = 'agent' | 'user' | 'root' | 'txn'

/** Where an answer says what it cost: in a header field (lower case), or in numbers of its JSON, which are added up. */
export type CostSource =
  | { readonly kind: 'header'; readonly name: string }
  | { readonly kind: 'json'; readonly paths: readonly (readonly string[])[] }

export interface BudgetSettings {
  readonly per: Division
  readonly for: Match
  /** Milliseconds. */
  readonly every: number
  readonly requests?: number | undefined
  readonly responseBytes?: number | undefined
  /** Distinct ones, each together with its host and port. */
  readonly paths?: number | undefined
  readonly cost?: { readonly units: number; readonly reserve: number; readonly from: CostSource } | undefined
}

export interface Budget extends Omit<BudgetSettings, 'for'> {
  readonly name: string
  /** What is counted goes on under the same name of the book, so also after a reload or a restart. */
  readonly book: string
  /** undefined: everywhere. */
  readonly to: readonly string[] | undefined
  readonly conditions: readonly Condition[]
}

export function compileBudget(name: string, { for: match, ...settings }: BudgetSettings): Budget {
  return {
    ...settings,
    name,
    book: `${name} ${settings.per} ${settings.every}`,
    to: typeof match.to === 'string' ? [match.to] : match.to,
    conditions: [
      ...(match.agents === undefined ? [] : [agentsCondition(match.agents)]),
      // As in a deny: what cannot be read is concerned.
      ...matchConditions(match, 'deny'),
    ],
  }
}

export function concerns({ to, conditions }: Budget, view: View, destination: string): boolean {
  if (to !== undefined && !to.includes(destination)) return false
  for (const condition of conditions) if (condition.test(view) === 'unmet') return false
  return true
}

/** Characters of a key that are kept as they are; names that agents make up can be longer. */
const longestKey = 200

/** Who shares a budget with this exchange: the same text for all who do. */
export function keyOf(per: Division, { caller, principal, chain }: Question): string {
  const key = keyText(per, caller.id, `${principal.kind}:${principal.id}`, chain)
  return key.length <= longestKey ? key : `sha256:${hash('sha256', key, 'base64url')}`
}

function keyText(per: Division, caller: string, principal: string, { agents, txn }: Question['chain']): string {
  switch (per) {
    case 'agent':
      return `agent:${caller}`
    case 'user':
      return principal
    case 'root':
      return `root:${agents[0] ?? caller} ${principal}`
    case 'txn':
      // Without a delegation there is no transaction; nobody gets out of the budget that way.
      return txn === undefined ? `agent:${caller}` : `txn:${txn}`
  }
}

/** A path as it is counted: 96 bits of a digest, since paths are long and say much. */
export function pathMark(view: View): string {
  const { host, port, path } = view.question.request
  return hash('sha256', `${host}:${port} ${view.path?.exact.text ?? path}`, 'base64url').slice(0, 16)
}
