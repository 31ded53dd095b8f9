// Before the first request: time until it takes connections, memory at rest, memory under idle connections.
import { setTimeout as pause } from 'node:timers/promises'
import type { Contest } from '../contest.ts'
import { count } from '../format.ts'
import { residentMegabytes } from '../machine.ts'
import { median } from '../statistics.ts'
import type { Subject } from '../subjects/subject.ts'
import type { Findings, Pace, Scenario } from './scenario.ts'

export const rest: Scenario = {
  name: 'rest',
  async run(contest, subjects, pace) {
    const started = subjects.filter((subject) => subject.name !== 'direct')
    const taken = new Map<string, Taken>(started.map(({ name }) => [name, { ready: [], atRest: [], underIdle: [] }]))
    for (let round = 0; round < pace.starts; round += 1)
      for (const subject of started) await measure(contest, subject, pace, taken.get(subject.name))
    return { table: tabulate(pace, taken), figures: figuresOf(taken.get('postern')) }
  },
}

interface Taken {
  readonly ready: number[]
  readonly atRest: number[]
  readonly underIdle: number[]
}

async function measure(contest: Contest, subject: Subject, pace: Pace, into: Taken | undefined): Promise<void> {
  const { route, running, leave } = await contest.enter(subject)
  try {
    if (running === undefined) return
    into?.ready.push(running.readyAfter ?? Number.NaN)
    await pause(1000)
    into?.atRest.push(residentMegabytes(running.pid) ?? Number.NaN)
    await contest.load.order('hold', { route, connections: pace.idleConnections })
    await pause(1000)
    into?.underIdle.push(residentMegabytes(running.pid) ?? Number.NaN)
    await contest.load.order('release', {})
  } finally {
    await leave()
  }
}

function tabulate({ idleConnections, starts }: Pace, taken: ReadonlyMap<string, Taken>): Findings['table'] {
  return {
    title: 'At rest',
    columns: ['subject', 'ready after ms', 'RSS at rest MB', `RSS under ${count(idleConnections)} connections MB`],
    rows: [...taken].map(([name, one]) => [
      name,
      count(median(one.ready)),
      count(median(one.atRest)),
      count(median(one.underIdle)),
    ]),
    notes: [
      `Ready: from spawning until the port takes a connection. Medians of ${starts} starts. Each of the connections has carried one request.`,
    ],
  }
}

function figuresOf(postern: Taken | undefined): Record<string, number> {
  if (postern === undefined) return {}
  return {
    'rest: ready ms': median(postern.ready),
    'rest: RSS MB': median(postern.atRest),
    'rest: RSS MB under connections': median(postern.underIdle),
  }
}
