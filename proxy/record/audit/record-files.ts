// Reads files of records as lines of bytes, plain or gzip, and puts them into the order in which they were written.
import { createReadStream } from 'node:fs'
import { open } from 'node:fs/promises'
import { pipeline } from 'node:stream'
import { createGunzip } from 'node:zlib'
import { hashOf, type Seal, sealOf } from './seal.ts'

/** @param ended whether a line end stands behind it; only of the last line it may be missing. The bytes are valid during the call. */
export type OnLine = (line: Buffer, ended: boolean) => void

const chunkSize = 1 << 20
const longestLine = 4 << 20

/**
 * @param path `-`: standard input
 * @throws when it cannot be read
 */
export async function eachLine(path: string, onLine: OnLine): Promise<void> {
  let rest: Buffer = Buffer.alloc(0)
  for await (const chunk of await bytesOf(path)) {
    const bytes: Buffer = rest.length === 0 ? chunk : Buffer.concat([rest, chunk])
    let from = 0
    for (let to = bytes.indexOf(0x0a); to !== -1; to = bytes.indexOf(0x0a, from)) {
      onLine(bytes.subarray(from, to), true)
      from = to + 1
    }
    rest = bytes.subarray(from)
    if (rest.length < longestLine) continue
    // No record is that long; told as what it is, and not held.
    onLine(rest, true)
    rest = Buffer.alloc(0)
  }
  if (rest.length > 0) onLine(rest, false)
}

async function bytesOf(path: string): Promise<AsyncIterable<Buffer>> {
  if (path === '-') return process.stdin
  const isCompressed = await isGzip(path)
  const stream = createReadStream(path, { highWaterMark: chunkSize })
  if (!isCompressed) return stream
  const plain = createGunzip()
  // Whoever reads hears of an error.
  pipeline(stream, plain, () => {})
  return plain
}

async function isGzip(path: string): Promise<boolean> {
  const { bytes } = await piece(path, 0, 2)
  return bytes[0] === 0x1f && bytes[1] === 0x8b
}

interface Ends {
  readonly path: string
  readonly first: Seal | undefined
  /** Of the first record. */
  readonly time: string
  /** Hash of the last whole line; unknown of a compressed file. */
  readonly head: string | undefined
}

/** Each behind the one that it goes on from, and what goes on from none by the time of its first record. */
export async function inOrder(paths: readonly string[]): Promise<readonly string[]> {
  if (paths.length < 2 || paths.includes('-')) return paths
  const ends = await Promise.all(paths.map(endsOf))
  const left = ends.sort((one, other) => {
    if (one.time !== other.time) return one.time < other.time ? -1 : 1
    return (one.first?.seq ?? 0) - (other.first?.seq ?? 0)
  })
  const heads = new Set(left.flatMap(({ head }) => head ?? []))
  const ordered: Ends[] = []
  while (left.length > 0) {
    const last = ordered.at(-1)
    const next = left.findIndex(({ first }) => last?.head !== undefined && first?.prev === last.head)
    const root = left.findIndex(({ first }) => first === undefined || !heads.has(first.prev))
    ordered.push(...left.splice(Math.max(0, next === -1 ? root : next), 1))
  }
  return ordered.map(({ path }) => path)
}

async function endsOf(path: string): Promise<Ends> {
  const line = await firstLine(path)
  const first = line === undefined ? undefined : sealOf(line)
  const time = /"time":"([^"]{1,40})"/.exec(line?.toString('latin1', 0, 200) ?? '')?.[1] ?? ''
  const head = (await isGzip(path)) ? undefined : await lastHash(path)
  return { path, first, time, head }
}

/** The first one that has a seal. */
async function firstLine(path: string): Promise<Buffer | undefined> {
  const found = new Error('found')
  let line: Buffer | undefined
  await eachLine(path, (bytes) => {
    if (sealOf(bytes) === undefined) return
    line = Buffer.from(bytes)
    throw found
  }).catch((error: unknown) => {
    if (error !== found) throw error
  })
  return line
}

async function lastHash(path: string): Promise<string | undefined> {
  const { bytes } = await piece(path, Number.POSITIVE_INFINITY, chunkSize)
  const end = bytes.lastIndexOf(0x0a)
  const line = bytes.subarray(bytes.lastIndexOf(0x0a, end - 1) + 1, end)
  return end === -1 || sealOf(line) === undefined ? undefined : hashOf(line)
}

/** @param from infinity: so much from the end */
async function piece(path: string, from: number, length: number): Promise<{ readonly bytes: Buffer }> {
  const file = await open(path, 'r')
  try {
    const { size } = await file.stat()
    const at = Math.min(from, Math.max(0, size - length))
    const { buffer, bytesRead } = await file.read(Buffer.alloc(length), 0, length, at)
    return { bytes: buffer.subarray(0, bytesRead) }
  } finally {
    await file.close()
  }
}
