// `npm run bench`: what Postern costs, as ratios to other ways within one run, subject after subject in rounds, since machines are noisy.
import { writeFileSync } from 'node:fs'
import { parseArgs } from 'node:util'
import { Contest } from './contest.ts'
import { heldAgainst, readFloors } from './floors.ts'
import { describeMachine, shareOutCores } from './machine.ts'
import { shortPace, wholePace } from './pace.ts'
import { asText, resultsPage } from './report.ts'
import { bodies } from './scenarios/bodies.ts'
import { chain } from './scenarios/chain.ts'
import { identity } from './scenarios/identity.ts'
import { requests } from './scenarios/requests.ts'
import { rest } from './scenarios/rest.ts'
import type { Findings } from './scenarios/scenario.ts'
import { stop } from './scenarios/stop.ts'
import { streams } from './scenarios/streams.ts'
import { subjects } from './subjects/all.ts'

const help = `Usage: npm run bench -- [options]

  --short             a few seconds each, for CI; the figures are held against bench/floors.json
  --only A,B          only these scenarios: 1k, 100k, streams, bodies, rest, identity, chain, stop
  --subjects A,B      only these subjects: ${subjects.map(({ name }) => name).join(', ')}
  --save          write bench/RESULTS.md from this run, also when it is a short one
  --help

Parts by themselves: node bench/delegation.ts, the microseconds that a delegation chain costs;
node bench/redirected.ts, what it costs that the kernel turns connections round.
A whole run writes bench/RESULTS.md. Exit code 1: a figure is worse than its floor.`

const scenarios = {
  '1k': requests('1 KB', '/1k', 64),
  '100k': requests('100 KB', '/100k', 16),
  streams,
  bodies,
  rest,
  identity,
  chain,
  stop,
}

const { values } = parseArgs({
  options: {
    short: { type: 'boolean', default: false },
    only: { type: 'string' },
    subjects: { type: 'string' },
    save: { type: 'boolean', default: false },
    help: { type: 'boolean', default: false },
  },
})

if (values.help) console.log(help)
else process.exitCode = await bench()

async function bench(): Promise<number> {
  const chosen = pick(Object.entries(scenarios), values.only, ([name]) => name)
  const taking = pick(subjects, values.subjects, ({ name }) => name)
  const cores = shareOutCores()
  const contest = await Contest.open(cores)
  const found: Findings[] = []
  console.log(`${describeMachine()}\n${cores.note ?? ''}`)
  try {
    for (const [, scenario] of chosen) {
      const findings = await scenario.run(contest, taking, values.short ? shortPace : wholePace)
      console.log(`\n${asText(findings.table)}`)
      found.push(findings)
    }
  } finally {
    await contest.close()
  }
  const date = new Date().toISOString().slice(0, 10)
  const notes = [
    ...(cores.note === undefined ? [] : [cores.note]),
    ...(values.short ? ['A short run: fewer and shorter rounds than a whole one.'] : []),
  ]
  const page = resultsPage(
    date,
    describeMachine(),
    notes,
    found.map(({ table }) => table),
  )
  const whole = !values.short && values.only === undefined && values.subjects === undefined
  if (whole || values.save) writeFileSync(new URL('./RESULTS.md', import.meta.url), page)
  const worse = heldAgainst(readFloors(), Object.assign({}, ...found.map(({ figures }) => figures)))
  for (const sentence of worse) console.error(`Worse than it may be: ${sentence}`)
  return worse.length === 0 ? 0 : 1
}

/** @throws of a name that is not there */
function pick<Item>(
  items: readonly Item[],
  names: string | undefined,
  nameOf: (item: Item) => string,
): readonly Item[] {
  if (names === undefined) return items
  return names.split(',').map((name) => {
    const item = items.find((candidate) => nameOf(candidate) === name)
    if (item === undefined) throw new Error(`There is no ${name}; there are ${items.map(nameOf).join(', ')}.`)
    return item
  })
}
