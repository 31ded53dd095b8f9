// The proxy under a mixed load for twenty minutes: memory and descriptors must be flat. node test/soak/run.ts [--minutes 20] [--csv file]
import { readFile, writeFile } from 'node:fs/promises'
import { setTimeout as pause } from 'node:timers/promises'
import { parseArgs } from 'node:util'
import { allowedDescriptors, allowedGrowth, judgedFrom, type Point, type Trend, trend } from './figures.ts'
import { workOf } from './load.ts'
import { Pace } from './pace.ts'
import { makeWorld, type World } from './world.ts'

const { values } = parseArgs({ options: { minutes: { type: 'string', default: '20' }, csv: { type: 'string' } } })
const seconds = Number(values.minutes) * 60
if (!(seconds > 0)) throw new Error('--minutes wants a number above zero')

/** Seconds between two samples, two that are printed, two configurations, and two collections. */
const every = { sample: 2, line: 10, change: Math.min(60, seconds / 8), settle: Math.min(30, seconds / 16) }
/** Seconds over which a median is taken at either end. */
const window = Math.min(60, seconds / 8)

/** Bytes, after a collection. */
interface Settled {
  readonly rss: number
  readonly heapUsed: number
}

const settle = async ({ proxy }: World) => (await proxy.tell({})) as Settled

await using world = await makeWorld()
const { proxy } = world
const rest = await proxy.footprint()
console.log(`at rest: ${megabytes(rest.resident)}, ${rest.descriptors} descriptors; ${seconds} s to come`)

const pace = new Pace()
for (const work of workOf(world, await readFile(world.ca, 'utf8'))) pace.start(work)
const [resident, descriptors, settled, heap]: [Point[], Point[], Point[], Point[]] = [[], [], [], []]
const began = performance.now()
const elapsed = () => (performance.now() - began) / 1_000
let [changes, printed] = [0, 0]
while (elapsed() < seconds) {
  await pause(every.sample * 1_000)
  const at = elapsed()
  const now = await proxy.footprint()
  resident.push([at, now.resident])
  descriptors.push([at, now.descriptors])
  if (at >= (printed + 1) * every.line) {
    printed = Math.floor(at / every.line)
    console.log(
      `${at.toFixed(0).padStart(6)} s ${megabytes(now.resident)} ${String(now.descriptors).padStart(5)} descriptors`,
    )
  }
  if (at >= (changes + 1) * every.change) await world.change(++changes)
  if (at >= (settled.length + 1) * every.settle) {
    const { rss, heapUsed } = await settle(world)
    settled.push([at, rss / 1e6])
    heap.push([at, heapUsed / 1e6])
  }
}
await pace.stop()

console.log('\nwork                                           started   ended  failed    left')
for (const [name, { started, ended, failed, left, complaint }] of pace.tallies) {
  console.log(`${name.padEnd(46)} ${[started, ended, failed, left].map((each) => String(each).padStart(7)).join(' ')}`)
  if (complaint !== undefined) console.log(`  ${complaint}`)
}
const inUse = proxy.count('the configuration is in use')
console.log(`configurations: ${changes} changed, ${inUse} in use; ${world.tokenCalls()} tokens`)
for (const [told, times] of proxy.told) if (!told.startsWith('info')) console.log(`told ${times} times: ${told}`)

/*
 * What is judged is the memory after a collection. How much garbage lies about besides depends on how much of the machine
 * the proxy gets, which on one that is shared changes by more than what is looked for.
 */
const judged = (points: readonly Point[]) =>
  trend(
    points.filter(([at]) => at >= judgedFrom(seconds)),
    window,
  )
const memory = judged(settled)
const used = judged(heap)
const open = judged(descriptors)
console.log(`\nfrom second ${judgedFrom(seconds)} to ${seconds}:`)
console.log(line('resident memory, MB', judged(resident)))
console.log(line('  after a collection', memory))
console.log(line('heap after a collection', used))
console.log(line('descriptors', open))
if (values.csv !== undefined) {
  const rows = resident.map(([at, value], row) => `${at.toFixed(1)},${value.toFixed(2)},${descriptors[row]?.[1]}`)
  await writeFile(values.csv, ['second,resident_mb,descriptors', ...rows, ''].join('\n'))
}

const failed = [...pace.tallies.values()].reduce((sum, each) => sum + each.failed, 0)
const complaints = [
  ...(memory.growth > allowedGrowth ? [`memory grows by ${memory.growth.toFixed(1)} MB`] : []),
  ...(used.growth > allowedGrowth ? [`the heap grows by ${used.growth.toFixed(1)} MB`] : []),
  ...(open.growth > allowedDescriptors ? [`descriptors grow by ${open.growth.toFixed(0)}`] : []),
  ...(failed > 0 ? [`${failed} of what was asked went wrong`] : []),
  ...(inUse < changes ? ['a configuration was not taken into use'] : []),
]
console.log(complaints.length === 0 ? '\nflat' : `\nnot flat: ${complaints.join('; ')}`)
process.exitCode = complaints.length === 0 ? 0 : 1

function megabytes(value: number): string {
  return `${value.toFixed(1)} MB`.padStart(9)
}

function line(what: string, { from, to, growth, step }: Trend): string {
  const [first, last, difference, fit] = [from, to, step, growth].map((each) => each.toFixed(1).padStart(7))
  return `${what.padEnd(23)} first minute ${first}, last minute ${last}, difference ${difference}; line fit ${fit}`
}
