// The proxy under a mixed load for twenty minutes: memory and descriptors must be flat. node test/soak/run.ts [--minutes 20] [--csv file]
import { readFile, writeFile } from 'node:fs/promises'
import { setTimeout as pause } from 'node:timers/promises'
import { parseArgs } from 'node:util'
import { allowedDescriptors, allowedGrowth, judgedFrom, type Sample, type Trend, trend } from './figures.ts'
import { workOf } from './load.ts'
import { Pace } from './pace.ts'
import { makeWorld, type World } from './world.ts'

const { values } = parseArgs({
  options: { minutes: { type: 'string', default: '20' }, csv: { type: 'string' } },
})
const seconds = Number(values.minutes) * 60
if (!(seconds > 0)) throw new Error('--minutes wants a number above zero')

/** Seconds between two samples, between two that are printed, and between two configurations. */
const every = { sample: 2, line: 10, change: Math.min(60, seconds / 8) }
/** Seconds over which a median is taken. */
const window = Math.min(60, seconds / 8)

interface Heap {
  readonly heapUsed: number
  readonly external: number
}

const heapOf = async ({ proxy }: World) => (await proxy.tell({})) as Heap

await using world = await makeWorld()
const { proxy } = world
const rest = await proxy.footprint()
console.log(`at rest: ${megabytes(rest.resident)}, ${rest.descriptors} descriptors; ${seconds} s to come`)

const pace = new Pace()
for (const work of workOf(world, await readFile(world.ca, 'utf8'))) pace.start(work)
const samples: Sample[] = []
const began = performance.now()
const elapsed = () => (performance.now() - began) / 1_000
let [changes, printed] = [0, 0]
let warm: Heap | undefined
while (elapsed() < seconds) {
  await pause(every.sample * 1_000)
  const at = elapsed()
  const { resident, descriptors } = await proxy.footprint()
  samples.push({ at, resident, descriptors })
  if (at >= (printed + 1) * every.line) {
    printed = Math.floor(at / every.line)
    console.log(`${at.toFixed(0).padStart(6)} s ${megabytes(resident)} ${String(descriptors).padStart(5)} descriptors`)
  }
  if (at >= (changes + 1) * every.change) await world.change(++changes)
  // Once, before what is judged: a collection by force changes how large the heap is kept.
  if (warm === undefined && at >= judgedFrom(seconds) - 2 * every.sample) warm = await heapOf(world)
}
const cold = await heapOf(world)
await pace.stop()

console.log('\nwork                                           started   ended  failed')
for (const [name, { started, ended, failed, complaint }] of pace.tallies) {
  console.log(`${name.padEnd(46)} ${[started, ended, failed].map((each) => String(each).padStart(7)).join(' ')}`)
  if (complaint !== undefined) console.log(`  ${complaint}`)
}
console.log(
  `configurations: ${changes} changed, ${proxy.count('the configuration is in use')} in use; ${world.tokenCalls()} tokens`,
)
for (const [told, times] of proxy.told) if (!told.startsWith('info')) console.log(`told ${times} times: ${told}`)

const judged = samples.filter(({ at }) => at >= judgedFrom(seconds))
const memory = trend(judged, 'resident', window)
const descriptors = trend(judged, 'descriptors', window)
const heap = (cold.heapUsed - (warm?.heapUsed ?? 0)) / 1e6
console.log(`\nfrom second ${judgedFrom(seconds)} to ${seconds}:`)
console.log(line('resident memory, MB', memory))
console.log(line('descriptors', descriptors))
console.log(`heap after a collection: ${megabytes((warm?.heapUsed ?? 0) / 1e6)} → ${megabytes(cold.heapUsed / 1e6)}`)
if (values.csv !== undefined) {
  const rows = samples.map(({ at, resident, descriptors: open }) => `${at.toFixed(1)},${resident.toFixed(2)},${open}`)
  await writeFile(values.csv, ['second,resident_mb,descriptors', ...rows, ''].join('\n'))
}

const failed = [...pace.tallies.values()].reduce((sum, each) => sum + each.failed, 0)
const complaints = [
  ...(memory.growth > allowedGrowth ? [`memory grows by ${memory.growth.toFixed(1)} MB`] : []),
  ...(heap > allowedGrowth ? [`the heap grows by ${heap.toFixed(1)} MB`] : []),
  ...(descriptors.growth > allowedDescriptors ? [`descriptors grow by ${descriptors.growth.toFixed(0)}`] : []),
  ...(failed > 0 ? [`${failed} of what was asked went wrong`] : []),
  ...(proxy.count('the configuration is in use') < changes ? ['a configuration was not taken into use'] : []),
]
console.log(complaints.length === 0 ? '\nflat' : `\nnot flat: ${complaints.join('; ')}`)
process.exitCode = complaints.length === 0 ? 0 : 1

function megabytes(value: number): string {
  return `${value.toFixed(1)} MB`.padStart(9)
}

function line(what: string, { from, to, growth, step }: Trend): string {
  const figures = [from, to, step, growth].map((each) => each.toFixed(1).padStart(7))
  return `${what.padEnd(20)} first minute ${figures[0]}, last minute ${figures[1]}, difference ${figures[2]}; line fit ${figures[3]}`
}
