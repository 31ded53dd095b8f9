// Requests a second, and what a request costs in time at half of that load.
import type { Contest, Contestant } from '../contest.ts'
import { count, decimal, percent } from '../format.ts'
import { differenceOf, median, ratioOf } from '../statistics.ts'
import type { Findings, Pace, Scenario } from './scenario.ts'

/** What was taken of one subject, a figure a round. */
interface Taken {
  readonly perSecond: number[]
  /** Requests for each second of CPU that the proxy spent: what one core carries, whatever else the machine does. */
  readonly perCore: number[]
  readonly proxyShare: number[]
  readonly otherShare: number[]
  readonly p50: number[]
  readonly p99: number[]
}

/** @param connections how many are open, each with one request at a time */
export function requests(name: string, path: string, connections: number): Scenario {
  return {
    name,
    async run(contest, subjects, pace) {
      const contestants: Contestant[] = []
      try {
        for (const subject of subjects) contestants.push(await contest.enter(subject))
        const taken = new Map<string, Taken>(contestants.map((one) => [one.name, nothingYet()]))
        const way = { path, connections }
        for (const one of contestants)
          await addThroughput(contest, one, way, { ...pace, seconds: pace.settle }, nothingYet())
        await eachRound(pace.rounds, contestants, taken, (one, into) => addThroughput(contest, one, way, pace, into))
        const rates = halfLoads(taken)
        await eachRound(pace.rounds, contestants, taken, (one, into) =>
          addLatency(contest, one, way, pace, rates.get(one.name) ?? 1, into),
        )
        return { table: tabulate(`${name}, ${connections} connections`, taken, rates), figures: figuresOf(name, taken) }
      } finally {
        for (const one of contestants) await one.leave()
      }
    },
  }
}

interface Way {
  readonly path: string
  readonly connections: number
}

function nothingYet(): Taken {
  return { perSecond: [], perCore: [], proxyShare: [], otherShare: [], p50: [], p99: [] }
}

/** A B C A B C …, so that what is compared was measured within seconds. */
async function eachRound(
  rounds: number,
  contestants: readonly Contestant[],
  taken: ReadonlyMap<string, Taken>,
  measure: (one: Contestant, into: Taken) => Promise<void>,
): Promise<void> {
  for (let round = 0; round < rounds; round += 1)
    for (const one of contestants) await measure(one, taken.get(one.name) ?? nothingYet())
}

async function addThroughput(
  { load, upstream }: Contest,
  { route, running }: Contestant,
  way: Way,
  { warmup, seconds }: Pace,
  into: Taken,
): Promise<void> {
  const processes = { load: load.pid, upstream: upstream.pid, ...(running === undefined ? {} : { proxy: running.pid }) }
  const { perSecond, shares } = await load.order('throughput', { route, ...way, warmup, seconds, processes })
  into.perSecond.push(perSecond)
  into.otherShare.push((shares.load ?? Number.NaN) + (shares.upstream ?? Number.NaN))
  into.proxyShare.push(shares.proxy ?? Number.NaN)
  into.perCore.push(perSecond / (shares.proxy ?? Number.NaN))
}

async function addLatency(
  { load }: Contest,
  { route }: Contestant,
  way: Way,
  { warmup, seconds }: Pace,
  rate: number,
  into: Taken,
): Promise<void> {
  const { p50, p99 } = await load.order('latency', { route, ...way, warmup, seconds, rate })
  into.p50.push(p50)
  into.p99.push(p99)
}

/** Half of what each carries; for `direct` half of what the last one carries, whose times its own are subtracted from. */
function halfLoads(taken: ReadonlyMap<string, Taken>): ReadonlyMap<string, number> {
  const last = [...taken.values()].at(-1)
  return new Map(
    [...taken].map(([name, one]) => {
      const measure = name === 'direct' ? (last ?? one) : one
      return [name, Math.floor(median(measure.perSecond) / 2)]
    }),
  )
}

function tabulate(
  title: string,
  taken: ReadonlyMap<string, Taken>,
  rates: ReadonlyMap<string, number>,
): Findings['table'] {
  const direct = taken.get('direct')
  const undici = taken.get('undici')
  return {
    title,
    columns: [
      'subject',
      'req/s',
      'req/s a core',
      '÷ undici',
      'proxy CPU',
      'load+upstream CPU',
      'at req/s',
      'p50 ms',
      'p99 ms',
      'added p50',
      'added p99',
    ],
    rows: [...taken].map(([name, one]) => [
      name,
      count(median(one.perSecond)),
      count(median(one.perCore)),
      decimal(ratioOf(one.perCore, undici?.perCore), 2),
      percent(median(one.proxyShare)),
      percent(median(one.otherShare)),
      count(rates.get(name) ?? Number.NaN),
      decimal(median(one.p50), 2),
      decimal(median(one.p99), 2),
      name === 'direct' ? '–' : decimal(differenceOf(one.p50, direct?.p50), 2),
      name === 'direct' ? '–' : decimal(differenceOf(one.p99, direct?.p99), 2),
    ]),
    notes: [
      'req/s a core: requests for each second of CPU that the proxy spent. Where the proxy is not busy all the time, load and upstream are what limits req/s.',
      'Times: open loop at half of what each carries, counted from when a request was due. Medians over the rounds; ratios and differences are taken within a round first.',
    ],
  }
}

function figuresOf(name: string, taken: ReadonlyMap<string, Taken>): Record<string, number> {
  const postern = taken.get('postern')
  if (postern === undefined) return {}
  const others = [...taken].filter(([other]) => other !== 'postern' && other !== 'direct')
  const direct = taken.get('direct')
  return {
    ...Object.fromEntries(
      others.map(([other, one]) => [`${name}: postern ÷ ${other}`, ratioOf(postern.perCore, one.perCore)]),
    ),
    [`${name}: added p50 ms`]: differenceOf(postern.p50, direct?.p50),
    [`${name}: added p99 ms`]: differenceOf(postern.p99, direct?.p99),
  }
}
