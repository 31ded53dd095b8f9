// Reads where a trail goes on: the last line of the record file, or of the file that it was rotated to.
import { type FileHandle, open, readdir, stat } from 'node:fs/promises'
import { basename, dirname, join } from 'node:path'
import { hashOf, sealOf } from './seal.ts'
import type { TrailStart } from './trail.ts'

/** The beginning of a record behind the last line end. */
export interface Torn {
  readonly bytes: number
  readonly hash: string
}

export interface Tail {
  /** Absent: nothing that a trail of this file's own could go on from. */
  readonly start?: TrailStart
  readonly torn?: Torn
  /** Number of the last line, where it does not follow from the one before it. */
  readonly mismatch?: number
}

/** More than the longest two records. */
const window = 1 << 20

/**
 * @param path may be missing: then the newest file beside it that has its name with something behind it counts
 * @throws when a file is there and cannot be read
 */
export async function readTail(path: string): Promise<Tail> {
  const own = await tailOf(path)
  if (own.start !== undefined || own.whole) return own
  for (const rotated of await rotatedFiles(path)) {
    const tail = await tailOf(rotated)
    if (tail.start !== undefined) return { ...tail, ...own, start: tail.start }
    if (tail.whole) break
  }
  return own
}

/** `whole`: there is a whole line, in this trail or not. */
async function tailOf(path: string): Promise<Tail & { readonly whole: boolean }> {
  const bytes = await lastBytes(path)
  if (bytes === undefined || bytes.length === 0) return { whole: false }
  const end = bytes.lastIndexOf(0x0a)
  const rest = bytes.subarray(end + 1)
  const lines = end === -1 ? [] : linesBefore(bytes, end)
  // A record of which the line end alone is missing is whole.
  const complete = rest.length > 0 && follows(rest, lines.at(-1))
  const torn = rest.length === 0 || complete ? undefined : { bytes: rest.length, hash: hashOf(rest) }
  const last = complete ? rest : lines.at(-1)
  const before = complete ? lines.at(-1) : lines.at(-2)
  const common = torn === undefined ? {} : { torn }
  if (last === undefined) return { ...common, whole: false }
  const seal = sealOf(last)
  // One with an id in the middle belongs to a process that shared the file, and may still be writing.
  if (seal === undefined || (seal.trail !== undefined && seal.seq > 1)) return { ...common, whole: true }
  const matches = before === undefined || sealOf(before) === undefined || follows(last, before)
  return {
    ...common,
    whole: true,
    start: { seq: seal.seq, head: hashOf(last) },
    ...(matches ? {} : { mismatch: seal.seq }),
  }
}

function linesBefore(bytes: Buffer, end: number): Buffer[] {
  const start = bytes.lastIndexOf(0x0a, end - 1) + 1
  const last = bytes.subarray(start, end)
  if (start === 0) return [last]
  return [bytes.subarray(bytes.lastIndexOf(0x0a, start - 2) + 1, start - 1), last]
}

function follows(line: Buffer, before: Buffer | undefined): boolean {
  return before !== undefined && sealOf(line)?.prev === hashOf(before)
}

async function lastBytes(path: string): Promise<Buffer | undefined> {
  let file: FileHandle
  try {
    file = await open(path, 'r')
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined
    throw error
  }
  try {
    const status = await file.stat()
    if (!status.isFile()) return undefined
    const length = Math.min(window, status.size)
    const { buffer, bytesRead } = await file.read(Buffer.alloc(length), 0, length, status.size - length)
    return buffer.subarray(0, bytesRead)
  } finally {
    await file.close()
  }
}

/** What rotation made of the file, the newest first: `records.jsonl.1`, `records.jsonl-20260130`. Compressed ones cannot be read from their end. */
async function rotatedFiles(path: string): Promise<readonly string[]> {
  const folder = dirname(path)
  const name = basename(path)
  const names = await readdir(folder).catch(() => [])
  const found = await Promise.all(
    names
      .filter(
        (each) => each.startsWith(name) && /^[.-]/.test(each.slice(name.length)) && !/\.(gz|zst|xz|bz2)$/.test(each),
      )
      .map(async (each) => ({ each, status: await stat(join(folder, each)).catch(() => undefined) })),
  )
  return found
    .flatMap(({ each, status }) => (status?.isFile() ? [{ each, modified: status.mtimeMs }] : []))
    .sort((one, other) => other.modified - one.modified)
    .map(({ each }) => join(folder, each))
}
