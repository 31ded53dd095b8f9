// What doctor found, for people and for programs.
import { harmless, type Paint } from '../../proxy/record/terminal-text.ts'
import type { Check } from './check.ts'
import type { Examined } from './examine.ts'
import type { Scene } from './scene.ts'

const marks = { green: '✓', red: '✗', skipped: '-' } as const
const colours = { green: 'green', red: 'red', skipped: 'grey' } as const

export function forPeople(examined: readonly Examined[], scene: Scene, paint: Paint): string {
  const width = Math.max(...examined.map(({ name }) => name.length))
  const rows = examined.flatMap(({ name, state, saw, todo }) => [
    `${paint(marks[state], colours[state])} ${name.padEnd(width)}  ${state === 'skipped' ? 'skipped: ' : ''}${harmless(saw)}`,
    ...(todo === undefined ? [] : [`  ${''.padEnd(width)}  → ${harmless(todo)}`]),
  ])
  const { green, red, skipped } = counted(examined)
  return [`${standing(scene)}`, '', ...rows, '', `${green} green, ${red} red, ${skipped} skipped.`].join('\n')
}

function standing({ uid, side, mode, borrowed }: Scene): string {
  const who = `${uid === undefined ? 'this user' : `user ${uid}`}${borrowed ? ' (put on for it)' : ''}`
  if (side === 'proxy') return `Looked at from the proxy’s side, as ${who}.`
  return `Looked at from the agent’s side, as ${who}; ${mode === 'transparent' ? 'connections are redirected' : 'the proxy is named by variables'}.`
}

/** docs/doctor.md has the shape. */
export function forPrograms(examined: readonly Examined[], { uid, side, mode }: Scene): object {
  const counts = counted(examined)
  return {
    ok: isWell(examined),
    uid,
    side,
    mode,
    checks: examined.map(({ name, state, saw, todo, milliseconds }) => ({ name, state, saw, todo, ms: milliseconds })),
    counts,
  }
}

/** Nothing is red, and something is green. */
export const isWell = (examined: readonly Examined[]): boolean =>
  examined.every(({ state }) => state !== 'red') && examined.some(({ state }) => state === 'green')

function counted(examined: readonly Examined[]): Record<Examined['state'], number> {
  const counts = { green: 0, red: 0, skipped: 0 }
  for (const { state } of examined) counts[state] += 1
  return counts
}

export function listOf(checks: readonly Check[]): string {
  const width = Math.max(...checks.map(({ name }) => name.length))
  return checks.map(({ name, proves }) => `${name.padEnd(width)}  ${proves}`).join('\n')
}
