// What a replay found, for people.
import { harmless, type Paint } from '../../proxy/record/terminal-text.ts'
import type { Change, Comparison, Effect, Way } from './comparison.ts'

const titles = {
  denied: 'would now be denied',
  allowed: 'would now be allowed',
  otherwise: 'the same verdict, otherwise: another rule, destination, credential or reason',
  unknown: 'cannot be told: a rule looks at a header or a query, and records hold neither',
} as const satisfies Partial<Record<Effect, string>>

const colours = { denied: 'red', allowed: 'yellow', otherwise: 'yellow', unknown: 'grey' } as const

/** Ways of changing that are told without `--list`. */
const briefly = 10

/** @param list tell each sort of request that changes */
export function replayReport(
  { counts, changes, ways, untold, first, last }: Comparison,
  version: string,
  list: boolean,
  paint: Paint,
): string[] {
  const replayed = counts.same + counts.denied + counts.allowed + counts.otherwise + counts.unknown
  const span = first === undefined || last === undefined ? '' : `, of ${moment(first)} to ${moment(last)} UTC`
  const lines = [`Policy ${version}, asked again about ${grouped(replayed)} requests${span}:`, '']
  lines.push(`${number(counts.same)}  the same`)
  for (const effect of ['denied', 'allowed', 'otherwise', 'unknown'] as const) {
    const count = counts[effect]
    const line = `${number(count)}  ${titles[effect]}`
    lines.push(count === 0 ? line : paint(line, colours[effect]))
    lines.push(
      ...(list
        ? changes.filter((change) => change.effect === effect).flatMap(oneByOne)
        : inShort(ways.filter((way) => way.effect === effect))),
    )
  }
  lines.push('')
  if (list && untold > 0) lines.push(`${grouped(untold)} more that change are counted and not listed.`)
  if (counts.unasked > 0)
    lines.push(`${grouped(counts.unasked)} more ended before the rules decided; they are not replayed.`)
  if (counts.door > 0) lines.push(`${grouped(counts.door)} more asked the proxy itself, which needs no rule.`)
  lines.push('Limits, budgets, stops and the bounds of delegations are not replayed.')
  return lines
}

/** By what would decide. */
function inShort(ways: readonly Way[]): string[] {
  const told = ways.slice(0, briefly).map(({ way, count }) => `    ${number(count)}  ${harmless(way)}`)
  return ways.length <= briefly ? told : [...told, `    ${' '.repeat(9)}  … ${ways.length - briefly} more (--list)`]
}

function oneByOne({ agent, method, host, path, was, now, count, example }: Change): string[] {
  return [
    `    ${number(count)}  ${harmless(`${method} ${host}${path}`)}`,
    `    ${' '.repeat(9)}  ${harmless(`${agent}: ${was} → ${now}`)}  (${harmless(example.slice(-8))})`,
  ]
}

const moment = (time: string) => `${time.slice(0, 10)} ${time.slice(11, 19)}`
const grouped = (value: number) => value.toLocaleString('en')
const number = (value: number) => grouped(value).padStart(9)
