// The proxy under attack, while another caller asks for what it always asks for: node test/abuse/run.ts [--short] [--only NAME,…]
import { type ChildProcess, execFileSync, fork } from 'node:child_process'
import { once } from 'node:events'
import { availableParallelism } from 'node:os'
import { setTimeout as pause } from 'node:timers/promises'
import { parseArgs } from 'node:util'
import type { AttackOrders } from './attacker.ts'
import type { Felt, VictimOrders } from './victim.ts'
import { makeWorld } from './world.ts'

const { values } = parseArgs({
  options: { short: { type: 'boolean', default: false }, only: { type: 'string' } },
})

const everything = ['slow-loris', 'handshakes', 'headers', 'rate', 'concurrency', 'drip', 'hosts', 'dns']
const inShort = ['slow-loris', 'handshakes', 'headers', 'concurrency']
const wanted = values.only?.split(',') ?? (values.short ? inShort : everything)

/** Milliseconds, and how often each is measured, quiet and under attack in turn. */
const plan = values.short ? { lead: 1_500, measured: 3_000, rounds: 2 } : { lead: 1_500, measured: 4_000, rounds: 5 }
/** Milliseconds for which one is measured that does most when time is up: heads have 15 s. */
const longer: Readonly<Record<string, number>> = { 'slow-loris': 20_000 }

const allowed = {
  /** The p99 of the other caller under attack, as a multiple of its quiet one. */
  ratio: 2,
  /** Milliseconds, of /readyz. */
  ready: 100,
  /** The part of a round for which others may have had the proxy's core; more, and its times say nothing of the proxy. */
  stolen: 0.1,
  /** Descriptors and bytes after a collection that may be more than before, when all is over. */
  descriptors: 16,
  heap: 16e6,
  /** Milliseconds until connections whose other end is gone have ended; nothing is read from those that wait for a turn. */
  leaving: 25_000,
  /** Milliseconds until then; heads and handshakes have 15 s, a connection that waits for its next request 65 s. */
  recovery: 70_000,
}

const cores = availableParallelism()
const pinning = cores > 1 && works('taskset', ['-c', '0', 'true'])
const pinned = (core: string) => (pinning ? ['taskset', '-c', core] : [])
if (!pinning) console.log('There is one core only, or no taskset: the attacks take from the proxy what they use.')
if (pinning) execFileSync('taskset', ['-apc', `1-${cores - 1}`, `${process.pid}`], { stdio: 'ignore' })
// The load must not keep the other caller, nor the upstream, which stands in this process, from its own clock.
const lowest = works('chrt', ['--idle', '0', 'true']) ? ['chrt', '--idle', '0'] : ['nice', '-n', '19']
const others = [...(pinning ? pinned(`1-${cores - 1}`) : []), ...lowest]

await using world = await makeWorld()
const { proxy } = world
// Of the proxy its one thread alone; what collects garbage beside it may take any core, as it would.
if (pinning) execFileSync('taskset', ['-pc', '0', `${proxy.child.pid}`], { stdio: 'ignore' })
const victim = await start('victim', pinned(pinning ? `1-${cores - 1}` : ''), {
  mesh: proxy.port('mesh'),
  health: proxy.port('metrics'),
  upstream: world.upstream,
  svid: world.svid,
  pid: proxy.child.pid ?? 0,
} satisfies VictimOrders)
await once(victim, 'message')
await felt(1_000)

const calm = { ...(await proxy.footprint()), heap: await heapOf() }
const failures: string[] = []
console.log(
  '| attack | p99 of another caller, ms: quiet → under attack | ratio | of it work of the proxy’s thread | the same without the proxy | /readyz at most, ms | core taken by others | failed | descriptors | what came of it |',
)
console.log(`|${' --- |'.repeat(10)}`)
for (const name of wanted) {
  let found = await attacked(name, plan.rounds)
  // A machine that is shared has moments of its own; what the proxy does shows again.
  if (found.wrong.length > 0) found = await attacked(name, plan.rounds * 2)
  console.log(found.row)
  failures.push(...found.wrong.map((wrong) => `${name}: ${wrong}`))
}

const until = performance.now() + allowed.recovery
let after = { ...(await proxy.footprint()), heap: await heapOf() }
const recovered = () =>
  after.descriptors <= calm.descriptors + allowed.descriptors && after.heap <= calm.heap + allowed.heap
while (!recovered() && performance.now() < until) {
  await pause(500)
  after = { ...(await proxy.footprint()), heap: await heapOf() }
}
console.log(
  `before: ${calm.descriptors} descriptors, ${mega(calm.heap)} MB of heap, ${calm.resident.toFixed(0)} MB resident; after: ${after.descriptors}, ${mega(after.heap)}, ${after.resident.toFixed(0)}`,
)
if (!recovered()) failures.push('memory or descriptors did not come back')
victim.disconnect()
for (const failure of failures) console.log(`WRONG ${failure}`)
process.exitCode = failures.length === 0 ? 0 : 1

/** Quiet and under attack in turn, so that a machine which gets slower does so for both. */
async function attacked(name: string, rounds: number) {
  const measured: { quiet: Felt; hit: Felt }[] = []
  let came: object = {}
  let descriptors = 0
  const milliseconds = longer[name] ?? plan.measured
  for (let round = 0; round < rounds; round++) {
    const quiet = await felt(milliseconds)
    const orders: AttackOrders = {
      agents: proxy.port('agents'),
      mesh: proxy.port('mesh'),
      dns: world.dns,
      upstream: world.attackers,
    }
    const attacker = await start('attacker', others, orders, [name])
    await pause(plan.lead)
    const hit = await felt(milliseconds)
    descriptors = Math.max(descriptors, (await proxy.footprint()).descriptors)
    attacker.send('count')
    ;[came] = await once(attacker, 'message')
    const ended = once(attacker, 'exit')
    attacker.disconnect()
    await ended
    measured.push({ quiet, hit })
    await leftBehind()
  }
  const calmEnough = measured.filter(({ quiet, hit }) => Math.max(quiet.stolen ?? 0, hit.stolen ?? 0) <= allowed.stolen)
  const judged = calmEnough.length === 0 ? measured : calmEnough
  const all = (when: 'quiet' | 'hit', what: 'requests' | 'direct' | 'worked' | 'ready') =>
    p99(judged.flatMap((round) => round[when][what]))
  const ratio = all('hit', 'requests') / all('quiet', 'requests')
  const ready = Math.max(...judged.flatMap(({ hit }) => hit.ready))
  const failed = measured.reduce((sum, { hit }) => sum + hit.failed, 0)
  const late = [
    ...(ratio > allowed.ratio ? [`the p99 of another caller is ${ratio.toFixed(2)} times what it was`] : []),
    ...(ready > allowed.ready ? [`/readyz took ${ready.toFixed(0)} ms`] : []),
  ]
  const wrong = [
    ...(calmEnough.length === 0 ? [] : late),
    ...(failed > 0 ? [`${failed} requests of another caller failed`] : []),
  ]
  const both = (what: 'requests' | 'direct' | 'worked') =>
    `${all('quiet', what).toFixed(1)} → ${all('hit', what).toFixed(1)}`
  const cells = [
    name,
    both('requests'),
    `${ratio.toFixed(2)}${calmEnough.length === 0 ? ' (not judged)' : ''}`,
    both('worked'),
    both('direct'),
    ready.toFixed(1),
    `${(100 * median(measured.map(({ hit }) => hit.stolen ?? 0))).toFixed(0)} %`,
    failed,
    descriptors,
    Object.entries(came)
      .map(([what, times]) => `${times} ${what}`)
      .join(', '),
  ]
  return { row: `| ${cells.join(' | ')} |`, wrong }
}

/** Until the connections of an attack that ended are closed, so that it is quiet again. */
async function leftBehind(): Promise<void> {
  const until = performance.now() + allowed.leaving
  while (performance.now() < until) {
    await pause(100)
    if ((await proxy.footprint()).descriptors <= calm.descriptors + allowed.descriptors) return
  }
}

async function felt(milliseconds: number): Promise<Felt> {
  const told = once(victim, 'message')
  victim.send(milliseconds)
  const [answer] = await told
  return answer
}

async function heapOf(): Promise<number> {
  const { heapUsed, external } = (await proxy.tell({})) as { heapUsed: number; external: number }
  return heapUsed + external
}

async function start(
  role: 'victim' | 'attacker',
  through: readonly string[],
  orders: object,
  args: readonly string[] = [],
): Promise<ChildProcess> {
  const file = new URL(`./${role}.ts`, import.meta.url).pathname
  const [first, ...rest] = [...through, process.execPath, '--disable-warning=ExperimentalWarning']
  const child = fork(file, [...args], { execPath: first ?? '', execArgv: rest })
  await once(child, 'spawn')
  child.send(orders)
  return child
}

function works(file: string, args: readonly string[]): boolean {
  try {
    execFileSync(file, args, { stdio: 'ignore' })
    return true
  } catch {
    return false
  }
}

function p99(values: readonly number[]): number {
  const sorted = values.toSorted((one, other) => one - other)
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * 0.99))] ?? 0
}

function median(values: readonly number[]): number {
  const sorted = values.toSorted((one, other) => one - other)
  return sorted[Math.floor(sorted.length / 2)] ?? 0
}

function mega(bytes: number): string {
  return (bytes / 1e6).toFixed(0)
}
