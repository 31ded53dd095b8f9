// Encodings × content codings × places × split points: what an upstream says of the credential in each, and whether the agent can read it.
import { codings } from './codings.ts'
import { type Place, places } from './places.ts'
import { Reader, unpacked } from './reader.ts'
import { type Got, type World, ways } from './world.ts'
import { writers } from './writers.ts'

interface Combination {
  readonly way: string
  readonly writer: string
  readonly place: string
  readonly coding: string
  readonly cuts: readonly number[]
}

export interface Counts {
  combinations: number
  /** What could be read of the credential. */
  readonly leaks: string[]
  /** The upstream's own bytes in which the reader did not find it, so that it proves nothing there. */
  readonly unread: string[]
  /** The agent got it blanked. */
  blanked: number
  /** That part of the answer did not come to the agent. */
  dropped: number
  refused: number
  /** Broken off after the head. */
  broken: number
}

const noCut: readonly number[] = []
/** Cut at every single byte: the forms that most echoes have. */
const thorough = /^as it is$|^base64(url)? after/
/** The way on which everything is tried; the others differ in the secret alone. */
const chief = 'bearer'
/** Of combinations on the others one in so many is tried. */
const shareOfOthers = 4

function cutsOf(writer: string, way: string, length: number): readonly (readonly number[])[] {
  const all = Array.from({ length: length - 1 }, (_, at) => at + 1)
  const single =
    way === chief && thorough.test(writer)
      ? all
      : [0, 1 / 3, 2 / 3, 1].map((part) => Math.min(length - 1, Math.max(1, Math.round(length * part))))
  return [noCut, all, ...single.map((at) => [at])]
}

function* combinations(): Generator<Combination> {
  for (const [way, { secret }] of Object.entries(ways))
    for (const [writer, write] of Object.entries(writers)) {
      const text = write(secret)
      const split = cutsOf(writer, way, text.length)
      for (const [place, { inBody, takes }] of Object.entries(places)) {
        if (!takes(text)) continue
        if (!inBody) yield { way, writer, place, coding: 'identity', cuts: noCut }
        else
          for (const coding of Object.keys(codings))
            for (const cuts of split) yield { way, writer, place, coding, cuts }
      }
    }
}

/** One of so many combinations, spread over all of each kind, the same ones in each run. */
function* sampled(every: number): Generator<Combination> {
  let number = 0
  for (const combination of combinations()) {
    number++
    const share = combination.way === chief ? every : every * shareOfOthers
    // There are far fewer places in heads, since nothing is cut there.
    const ofThese = places[combination.place]?.inBody === false ? Math.ceil(share / 8) : share
    if ((Math.imul(number, 2_654_435_761) >>> 8) % ofThese === 0) yield combination
  }
}

/** @param every of how many combinations one is tried, on the chief way; 1 for all of them */
export async function tryAll(world: World, every: number, atOnce = 8): Promise<Counts> {
  const counts: Counts = { combinations: 0, leaks: [], unread: [], blanked: 0, dropped: 0, refused: 0, broken: 0 }
  const readers = new Map(Object.entries(ways).map(([name, { secret }]) => [name, new Reader(secret)]))
  const left = sampled(every)
  const one = async () => {
    await using agent = world.agent()
    for (const combination of left) {
      const { way, writer, place: placeName, coding, cuts } = combination
      const place = places[placeName]
      const reader = readers.get(way)
      const write = writers[writer]
      if (place === undefined || reader === undefined || write === undefined) throw new Error('no such combination')
      const got = await agent.ask(way, place.method, (secret) =>
        place.wire(write(secret), { cuts, codings: codings[coding] ?? [] }),
      )
      const name = `${way} × ${writer} × ${coding} × ${placeName} × cut at ${cuts.length > 1 ? 'each byte' : (cuts[0] ?? 'none')}`
      counts.combinations++
      count(counts, name, got, reader)
      if (
        cuts.length === 0 &&
        coding === 'identity' &&
        !(await readable(place, write(ways[way]?.secret ?? ''), reader))
      )
        counts.unread.push(name)
    }
  }
  await Promise.all(Array.from({ length: atOnce }, one))
  return counts
}

async function readable(place: Place, text: string, reader: Reader): Promise<boolean> {
  const { pieces } = await place.wire(text, { cuts: noCut, codings: [] })
  return reader.reads(Buffer.concat(pieces))
}

function count(counts: Counts, name: string, { raw, status, broken }: Got, reader: Reader): void {
  const body = bodyIn(raw)
  const coding = /^content-encoding: (.*)$/im.exec(raw.toString('latin1', 0, raw.indexOf('\r\n\r\n')))?.[1]
  const plain = coding === undefined ? body : unpacked(body, coding)
  if ([raw, body, plain].some((bytes) => reader.reads(bytes))) counts.leaks.push(name)
  else if (broken) counts.broken++
  else if (raw.includes('****') || plain.includes('****')) counts.blanked++
  else if (status === 502) counts.refused++
  else counts.dropped++
}

/** What follows the last head, without its chunks, as far as it came. */
function bodyIn(raw: Buffer): Buffer {
  const end = raw.indexOf('\r\n\r\n')
  const content = raw.subarray(end + 4)
  if (!/^transfer-encoding: chunked/im.test(raw.toString('latin1', 0, end + 2))) return content
  const parts: Buffer[] = []
  for (let at = 0; at < content.length; ) {
    const line = content.indexOf('\r\n', at)
    const size = Number.parseInt(content.toString('latin1', at, line === -1 ? at : line), 16)
    if (line === -1 || !(size > 0)) break
    parts.push(content.subarray(line + 2, line + 2 + size))
    at = line + 2 + size + 2
  }
  return Buffer.concat(parts)
}
