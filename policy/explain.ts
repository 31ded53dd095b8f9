// Shows for one request what each rule made of it: every condition with what it expected and what it found.
import type { CompiledPolicy } from './compile.ts'
import { type CompiledRule, holds } from './compiled-rule.ts'
import type { Effect } from './conditions.ts'
import type { Allow, Deny, Question } from './engine.ts'
import type { Outcome } from './outcome.ts'
import { createEngine } from './rule-engine.ts'
import { View } from './view.ts'

interface ConditionExplained {
  /** Key of the rule, such as `methods` or `query.role`. */
  readonly key: string
  readonly expected: string
  readonly actual: string
  readonly outcome: Outcome
}

interface RuleExplained {
  readonly rule: string
  readonly effect: Effect
  readonly mode: 'enforce' | 'shadow'
  readonly matched: boolean
  /** Whether it is the one that decided. */
  readonly decided: boolean
  readonly conditions: readonly ConditionExplained[]
  /** As written; an explanation counts nothing. */
  readonly limit: string | undefined
}

export interface Explanation {
  /** Of the policy. */
  readonly version: string
  /** As with full limits. */
  readonly verdict: Allow | Deny
  /** All of them, in the order of the file. */
  readonly rules: readonly RuleExplained[]
}

/** For the eyes of whoever asks: unlike `Deny.detail`, it shows values of query and headers. */
export function explain(policy: CompiledPolicy, question: Question): Explanation {
  const view = new View(question)
  const verdict = createEngine(policy).decide(question)
  return {
    version: policy.version,
    verdict,
    rules: policy.rules.map((rule) => explainRule(rule, view, verdict.rule)),
  }
}

function explainRule(rule: CompiledRule, view: View, decider: string | undefined): RuleExplained {
  const conditions = [...rule.indexed, ...rule.conditions]
  return {
    rule: rule.name,
    effect: rule.effect,
    mode: rule.shadow ? 'shadow' : 'enforce',
    matched: holds(conditions, rule.effect, view),
    decided: rule.name === decider,
    conditions: conditions.map((condition) => ({
      key: condition.key,
      expected: condition.expected,
      actual: condition.actual(view, true),
      outcome: condition.test(view),
    })),
    limit: rule.limit?.text,
  }
}

const marks: Record<Outcome, string> = { met: '+', unmet: '-', unreadable: '!' }

/** Lines for people; without colours. */
export function renderExplanation({ version, verdict, rules }: Explanation): string {
  const lines = [...renderVerdict(verdict), `policy  ${version}`]
  for (const rule of rules) {
    const mode = rule.mode === 'shadow' ? ' (shadow)' : ''
    const ended = rule.decided ? 'matched, decided' : rule.matched ? 'matched' : 'not matched'
    lines.push('', `${rule.rule}: ${rule.effect}${mode}, ${ended}${rule.limit === undefined ? '' : `, ${rule.limit}`}`)
    lines.push(...renderConditions(rule.conditions))
  }
  if (rules.length > 0) lines.push('', 'marks: + holds, - does not, ! unreadable (satisfies a deny, fails an allow)')
  return lines.join('\n')
}

function renderVerdict(verdict: Allow | Deny): string[] {
  const shadows = verdict.shadows.map(({ rule, would }) => `shadow  ${rule} would ${would}`)
  if (verdict.verdict === 'deny') {
    return [
      `DENY    ${verdict.reason}${verdict.rule === undefined ? '' : ` (${verdict.rule})`}`,
      `why     ${verdict.detail}`,
      ...shadows,
    ]
  }
  const credential = verdict.credential === undefined ? 'no credential' : `credential ${verdict.credential}`
  return [`ALLOW   ${verdict.rule}`, `to      ${verdict.destination}, ${credential}`, ...shadows]
}

function renderConditions(conditions: readonly ConditionExplained[]): string[] {
  const widest = (pick: (condition: ConditionExplained) => string) =>
    Math.min(60, Math.max(...conditions.map((condition) => pick(condition).length)))
  const keys = widest(({ key }) => key)
  const expectations = widest(({ expected }) => expected)
  return conditions.map(
    ({ key, expected, actual, outcome }) =>
      `  ${marks[outcome]} ${key.padEnd(keys)}  expected ${expected.padEnd(expectations)}  found ${actual}`,
  )
}
