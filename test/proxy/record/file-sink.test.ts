import { execFileSync } from 'node:child_process'
import {
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
  truncateSync,
  unlinkSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest'
import { fileSink } from '../../../proxy/record/file-sink.ts'
import { type AuditRecord, gapOf } from '../../../proxy/record/line.ts'
import type { SinkEvents } from '../../../proxy/record/line-sink.ts'
import { writerLimits } from '../../../proxy/record/line-writer.ts'
import type { RecordSink } from '../../../proxy/record/sink.ts'
import { recordSinkContract } from '../../contract/record-sink.ts'

let folder: string
let sink: RecordSink | undefined
let told: string[]

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'postern-records-'))
  told = []
})

afterEach(async () => {
  await sink?.close()
  sink = undefined
  rmSync(folder, { recursive: true, force: true })
})

const events: SinkEvents = {
  failed: (error) => told.push(`failed: ${error.message}`),
  recovered: (lost) => told.push(`recovered: ${lost}`),
  dropped: () => told.push('dropped'),
}

const surroundings = { now: () => 1_000, newId: () => 'gap', events }
const quick = { ...writerLimits, linger: 5, probe: 20 }
const record = (number: number, note = ''): AuditRecord => ({ ...gapOf(`id-${number}`, 0, number), listener: note })
const read = (path: string) => readFileSync(path, 'utf8')
const records = (path: string): AuditRecord[] =>
  read(path)
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => JSON.parse(line))
const numbers = (path: string) => records(path).map(({ lost }) => lost)

recordSinkContract('the file', async () => {
  const path = join(folder, 'records.jsonl')
  return { sink: await fileSink(path, surroundings, quick), written: async () => read(path) }
})

describe('a file that cannot be written', () => {
  test('a folder that is a file is an error at once', async () => {
    writeFileSync(join(folder, 'taken'), '')
    await expect(fileSink(join(folder, 'taken', 'records'), surroundings)).rejects.toThrow(/EEXIST|ENOTDIR/)
  })

  test('a file that others can write is refused, with what to do', async () => {
    const path = join(folder, 'records')
    writeFileSync(path, '')
    chmodSync(path, 0o622)
    await expect(fileSink(path, surroundings)).rejects.toThrow(/written by others.*chmod go-w/)
  })

  test.runIf(existsSync('/dev/full'))(
    'on a full disk a commit rejects, the sink is unhealthy, and one alarm is told',
    async () => {
      sink = await fileSink('/dev/full', surroundings, quick)
      await expect(sink.commit(record(1))).rejects.toThrow('ENOSPC')
      expect(sink.healthy).toBe(false)
      await expect(sink.commit(record(2))).rejects.toThrow('ENOSPC')
      await expect(sink.flush()).rejects.toThrow('ENOSPC')
      for (let number = 0; number < 100; number += 1) sink.write(record(number))
      expect(told).toEqual(['failed: ENOSPC: no space left on device, write'])
    },
  )

  test.runIf(existsSync('/dev/full'))('it recovers by itself, and what waited is written in order, once', async () => {
    const path = join(folder, 'records')
    symlinkSync('/dev/full', path)
    sink = await fileSink(path, surroundings, quick)
    sink.write(record(1))
    await expect(sink.flush()).rejects.toThrow('ENOSPC')
    sink.write(record(2))
    unlinkSync(path)
    await vi.waitFor(() => expect(sink?.healthy).toBe(true))
    await sink.flush()
    expect(numbers(path)).toEqual([1, 2])
    expect(told).toEqual(['failed: ENOSPC: no space left on device, write', 'recovered: 0'])
  })

  test.runIf(existsSync('/dev/full'))(
    'the backlog is bounded, and the hole in the records says how large it is',
    async () => {
      const path = join(folder, 'records')
      symlinkSync('/dev/full', path)
      sink = await fileSink(path, surroundings, { ...quick, backlog: 1_000, batch: 500 })
      await expect(sink.commit(record(0))).rejects.toThrow('ENOSPC')
      for (let number = 1; number <= 50; number += 1) sink.write(record(number))
      const dropped = told.filter((line) => line === 'dropped').length
      expect(dropped).toBeGreaterThan(10)
      unlinkSync(path)
      await vi.waitFor(() => expect(sink?.healthy).toBe(true))
      // What waited has to be out, else there is no room yet.
      await sink.flush()
      sink.write(record(51))
      await sink.flush()
      const kept = records(path)
      expect(kept.at(-2)).toEqual({ v: 1, time: '1970-01-01T00:00:01.000Z', id: 'gap', kind: 'gap', lost: dropped })
      expect(kept.at(-1)?.lost).toBe(51)
      expect(kept).toHaveLength(51 - dropped + 2)
    },
  )

  test('a commit that found no room in the backlog rejects: what was acknowledged is there', async () => {
    const path = join(folder, 'records')
    sink = await fileSink(path, surroundings, { ...quick, backlog: 1_000, batch: 500 })
    const answers = await Promise.allSettled(Array.from({ length: 50 }, (_, number) => sink?.commit(record(number))))
    const acknowledged = answers.flatMap(({ status }, number) => (status === 'fulfilled' ? [number] : []))
    expect(acknowledged.length).toBeGreaterThan(0)
    expect(acknowledged.length).toBeLessThan(50)
    await sink.flush()
    const kept = new Set(records(path).map(({ id }) => id))
    expect(acknowledged.filter((number) => !kept.has(`id-${number}`))).toEqual([])
  })

  test('lines that come faster than the bound are dropped whole, and that counts as unhealthy', async () => {
    const path = join(folder, 'records')
    sink = await fileSink(path, surroundings, { ...quick, backlog: 1_000, batch: 500 })
    for (let number = 0; number < 100; number += 1) sink.write(record(number))
    expect(sink.healthy).toBe(false)
    expect(told[0]).toBe('failed: the backlog of lines is full')
    await sink.flush()
    await vi.waitFor(() => expect(sink?.healthy).toBe(true))
    await sink.flush()
    expect(records(path).at(-1)?.kind).toBe('gap')
  })
})

/** A file system of 64 KiB, which only root (or whoever may mount) can make. */
function smallDisk(): string | undefined {
  const place = join(folder, 'disk')
  mkdirSync(place)
  try {
    execFileSync('/bin/mount', ['-t', 'tmpfs', '-o', 'size=64k', 'tmpfs', place], { stdio: 'ignore' })
    return place
  } catch {
    return undefined
  }
}

describe('a disk that fills up in the middle of a line', () => {
  let disk: string | undefined

  beforeEach(() => {
    disk = smallDisk()
  })

  afterEach(async () => {
    await sink?.close()
    if (disk !== undefined) execFileSync('/bin/umount', [disk])
  })

  async function untilFull(place: string): Promise<{ path: string; ballast: string; count: number }> {
    const path = join(place, 'records')
    const ballast = join(place, 'ballast')
    writeFileSync(ballast, Buffer.alloc(20 << 10))
    sink = await fileSink(path, surroundings, quick)
    let count = 0
    // Lines of such a length that the last page ends within one, and within a character.
    while (sink.healthy && count < 1_000) {
      for (let more = 0; more < 10; more += 1) {
        count += 1
        sink.write(record(count, 'é'.repeat(150)))
      }
      await sink.flush().catch(() => {})
    }
    expect(sink.healthy).toBe(false)
    expect(read(path).endsWith('\n')).toBe(false)
    return { path, ballast, count }
  }

  test('goes on at that byte when there is room again', async ({ skip }) => {
    if (disk === undefined) return skip('no file system can be mounted here')
    const { path, ballast, count } = await untilFull(disk)
    unlinkSync(ballast)
    await vi.waitFor(() => expect(sink?.healthy).toBe(true))
    await sink?.flush()
    expect(numbers(path)).toEqual(Array.from({ length: count }, (_, index) => index + 1))
  })

  test('begins the line anew in a file that took the place of the full one', async ({ skip }) => {
    if (disk === undefined) return skip('no file system can be mounted here')
    const { path, ballast, count } = await untilFull(disk)
    const old = join(disk, 'records.1')
    renameSync(path, old)
    unlinkSync(ballast)
    await vi.waitFor(() => expect(sink?.healthy).toBe(true))
    await sink?.flush()
    const whole = read(old)
      .split('\n')
      .slice(0, -1)
      .map((line) => JSON.parse(line).lost)
    expect([...whole, ...numbers(path)]).toEqual(Array.from({ length: count }, (_, index) => index + 1))
  })

  test('begins the line anew in a file that was emptied to make room', async ({ skip }) => {
    if (disk === undefined) return skip('no file system can be mounted here')
    const { path, count } = await untilFull(disk)
    const before = read(path).split('\n').length - 1
    truncateSync(path)
    await vi.waitFor(() => expect(sink?.healthy).toBe(true))
    await sink?.flush()
    expect(numbers(path)).toEqual(Array.from({ length: count - before }, (_, index) => before + index + 1))
  })
})

describe('the file', () => {
  test('is made for its owner alone, and so are the folders that were missing', async () => {
    const path = join(folder, 'a', 'b', 'records')
    sink = await fileSink(path, surroundings)
    expect(statSync(path).mode & 0o777).toBe(0o600)
    expect(statSync(join(folder, 'a')).mode & 0o777).toBe(0o700)
    expect(statSync(join(folder, 'a', 'b')).mode & 0o777).toBe(0o700)
  })

  test('is appended to, and a line torn by an earlier end stays alone', async () => {
    const path = join(folder, 'records')
    writeFileSync(path, '{"v":1}\n{"v":1,"tor', { mode: 0o600 })
    sink = await fileSink(path, surroundings)
    await sink.commit(record(3))
    expect(read(path).split('\n').slice(0, 2)).toEqual(['{"v":1}', '{"v":1,"tor'])
    expect(JSON.parse(read(path).split('\n')[2] ?? '').lost).toBe(3)
  })

  test('that was renamed is left, and the next lines go to a new one', async () => {
    const path = join(folder, 'records')
    sink = await fileSink(path, surroundings, quick)
    await sink.commit(record(1))
    renameSync(path, `${path}.1`)
    await vi.waitFor(async () => {
      await sink?.commit(record(2))
      expect(existsSync(path)).toBe(true)
    })
    expect(numbers(`${path}.1`)[0]).toBe(1)
    expect(statSync(path).mode & 0o777).toBe(0o600)
    const all = [...numbers(`${path}.1`), ...numbers(path)]
    expect(all.slice(1).every((number) => number === 2)).toBe(true)
    expect(told).toEqual([])
  })

  test('is opened anew at once when asked, so that a rotation need not wait', async () => {
    const path = join(folder, 'records')
    sink = await fileSink(path, surroundings, { ...quick, probe: 60_000 })
    await sink.commit(record(1))
    renameSync(path, `${path}.1`)
    sink.reopen()
    await sink.commit(record(2))
    expect([numbers(`${path}.1`), numbers(path)]).toEqual([[1], [2]])
  })

  test('whose name cannot be opened after a rotation makes the sink unhealthy until it can', async () => {
    const path = join(folder, 'records')
    sink = await fileSink(path, surroundings, quick)
    await sink.commit(record(1))
    renameSync(path, `${path}.1`)
    mkdirSync(path)
    sink.reopen()
    await expect(sink.commit(record(2))).rejects.toThrow('EISDIR')
    expect(sink.healthy).toBe(false)
    rmSync(path, { recursive: true })
    await vi.waitFor(() => expect(sink?.healthy).toBe(true))
    await sink.commit(record(3))
    expect(numbers(path)).toEqual([2, 3])
  })
})
