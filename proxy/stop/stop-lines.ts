// The lines of the file of stops: how they are written, and what they say when read again.
import { constants, open } from 'node:fs/promises'
import * as z from 'zod'
import { type Stop, stopSchema } from '../../policy/stop/stop.ts'

const entrySchema = z.union([
  z.strictObject({ order: stopSchema }),
  z.strictObject({
    lift: z.strictObject({
      /** Of the stop. */
      id: stopSchema.shape.id,
      /** Epoch milliseconds. */
      at: z.int(),
      by: stopSchema.shape.by,
    }),
  }),
])

export type Entry = z.infer<typeof entrySchema>

export const toLine = (entry: Entry) => `${JSON.stringify(entry)}\n`

export interface StopsRead {
  /** Ordered and neither lifted nor lapsed, oldest first. */
  readonly live: readonly Stop[]
  /** How many lines mean nothing any more. */
  readonly dead: number
  /** Bytes of all lines that count. */
  readonly length: number
  /** What stands behind the last line end: a line that was never finished, of which nobody was told that it is written, or one that lacks its end alone. */
  readonly tail: 'none' | 'torn' | 'unended'
}

/**
 * @param now epoch milliseconds
 * @throws Error that names the line, when one is not what we write: what it may have stopped is not known, and to go on
 *   would be to let it run
 */
export async function readLines(path: string, now: number): Promise<StopsRead> {
  const bytes = await readOwn(path)
  const end = bytes.lastIndexOf(0x0a) + 1
  const lines = bytes.toString('utf8', 0, end).split('\n').slice(0, -1)
  const entries = lines.flatMap((line, index) => {
    if (line.trim() === '') return []
    const entry = parseLine(line)
    if (entry !== undefined) return [entry]
    throw new Error(
      `${path}:${index + 1}: this line is no order to stop and no lift, so what is to be stopped is not known; mend or remove it`,
    )
  })
  // An editor may leave the last line without its end; what is torn is not whole JSON.
  const last = end === bytes.length ? undefined : parseLine(bytes.toString('utf8', end))
  if (last !== undefined) entries.push(last)
  const live = liveOf(entries).filter(({ until }) => until === undefined || until > now)
  return {
    live,
    dead: entries.length - live.length,
    length: last === undefined ? end : bytes.length,
    tail: end === bytes.length ? 'none' : last === undefined ? 'torn' : 'unended',
  }
}

/** @param onFault told of each line that is not what we write; it is passed over */
export function parseLines(text: string, onFault: (fault: string) => void): readonly Entry[] {
  return text.split('\n').flatMap((line) => {
    if (line.trim() === '') return []
    const entry = parseLine(line)
    if (entry === undefined) onFault('somebody wrote a line that is no order to stop and no lift')
    return entry ?? []
  })
}

/** What remains of orders after the lifts among them. */
export function liveOf(entries: readonly Entry[]): readonly Stop[] {
  const live = new Map<string, Stop>()
  for (const entry of entries) {
    if ('order' in entry) live.set(entry.order.id, entry.order)
    else live.delete(entry.lift.id)
  }
  return [...live.values()]
}

function parseLine(line: string): Entry | undefined {
  try {
    return entrySchema.safeParse(JSON.parse(line)).data
  } catch {
    return undefined
  }
}

/** @returns nothing where there is no file; @throws when others could have written it */
async function readOwn(path: string): Promise<Buffer> {
  try {
    await using handle = await open(path, constants.O_RDONLY | constants.O_NONBLOCK)
    const found = await handle.stat()
    if (!found.isFile()) throw new Error(`${path} is not a regular file`)
    if (found.uid !== 0 && found.uid !== process.getuid?.()) {
      throw new Error(`${path} belongs to another user (uid ${found.uid})`)
    }
    // Whoever can write it can lift what was stopped.
    if ((found.mode & 0o022) !== 0) throw new Error(`${path} can be written by others; run chmod go-w on it`)
    return await handle.readFile()
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return Buffer.alloc(0)
    throw error
  }
}
