// A trail goes on across rotation, restart, torn lines and full disks; a second process is turned away.
import {
  appendFileSync,
  existsSync,
  mkdtempSync,
  readFileSync,
  renameSync,
  rmSync,
  symlinkSync,
  truncateSync,
  unlinkSync,
  utimesSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest'
import { openRecords, type Records } from '../../../../cli/wire/records.ts'
import { sealOf } from '../../../../proxy/record/audit/seal.ts'
import { verifyFiles } from '../../../../proxy/record/audit/verify.ts'
import { lockForWriting } from '../../../../proxy/record/audit/writer-lock.ts'
import { diagnostics } from '../../../../proxy/record/diagnostics.ts'
import { posternMetrics } from '../../../../proxy/record/metrics.ts'
import { Readiness } from '../../../../proxy/record/readiness.ts'
import { recordsSchema } from '../../../../proxy/record/settings.ts'
import { aRecord } from './trails.ts'

let folder: string
let path: string
let open: Records[]

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'postern-trail-'))
  path = join(folder, 'records.jsonl')
  open = []
})

afterEach(async () => {
  for (const records of open) await records.close()
  rmSync(folder, { recursive: true, force: true })
})

async function start(shared = false, checkpoint: { records?: number; every?: string } = {}): Promise<Records> {
  const records = await openRecords(recordsSchema.parse({ to: path, checkpoint }), {
    alarms: {
      log: diagnostics({ to: { write: () => {} } }),
      metrics: posternMetrics({ version: 't', node: 't' }),
      readiness: new Readiness([]),
    },
    environment: {},
    now: Date.now,
    shared,
    svids: undefined,
  })
  open.push(records)
  return records
}

/** Writes records in a run of its own. */
async function run(numbers: readonly number[], shared = false): Promise<void> {
  const records = await start(shared)
  for (const number of numbers) await records.sink.commit(aRecord(number))
  await records.close()
}

/** As a kill leaves it: without the checkpoint at the end. */
async function killed(numbers: readonly number[]): Promise<void> {
  await run(numbers)
  const lines = readFileSync(path, 'utf8').split('\n')
  writeFileSync(path, `${lines.slice(0, -2).join('\n')}\n`)
}

const lock = () => join(folder, '.records.jsonl.lock')
const lines = (file = path) => readFileSync(file, 'utf8').split('\n').filter(Boolean)
const kinds = (file = path) => lines(file).map((line) => JSON.parse(line).kind)
const seqs = (file = path) => lines(file).map((line) => sealOf(Buffer.from(line))?.seq)
const verified = (...files: string[]) => verifyFiles(files.length === 0 ? [path] : files, { fromStart: true })

describe('after an end', () => {
  test('that tore a line, the next run names it and goes on', async () => {
    await killed([1, 2])
    appendFileSync(path, '{"v":1,"time":"2026-')
    await run([3])
    const [, , torn = '', audit = ''] = lines()
    expect(torn).toBe('{"v":1,"time":"2026-')
    expect(JSON.parse(audit)).toMatchObject({ kind: 'audit', seq: 3, audit: { event: 'torn', bytes: 20 } })
    expect(await verified()).toMatchObject({
      ok: true,
      notes: [{ kind: 'torn', line: 3 }],
      trails: [{ first: 1, last: 5 }],
    })
  })

  test('that tore the very first line, the next run begins a trail that names it', async () => {
    writeFileSync(path, '{"v":1,"ti', { mode: 0o600 })
    await run([1])
    expect(await verified()).toMatchObject({ ok: true, notes: [{ kind: 'torn', line: 1 }], trails: [{ first: 1 }] })
  })

  test('that left out the line end alone, nothing is torn', async () => {
    await killed([1, 2])
    truncateSync(path, readFileSync(path).length - 1)
    await run([3])
    expect(kinds()).toEqual(['gap', 'gap', 'gap', 'checkpoint'])
    expect(await verified()).toMatchObject({ ok: true, notes: [] })
  })

  test('after which somebody altered the last records, the next run says so, and verification too', async () => {
    await killed([1, 2, 3])
    const all = lines()
    writeFileSync(path, `${all.with(1, (all[1] ?? '').replace('"lost":2', '"lost":9')).join('\n')}\n`)
    await run([4])
    expect(JSON.parse(lines()[3] ?? '')).toMatchObject({ kind: 'audit', audit: { event: 'mismatch', at_seq: 3 } })
    expect((await verified()).findings).toMatchObject([{ kind: 'altered', line: 2, seq: 2 }])
  })

  test('a new run goes on with the numbers', async () => {
    await run([1])
    await run([2])
    expect([seqs(), kinds()]).toEqual([
      [1, 2, 3, 4],
      ['gap', 'checkpoint', 'gap', 'checkpoint'],
    ])
    expect(await verified()).toMatchObject({ ok: true, signers: [{ checkpoints: 1 }, { checkpoints: 1 }] })
  })

  test('files of the time before trails are appended to, with a trail from there on', async () => {
    writeFileSync(path, '{"v":1,"id":"old"}\n', { mode: 0o600 })
    await run([1])
    expect(await verifyFiles([path], {})).toMatchObject({
      ok: true,
      notes: [{ kind: 'unsealed' }],
      trails: [{ first: 1 }],
    })
  })
})

describe('rotation', () => {
  test('under a running process carries the trail into the new file', async () => {
    const records = await start()
    await records.sink.commit(aRecord(1))
    renameSync(path, `${path}.1`)
    records.sink.reopen()
    await records.sink.commit(aRecord(2))
    await records.close()
    expect(await verified(path, `${path}.1`)).toMatchObject({
      ok: true,
      files: [`${path}.1`, path],
      trails: [{ first: 1, last: 3 }],
    })
    expect((await verified(path)).findings).toMatchObject([{ kind: 'removed', seq: 1, to: 1 }])
  })

  test('between two runs does too: the newest of the rotated files counts', async () => {
    await run([1])
    renameSync(path, `${path}.2`)
    await run([2])
    renameSync(path, `${path}.1`)
    utimesSync(`${path}.2`, 1_000, 1_000)
    await run([3])
    expect(seqs()).toEqual([5, 6])
    expect(await verified(path, `${path}.1`, `${path}.2`)).toMatchObject({ ok: true, trails: [{ first: 1, last: 6 }] })
    expect((await verified(path, `${path}.2`)).findings).toMatchObject([{ kind: 'removed', seq: 3, to: 4 }])
  })

  test('of a file that ends in a torn line names that in the new one', async () => {
    await killed([1])
    appendFileSync(path, '{"v":1')
    renameSync(path, `${path}.1`)
    await run([2])
    expect(kinds()).toEqual(['audit', 'gap', 'checkpoint'])
    expect(await verified(`${path}.1`, path)).toMatchObject({ ok: true, notes: [{ kind: 'torn', line: 2 }] })
  })

  test('a file that was put in place of ours is told by verification', async () => {
    const records = await start()
    await records.sink.commit(aRecord(1))
    rmSync(path)
    writeFileSync(path, '{"v":1,"id":"theirs"}\n{"v":1,"id', { mode: 0o600 })
    records.sink.reopen()
    await records.sink.commit(aRecord(2))
    await records.close()
    const { ok, findings } = await verified()
    expect([ok, findings.map(({ kind }) => kind)]).toEqual([false, expect.arrayContaining(['no_record'])])
  })
})

test.skipIf(!existsSync('/dev/full'))(
  'what was lost on a full disk leaves a gap record, and no hole in the trail',
  async () => {
    symlinkSync('/dev/full', path)
    const records = await start()
    await expect(records.sink.commit(aRecord(1))).rejects.toThrow('ENOSPC')
    const long = { ...aRecord(2), listener: 'x'.repeat(1 << 20) }
    for (let number = 0; number < 10; number += 1) records.sink.write(long)
    records.trail.checkpoint()
    unlinkSync(path)
    await vi.waitFor(() => expect(records.sink.healthy).toBe(true), 10_000)
    await records.sink.commit(aRecord(3))
    await records.close()
    expect(kinds().at(-1)).toBe('checkpoint')
    expect(
      lines()
        .map((line) => JSON.parse(line))
        .find(({ lost }) => lost === 3 || lost > 3),
    ).toBeDefined()
    expect(await verified()).toMatchObject({ ok: true, trails: [{ first: 1, unsigned: 0 }] })
  },
)

describe('a second process', () => {
  test('is turned away while the first one writes, and not afterwards', async () => {
    const first = await start()
    await expect(start()).rejects.toThrow(`another process writes its records into ${path}`)
    await first.close()
    await (await start()).close()
  })

  test('is not turned away by what a killed one left', async () => {
    const { createServer } = await import('node:net')
    const { once } = await import('node:events')
    const server = createServer().listen(lock())
    await once(server, 'listening')
    // The socket stays behind under another name and comes back, as after a kill.
    renameSync(lock(), `${path}.kept`)
    server.close()
    await once(server, 'close')
    renameSync(`${path}.kept`, lock())
    await (await start()).close()
  })

  test('does not delete what is no lock', async () => {
    writeFileSync(lock(), 'mine')
    await expect(start()).rejects.toThrow('it is no lock of ours')
    expect(readFileSync(lock(), 'utf8')).toBe('mine')
  })

  test('under a path that is too long for a socket is not kept away, and nothing is thrown', async () => {
    expect(await lockForWriting(join(folder, 'a'.repeat(200)))).toBeUndefined()
  })

  test('that shares the file has a trail of its own in it', async () => {
    const [one, other] = [await start(true), await start(true)]
    for (const number of [1, 2, 3]) {
      await one.sink.commit(aRecord(number))
      await other.sink.commit(aRecord(number))
    }
    await one.close()
    await other.close()
    expect(await verified()).toMatchObject({ ok: true, trails: [{ last: 4 }, { last: 4 }] })
    await run([1])
    expect(await verified()).toMatchObject({ ok: true, trails: [{ last: 4 }, { last: 4 }, { first: 1, last: 2 }] })
  })
})

test('checkpoints are written after so many records', async () => {
  const records = await start(false, { records: 3 })
  for (let number = 1; number <= 10; number += 1) await records.sink.commit(aRecord(number))
  expect(records.trail.status().checkpoint).toBeGreaterThan(5)
  await records.close()
  expect(kinds().filter((kind) => kind === 'checkpoint').length).toBeGreaterThanOrEqual(3)
  expect(await verified()).toMatchObject({ ok: true, trails: [{ unsigned: 0 }] })
})
