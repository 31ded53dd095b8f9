// `node bench/profile.ts [subject] [path] [seconds]`: where a proxy spends its CPU while it answers as fast as it can.
import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Contest } from './contest.ts'
import { shareOutCores } from './machine.ts'
import { subjects } from './subjects/all.ts'
import type { Subject } from './subjects/subject.ts'

interface ProfileNode {
  readonly id: number
  readonly callFrame: { readonly functionName: string; readonly url: string; readonly lineNumber: number }
  readonly children?: readonly number[]
}

interface Profile {
  readonly nodes: readonly ProfileNode[]
  readonly samples: readonly number[]
  readonly timeDeltas: readonly number[]
}

const [name = 'postern', path = '/1k', seconds = '5'] = process.argv.slice(2)
const subject = subjects.find((candidate) => candidate.name === name)
if (subject === undefined)
  throw new Error(`There is no ${name}; there are ${subjects.map((each) => each.name).join(', ')}.`)
const directory = await mkdtemp(join(tmpdir(), 'postern-profile-'))
try {
  const requests = await runProfiled(subject, path, Number(seconds))
  const [file = ''] = await readdir(directory)
  print(JSON.parse(await readFile(join(directory, file), 'utf8')), requests)
} finally {
  await rm(directory, { recursive: true, force: true })
}

/** @returns how many requests it answered in the time that was measured, a second */
async function runProfiled(subject: Subject, path: string, seconds: number): Promise<number> {
  const profiled: Subject = {
    ...subject,
    async prepare(setting) {
      const { args = [], ...rest } = (await subject.prepare(setting)) ?? {}
      return { ...rest, args: ['--cpu-prof', `--cpu-prof-dir=${directory}`, ...args] }
    },
  }
  const contest = await Contest.open(shareOutCores())
  try {
    const { route, leave } = await contest.enter(profiled)
    const ask = { route, path, connections: 64, warmup: 1, seconds, processes: {} }
    const { perSecond } = await contest.load.order('throughput', ask)
    await leave()
    return perSecond
  } finally {
    await contest.close()
  }
}

function print({ nodes, samples, timeDeltas }: Profile, perSecond: number): void {
  const frames = new Map(nodes.map(({ id, callFrame }) => [id, callFrame]))
  const byFunction = new Map<string, number>()
  const byPlace = new Map<string, number>()
  let total = 0
  // Starting and stopping aside.
  let left = timeDeltas.reduce((sum, delta) => sum + delta, 0)
  for (const [index, id] of samples.entries()) {
    const frame = frames.get(id)
    const spent = timeDeltas[index] ?? 0
    left -= spent
    if (left > (Number(seconds) + 0.3) * 1e6 || left < 0.3e6) continue
    if (frame === undefined || frame.functionName === '(idle)') continue
    total += spent
    const place = placeOf(frame)
    const label = `${frame.functionName || '(anonymous)'}  ${place}:${frame.lineNumber + 1}`
    byFunction.set(label, (byFunction.get(label) ?? 0) + spent)
    byPlace.set(roomOf(place), (byPlace.get(roomOf(place)) ?? 0) + spent)
  }
  console.log(`${Math.round(perSecond)} req/s with the profiler on. Self time:`)
  for (const [title, spent, most] of [
    ['by place', byPlace, 40],
    ['by function', byFunction, 60],
  ] as const) {
    console.log(`\n${title}`)
    for (const [label, value] of [...spent].toSorted(([, one], [, other]) => other - one).slice(0, most)) {
      const microseconds = (value / total) * (1e6 / perSecond)
      console.log(
        `${((value / total) * 100).toFixed(1).padStart(5)} % ${microseconds.toFixed(1).padStart(6)} µs  ${label}`,
      )
    }
  }
}

function placeOf({ url, functionName }: ProfileNode['callFrame']): string {
  if (url === '') return functionName.startsWith('(') ? functionName : '(native)'
  return url.replace(/^file:\/\//, '').replace(new URL('..', import.meta.url).pathname, '')
}

/** Of our own sources the file; of packages and of Node.js the part. */
function roomOf(place: string): string {
  if (place.startsWith('node_modules/')) return place.split('/').slice(0, 4).join('/')
  return place.startsWith('node:internal/') ? place.split('/').slice(0, 2).join('/') : place
}
