// A thousand streams of events at once: what memory they take and how long an event is on its way.
import type { Contest } from '../contest.ts'
import { count, decimal } from '../format.ts'
import { residentMegabytes } from '../machine.ts'
import type { Subject } from '../subjects/subject.ts'
import type { Findings, Pace, Scenario } from './scenario.ts'
import { watchMemory } from './watch-memory.ts'

export const streams: Scenario = {
  name: 'streams',
  async run(contest, subjects, pace) {
    const taken = []
    for (const subject of subjects) taken.push(await measure(contest, subject, pace))
    const postern = taken.find(({ name }) => name === 'postern')
    return { table: tabulate(pace, taken), figures: figuresOf(taken, postern) }
  },
}

interface Taken {
  readonly name: string
  readonly p50: number
  readonly p99: number
  readonly events: number
  readonly before: number
  readonly most: number
}

async function measure(contest: Contest, subject: Subject, pace: Pace): Promise<Taken> {
  const { name, route, running, leave } = await contest.enter(subject)
  const before = residentMegabytes(running?.pid ?? 0) ?? Number.NaN
  const memory = watchMemory(running?.pid)
  const seconds = pace.seconds * pace.rounds
  try {
    const times = await contest.load.order('streams', { route, streams: pace.streams, warmup: 2, seconds })
    return { name, ...times, before, most: memory.stop() }
  } finally {
    memory.stop()
    await leave()
  }
}

function tabulate({ streams }: Pace, taken: readonly Taken[]): Findings['table'] {
  return {
    title: `${count(streams)} streams of events, each an event a second`,
    columns: ['subject', 'events', 'delay p50 ms', 'delay p99 ms', 'RSS before MB', 'RSS most MB', 'KB a stream'],
    rows: taken.map(({ name, events, p50, p99, before, most }) => [
      name,
      count(events),
      decimal(p50, 2),
      decimal(p99, 2),
      count(before),
      count(most),
      count(((most - before) * 1024) / streams),
    ]),
    notes: [
      'Delay: from the upstream’s writing of an event to the load’s reading of it, by the one clock of the machine.',
    ],
  }
}

function figuresOf(taken: readonly Taken[], postern: Taken | undefined): Record<string, number> {
  if (postern === undefined) return {}
  const direct = taken.find(({ name }) => name === 'direct')
  return {
    'streams: RSS MB': postern.most,
    'streams: added p50 ms': postern.p50 - (direct?.p50 ?? Number.NaN),
  }
}
