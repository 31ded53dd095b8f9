// One combination of faults under load: what became of A, whether B noticed, how long it took until all was well again.
import { setTimeout as pause } from 'node:timers/promises'
import type { AuditRecord } from '../../proxy/record/line.ts'
import { reasons } from '../../proxy/refusal.ts'
import type { Callers, Outcome, Stream } from './callers.ts'
import { type Combination, nameOf } from './combinations.ts'
import type { Fault } from './part.ts'
import { hostsOfA, type World } from './world.ts'

/** Milliseconds that a fault lasts; a disk that comes and goes needs several of its turns. */
const lasts = 1_500
const lastsWithDisk = 3_000
/** Milliseconds until all must be well again. Sources are left alone for some seconds after several failures. */
export const recoversWithin = 20_000
/**
 * The 90th percentile of B may be so many times the quiet one, and milliseconds more. The quiet one is that of a proxy
 * beside it which nothing disturbs, at the same time: a machine that others use too is not the same from minute to minute.
 */
const slower = { times: 3, more: 40 }
/** Milliseconds that a request of B may take longer than the longest of that other proxy. */
const longest = 1_000

/** What a proxy that nothing disturbs does in the same time. */
export class Control {
  readonly #heard: { readonly at: number; readonly stream: Stream; readonly outcome: Outcome }[] = []

  constructor(callers: Callers) {
    callers.listen((stream, outcome) => this.#heard.push({ at: performance.now(), stream, outcome }))
  }

  /** @param from as `performance.now()` */
  since(from: number): readonly Heard[] {
    return this.#heard.slice(this.#heard.findLastIndex(({ at }) => at < from) + 1)
  }
}

/** Milliseconds before a combination that its comparison reaches back: in the short time of one, little is asked. */
const besides = 5_000

export interface Result {
  readonly name: string
  /** Of A: answered by it, refused by reason, cut. */
  readonly answered: number
  readonly refused: ReadonlyMap<string, number>
  readonly cut: number
  /** Of B, and of these how many were refused because records could not be written, as is promised. */
  readonly requestsOfB: number
  readonly closedOfB: number
  /** The 90th percentile of the slowest stream of B relative to the quiet one, and the longest, in milliseconds. */
  readonly slowdown: number
  readonly longestOfB: number
  /** Milliseconds. */
  readonly recovered: number
  readonly complaints: readonly string[]
  /** Nothing else is wrong than how long B took. */
  readonly onlyLate: boolean
}

interface Heard {
  readonly stream: Stream
  readonly outcome: Outcome
}

/** @throws when not all is well though nothing is disturbed */
export async function wellAtFirst(world: World, callers: Callers): Promise<void> {
  if ((await recovery(world, callers)) > recoversWithin) throw new Error('not all is well to begin with')
}

export async function experiment(
  world: World,
  callers: Callers,
  control: Control,
  combination: Combination,
): Promise<Result> {
  let recovered = Number.NaN
  const began = performance.now()
  const heard = await during(callers, async () => {
    for (const { part, kind } of combination) await world.parts.get(part)?.begin(kind)
    await pause(has(combination, 'disk') ? lastsWithDisk : lasts)
    for (const { part } of combination) await world.parts.get(part)?.end()
    recovered = await recovery(world, callers)
  })
  const beside = control.since(began - besides)
  const late = latenessOfB(heard, beside)
  const complaints = [
    ...ofA(heard),
    ...ofB(heard, combination),
    ...late,
    ...(recovered > recoversWithin ? ['it did not recover'] : []),
    ...(await missingRecords(world, heard, combination)),
  ]
  await world.disk.clear()
  const a = heard.filter(({ stream }) => !isOfB(stream)).map(({ outcome }) => outcome)
  const b = heard.filter(({ stream }) => isOfB(stream))
  return {
    name: nameOf(combination),
    answered: a.filter(({ kind }) => kind === 'answered').length,
    refused: tally(a.filter(({ kind }) => kind === 'refused').map(({ reason }) => reason)),
    cut: a.filter(({ kind }) => kind === 'cut').length,
    requestsOfB: b.length,
    closedOfB: b.filter(({ outcome }) => outcome.reason === 'records_unavailable').length,
    slowdown: Math.max(...streamsOf(b).map((stream) => p90(b, stream) / p90(beside, stream))),
    longestOfB: Math.max(...b.map(({ outcome }) => outcome.milliseconds)),
    recovered,
    complaints,
    onlyLate: complaints.length > 0 && complaints.length === late.length,
  }
}

/** What comes of all that is begun during the work. */
async function during(callers: Callers, work: () => Promise<unknown>): Promise<readonly Heard[]> {
  const heard: Heard[] = []
  callers.listen((stream, outcome) => heard.push({ stream, outcome }))
  await work()
  callers.listen(() => {})
  await callers.settled()
  return heard
}

/** @returns milliseconds until every host of A and B are answered and the proxy says that it is ready */
async function recovery(world: World, callers: Callers): Promise<number> {
  const began = performance.now()
  const passed = () => performance.now() - began
  const isWell = ({ kind, status }: Outcome) => kind === 'answered' && status === 200
  for (;;) {
    const outcomes = await Promise.all([
      ...hostsOfA.map((host) => callers.ask('A', 'one', host)),
      callers.ask('B key', 'two'),
      callers.ask('B tunnel', 'two'),
    ])
    if (outcomes.every(isWell) && (await world.proxy.ask('/readyz')).status === 200) return passed()
    if (passed() > recoversWithin) return Number.POSITIVE_INFINITY
    await pause(100)
  }
}

/** Each is answered, or refused for a reason of the table, or cut after its head; none hangs. */
function ofA(heard: readonly Heard[]): string[] {
  const odd = heard.filter(
    ({ stream, outcome }) =>
      !isOfB(stream) && (outcome.kind === 'broken' || (outcome.kind === 'refused' && !isNamed(outcome.reason))),
  )
  return [...tally(odd.map(({ outcome }) => `A: ${outcome.kind} ${outcome.reason}`))].map(times)
}

/** `internal_error` is no name for anything that was foreseen. */
const isNamed = (reason: string) => Object.hasOwn(reasons, reason) && reason !== 'internal_error'

/** The proxy refuses what carries a credential while its records cannot be written; nothing else may become of B. */
function ofB(heard: readonly Heard[], combination: Combination): string[] {
  const closes = has(combination, 'disk')
  const wrong = heard.filter(({ stream, outcome: { kind, status, reason } }) => {
    if (!isOfB(stream) || (kind === 'answered' && status === 200)) return false
    return !(closes && stream !== 'B open' && reason === 'records_unavailable')
  })
  const told = wrong.map(({ stream, outcome }) => `${stream}: ${outcome.kind} ${outcome.status} ${outcome.reason}`)
  return [...tally(told)].map(times)
}

function latenessOfB(heard: readonly Heard[], beside: readonly Heard[]): string[] {
  const slow = streamsOf(heard).flatMap((stream) => {
    const [took, usual] = [p90(heard, stream), p90(beside, stream)]
    if (!isOfB(stream) || took <= usual * slower.times + slower.more) return []
    return [`${stream} takes ${took.toFixed(0)} ms, and ${usual.toFixed(0)} where nothing is disturbed`]
  })
  const allowed = Math.max(0, ...beside.map(({ outcome }) => outcome.milliseconds)) + longest
  const late = heard.filter(({ stream, outcome }) => isOfB(stream) && outcome.milliseconds > allowed)
  return [...slow, ...(late.length === 0 ? [] : [`${late.length} of B took more than ${allowed.toFixed(0)} ms`])]
}

/** Every refusal that an agent was told is in a record with the same reason; what a lying disk took is lost, and nobody can know it. */
async function missingRecords(world: World, heard: readonly Heard[], combination: Combination): Promise<string[]> {
  if (combination.some(({ part, kind }) => part === 'disk' && kind === 'lying')) return []
  const expected = new Map(
    heard.flatMap(({ outcome: { kind, id, reason } }) =>
      id !== undefined && (kind === 'refused' || kind === 'cut')
        ? [[id, kind === 'refused' ? reason : undefined] as const]
        : [],
    ),
  )
  const unnamed = heard.filter(({ outcome: { kind, id } }) => kind === 'refused' && id === undefined).length
  let missing: string[] = []
  for (const until = performance.now() + 5_000; performance.now() < until; await pause(100)) {
    const records = recordsIn(await world.disk.records())
    missing = [...expected]
      .filter(([id, reason]) => {
        const record = records.get(id)
        return record === undefined || (reason !== undefined && record.refusal?.reason !== reason)
      })
      .map(([id]) => id)
    if (missing.length === 0) break
  }
  const unforeseen = [...recordsIn(await world.disk.records()).values()].find(
    ({ refusal }) => refusal?.reason === 'internal_error',
  )
  return [
    ...(unforeseen === undefined ? [] : [`internal error: ${unforeseen.refusal?.detail}`]),
    ...(missing.length === 0 ? [] : [`${missing.length} of ${expected.size} refusals have no record, ${missing[0]}`]),
    ...(unnamed === 0 ? [] : [`${unnamed} refusals without an id`]),
  ]
}

function recordsIn(text: string): ReadonlyMap<string, AuditRecord> {
  const records = text.split('\n').flatMap((line): [string, AuditRecord][] => {
    try {
      const record: AuditRecord = JSON.parse(line)
      return [[record.id, record]]
    } catch {
      // The last line is being written.
      return []
    }
  })
  return new Map(records)
}

const isOfB = (stream: Stream) => stream.startsWith('B')
const has = (combination: Combination, part: Fault['part']) => combination.some((fault) => fault.part === part)
const streamsOf = (heard: readonly Heard[]) => [...new Set(heard.map(({ stream }) => stream))]
const timesOf = (heard: readonly Heard[], of: Stream) =>
  heard.filter(({ stream }) => stream === of).map(({ outcome }) => outcome.milliseconds)
const p90 = (heard: readonly Heard[], of: Stream) => percentile(timesOf(heard, of), 0.9)
const times = ([what, count]: readonly [string, number]) => `${count} × ${what}`

function percentile(values: readonly number[], part: number): number {
  return values.toSorted((one, other) => one - other)[Math.floor(values.length * part)] ?? 0
}

function tally(values: readonly string[]): ReadonlyMap<string, number> {
  const counts = new Map<string, number>()
  for (const value of values) counts.set(value, (counts.get(value) ?? 0) + 1)
  return counts
}
