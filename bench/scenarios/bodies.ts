// One large body down and one up: memory must stay flat.
import type { Contest } from '../contest.ts'
import { count } from '../format.ts'
import { residentMegabytes } from '../machine.ts'
import type { Subject } from '../subjects/subject.ts'
import type { Findings, Pace, Scenario } from './scenario.ts'
import { watchMemory } from './watch-memory.ts'

export const bodies: Scenario = {
  name: 'bodies',
  async run(contest, subjects, pace) {
    const taken = []
    for (const subject of subjects) taken.push(await measure(contest, subject, pace))
    const postern = taken.find(({ name }) => name === 'postern')
    return {
      table: tabulate(pace, taken),
      figures:
        postern === undefined
          ? {}
          : { 'bodies: RSS growth MB': Math.max(postern.down.most, postern.up.most) - postern.before },
    }
  },
}

interface Moved {
  readonly perSecond: number
  readonly most: number
}

interface Taken {
  readonly name: string
  readonly before: number
  readonly down: Moved
  readonly up: Moved
}

async function measure(contest: Contest, subject: Subject, { bodyBytes: bytes }: Pace): Promise<Taken> {
  const { name, route, running, leave } = await contest.enter(subject)
  const move = async (direction: 'down' | 'up'): Promise<Moved> => {
    const memory = watchMemory(running?.pid)
    try {
      const { seconds } = await contest.load.order('body', { route, direction, bytes })
      return { perSecond: bytes / seconds / 2 ** 20, most: memory.stop() }
    } finally {
      memory.stop()
    }
  }
  try {
    const before = residentMegabytes(running?.pid ?? 0) ?? Number.NaN
    return { name, before, down: await move('down'), up: await move('up') }
  } finally {
    await leave()
  }
}

function tabulate({ bodyBytes }: Pace, taken: readonly Taken[]): Findings['table'] {
  return {
    title: `One body of ${count(bodyBytes / 2 ** 20)} MB, down and up`,
    columns: ['subject', 'down MB/s', 'up MB/s', 'RSS before MB', 'RSS most down', 'RSS most up'],
    rows: taken.map(({ name, before, down, up }) => [
      name,
      count(down.perSecond),
      count(up.perSecond),
      count(before),
      count(down.most),
      count(up.most),
    ]),
    notes: [],
  }
}
