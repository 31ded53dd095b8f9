// Whether the rules in force are the ones that were installed, and what they have counted.
import type { Backend } from './backend.ts'
import { difference } from './difference.ts'
import { type Counter, escapes } from './nft-ruleset.ts'
import { type Plan, readPlan } from './plan.ts'

export interface State {
  /** `altered`: somebody changed them by hand. */
  readonly rules: 'none' | 'in force' | 'altered'
  readonly program: string
  readonly plan: Plan | undefined
  /** Lines as of `difference`, from what should be to what is. */
  readonly changes: readonly string[]
  readonly counts: Readonly<Partial<Record<Counter, number>>>
  readonly escapeAttempts: number
}

export function stateOf(backend: Backend): State {
  const program = backend.name
  const listed = backend.inForce()
  if (listed === undefined)
    return { rules: 'none', program, plan: undefined, changes: [], counts: {}, escapeAttempts: 0 }
  const plan = readPlan(/"(postern uid=[^"]*)"/.exec(listed)?.[1] ?? '')
  const changes = plan === undefined ? difference('', listed) : difference(backend.expected(plan), listed)
  const counts = backend.counts()
  return {
    rules: changes.length === 0 ? 'in force' : 'altered',
    program,
    plan,
    changes: changes.filter((line) => !line.startsWith(' ')),
    counts,
    escapeAttempts: escapes.reduce((sum, name) => sum + (counts[name] ?? 0), 0),
  }
}

/** The counts in the text format of Prometheus. */
export function stateMetrics({ counts, rules }: State): string {
  const attempts = escapes.map((kind) => `postern_escape_attempts_total{kind="${kind}"} ${counts[kind] ?? 0}\n`)
  return [
    '# HELP postern_capture_in_force Whether the rules are those that were installed.\n',
    '# TYPE postern_capture_in_force gauge\n',
    `postern_capture_in_force ${rules === 'in force' ? 1 : 0}\n`,
    '# HELP postern_escape_attempts_total Packets of others than the proxy that would have left past it, by kind.\n',
    '# TYPE postern_escape_attempts_total counter\n',
    ...attempts,
  ].join('')
}
