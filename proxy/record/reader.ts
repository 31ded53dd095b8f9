// Reads records back, line by line: from a stream, or from a file that is being written, rotated and truncated meanwhile.
import { type FileHandle, open, stat } from 'node:fs/promises'
import { StringDecoder } from 'node:string_decoder'
import { setTimeout as delay } from 'node:timers/promises'
import type { AuditRecord } from './line.ts'

export interface ReadOptions {
  /** Told of each line that is no record, such as one torn by a crash. */
  readonly unreadable: (line: string) => void
}

export interface FollowOptions extends ReadOptions {
  /** Ends the following. */
  readonly signal: AbortSignal
  /** Milliseconds between looks at a file that has not grown. */
  readonly interval: number
}

/** Says that everything that is there now has been read. */
export const caughtUp = Symbol('caught up')

const chunkSize = 64 << 10
const longestLine = 4 << 20

/** @throws when the file cannot be opened */
export async function* readFile(path: string, { unreadable }: ReadOptions): AsyncGenerator<AuditRecord[]> {
  const file = await open(path, 'r')
  try {
    const lines = new Lines(unreadable)
    yield* toEnd(new Position(file), lines)
    yield lines.end()
  } finally {
    await file.close()
  }
}

/** Reads what is there and then what comes, under whatever file has the name. */
export async function* followFile(
  path: string,
  options: FollowOptions,
): AsyncGenerator<AuditRecord[] | typeof caughtUp> {
  const { unreadable, signal, interval } = options
  let file = await open(path, 'r')
  try {
    let position = new Position(file)
    const lines = new Lines(unreadable)
    while (!signal.aborted) {
      yield* toEnd(position, lines)
      const named = await stat(path).catch(() => undefined)
      const own = await file.stat()
      if (named !== undefined && (named.ino !== own.ino || named.dev !== own.dev)) {
        // The writer has moved on, so the old file is whole by now.
        yield* toEnd(position, lines)
        yield lines.end()
        await file.close()
        file = await open(path, 'r')
        position = new Position(file)
      } else {
        if (own.size < position.at) {
          lines.drop()
          position.at = 0
        }
        yield caughtUp
        await delay(interval, undefined, { signal }).catch(() => {})
      }
    }
  } finally {
    await file.close()
  }
}

/** Reads what somebody else's program prints, such as the logs of a container. */
export async function* readStream(stream: AsyncIterable<Buffer>, options: ReadOptions): AsyncGenerator<AuditRecord[]> {
  const lines = new Lines(options.unreadable)
  for await (const chunk of stream) yield lines.take(chunk)
  yield lines.end()
}

class Position {
  readonly file: FileHandle
  at = 0

  constructor(file: FileHandle) {
    this.file = file
  }
}

async function* toEnd(position: Position, lines: Lines): AsyncGenerator<AuditRecord[]> {
  const buffer = Buffer.allocUnsafe(chunkSize)
  for (;;) {
    const { bytesRead } = await position.file.read(buffer, 0, chunkSize, position.at)
    if (bytesRead === 0) return
    position.at += bytesRead
    yield lines.take(buffer.subarray(0, bytesRead))
  }
}

/** Cuts bytes into lines, and lines into records. */
class Lines {
  readonly #unreadable: (line: string) => void
  #decoder = new StringDecoder('utf8')
  #rest = ''

  constructor(unreadable: (line: string) => void) {
    this.#unreadable = unreadable
  }

  take(bytes: Buffer): AuditRecord[] {
    const parts = (this.#rest + this.#decoder.write(bytes)).split('\n')
    const rest = parts.pop() ?? ''
    // Without a line end for that long, this is no file of records.
    this.#rest = rest.length > longestLine ? '' : rest
    return parts.flatMap((line) => this.#record(line))
  }

  /** What stands behind the last line end: a torn line, or one whose end is missing. */
  end(): AuditRecord[] {
    const rest = this.#rest + this.#decoder.end()
    this.drop()
    return this.#record(rest)
  }

  drop(): void {
    this.#rest = ''
    this.#decoder = new StringDecoder('utf8')
  }

  #record(line: string): AuditRecord[] {
    if (line === '') return []
    const record = parseRecord(line)
    if (record !== undefined) return [record]
    this.#unreadable(line)
    return []
  }
}

/** @returns undefined when the line is no record */
export function parseRecord(line: string): AuditRecord | undefined {
  try {
    const value: unknown = JSON.parse(line)
    return isRecord(value) ? value : undefined
  } catch {
    return undefined
  }
}

/** Looks at what every record has; fields that a later version adds do no harm. */
function isRecord(value: unknown): value is AuditRecord {
  if (typeof value !== 'object' || value === null) return false
  const { v, id, time, kind } = value as Record<string, unknown>
  return v === 1 && typeof id === 'string' && typeof time === 'string' && typeof kind === 'string'
}
