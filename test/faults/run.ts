// Everything that can go wrong around the proxy, alone and two at a time, under load. node test/faults/run.ts [--short] [--seed 1] [--only text] [--lanes 3]
import { readFile } from 'node:fs/promises'
import { setTimeout as pause } from 'node:timers/promises'
import { parseArgs } from 'node:util'
import { Callers } from './callers.ts'
import { type Combination, nameOf, pairs, sample, singles } from './combinations.ts'
import { Control, experiment, type Result, wellAtFirst } from './experiment.ts'
import { partNames } from './part.ts'
import { whyNoDns } from './parts/dns.ts'
import { makeWorld, type World } from './world.ts'

const { values } = parseArgs({
  options: {
    short: { type: 'boolean', default: false },
    seed: { type: 'string', default: String(Date.now() % 100_000) },
    only: { type: 'string' },
    lanes: { type: 'string', default: '3' },
  },
})
/** Pairs of the short run. */
const sampled = 6
/** Milliseconds without a fault at the beginning. */
const quietFor = 3_000
/** Descriptors that may be open in the end besides those of the beginning. */
const spare = 5

/** How often a combination is tried again in which nothing but the time that B took was wrong. */
const again = 2
let repeated = 0

const noDns = whyNoDns()
if (noDns !== undefined) console.log(`Faults of DNS are left out: ${noDns}.`)
const parts = partNames.filter((name) => name !== 'DNS' || noDns === undefined)
const all = [...singles(parts), ...(values.short ? sample(pairs(parts), sampled, Number(values.seed)) : pairs(parts))]
const wanted = all.filter((each) => values.only === undefined || nameOf(each).includes(values.only))
const todo = [...wanted]
console.log(
  `${wanted.length} combinations of ${parts.length} parts; of pairs ${values.short ? `a sample with seed ${values.seed}` : 'all'}`,
)

const began = performance.now()
await using undisturbed = await makeWorld()
const besides = new Callers(undisturbed, await readFile(undisturbed.ca, 'utf8'))
besides.start(['B key', 'B open', 'B tunnel'])
const control = new Control(besides)
const results = (await Promise.all(Array.from({ length: Number(values.lanes) }, lane))).flat()
await besides.stop()
const wrong = results.filter(({ complaints }) => complaints.length > 0)
const sum = (of: (result: Result) => number) => results.reduce((total, result) => total + of(result), 0)
const most = (of: (result: Result) => number) => Math.max(...results.map(of))
const refusals = new Map<string, number>()
for (const { refused } of results)
  for (const [reason, count] of refused) refusals.set(reason, (refusals.get(reason) ?? 0) + count)
console.log(`
${results.length} combinations in ${((performance.now() - began) / 1_000).toFixed(0)} s
A: ${sum(({ answered }) => answered)} answered, ${sum(({ cut }) => cut)} cut, refused: ${listOf(refusals)}
B: ${sum(({ requestsOfB }) => requestsOfB)} requests, ${sum(({ closedOfB }) => closedOfB)} of them refused because records could not be written; p90 at most ${most(({ slowdown }) => slowdown).toFixed(1)} × quiet, longest ${most(({ longestOfB }) => longestOfB).toFixed(0)} ms
recovered after ${most(({ recovered }) => recovered).toFixed(0)} ms at most; ${repeated} were repeated, for the time that B took alone`)
for (const { name, complaints } of wrong) console.log(`WRONG ${name}: ${complaints.join('; ')}`)
console.log(
  wrong.length === 0 && process.exitCode === undefined ? 'all as promised' : `${wrong.length} are not as promised`,
)
if (wrong.length > 0) process.exitCode = 1

/** One proxy, through all combinations that it gets hold of, without a restart. */
async function lane(): Promise<readonly Result[]> {
  await using world = await makeWorld()
  const callers = new Callers(world, await readFile(world.ca, 'utf8'))
  callers.start()
  await pause(quietFor)
  await wellAtFirst(world, callers)
  const before = await world.proxy.footprint()
  const done: Result[] = []
  for (let next: Combination | undefined = todo.shift(); next !== undefined; next = todo.shift()) {
    let result = await experiment(world, callers, control, next)
    // A machine that others use is late by itself now and then; what a fault does, it does each time.
    for (let more = 0; more < again && result.onlyLate; more++) {
      repeated += 1
      result = await experiment(world, callers, control, next)
    }
    done.push(result)
    console.log(lineOf(result))
  }
  await callers.stop()
  await flat(world, before.descriptors)
  return done
}

/** Idle connections are let go of after some seconds. */
async function flat({ proxy }: World, before: number): Promise<void> {
  let now = await proxy.footprint()
  for (let looks = 0; looks < 100 && now.descriptors > before; looks++) {
    await pause(100)
    now = await proxy.footprint()
  }
  console.log(
    `descriptors of a proxy: ${before} under load at first, ${now.descriptors} in the end; ${now.resident.toFixed(0)} MB`,
  )
  for (const [told, times] of proxy.told)
    if (/^(error|fatal|stderr)/.test(told)) console.log(`  told ${times} times: ${told}`)
  if (now.descriptors > before + spare) {
    console.log('WRONG descriptors are not given back')
    process.exitCode = 1
  }
}

function lineOf({
  name,
  answered,
  refused,
  cut,
  requestsOfB,
  closedOfB,
  slowdown,
  longestOfB,
  recovered,
  complaints,
}: Result): string {
  const mark = complaints.length === 0 ? '    ✓' : 'WRONG'
  const ofB = `${requestsOfB}${closedOfB === 0 ? '' : ` (${closedOfB} closed)`} ${slowdown.toFixed(1)}× ${longestOfB.toFixed(0)} ms`
  return `${mark} ${name.padEnd(46)} A ${answered}${cut === 0 ? '' : ` cut ${cut}`} ${listOf(refused)} | B ${ofB} | well after ${recovered.toFixed(0)} ms${complaints.map((each) => `\n      ${each}`).join('')}`
}

function listOf(counts: ReadonlyMap<string, number>): string {
  return [...counts].map(([reason, count]) => `${reason} ${count}`).join(', ')
}
