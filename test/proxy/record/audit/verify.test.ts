import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { gzipSync } from 'node:zlib'
import * as fc from 'fast-check'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import type { Report } from '../../../../proxy/record/audit/findings.ts'
import { hashOf } from '../../../../proxy/record/audit/seal.ts'
import { firstLine } from '../../../../proxy/record/audit/trail.ts'
import { mostFindings, type VerifyOptions, verifyFiles } from '../../../../proxy/record/audit/verify.ts'
import type { AuditRecord } from '../../../../proxy/record/line.ts'
import { aRecord, aTrail, signedLines } from './trails.ts'

let folder: string

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'postern-verify-'))
})

afterEach(() => rmSync(folder, { recursive: true, force: true }))

const text = (lines: readonly string[]) => lines.map((line) => `${line}\n`).join('')

function put(name: string, content: string | Uint8Array): string {
  const path = join(folder, name)
  writeFileSync(path, content)
  return path
}

const verified = (content: string | Uint8Array, options: VerifyOptions = {}) =>
  verifyFiles([put('records', content)], options)

/** Kind, line and number of each finding. */
const told = ({ findings }: Report) =>
  findings.map(({ kind, line, seq, to }) => [kind, line, seq, to].filter((each) => each !== undefined))

describe('records that were changed', () => {
  const lines = signedLines(10)

  test('an altered record is named by the one that no longer follows from it', async () => {
    const report = await verified(text(lines.with(4, (lines[4] ?? '').replace('"lost":5', '"lost":6'))))
    expect(told(report)).toEqual([['altered', 5, 5]])
    expect(report.findings[0]).toMatchObject({
      expected: hashOf(lines[4] ?? ''),
      message: expect.stringContaining('record 5 is not the one'),
    })
  })

  test('a record whose number was altered is named once', async () => {
    const report = await verified(text(lines.with(4, (lines[4] ?? '').replace('"seq":5', '"seq":7'))))
    expect(told(report)).toEqual([['altered', 5, 5]])
    expect(report.findings[0]).toMatchObject({ expected: 'seq 5', found: 'seq 7' })
  })

  test('removed records are named by their numbers', async () => {
    expect(told(await verified(text(lines.toSpliced(3, 1))))).toEqual([['removed', 4, 4, 4]])
    expect(told(await verified(text(lines.toSpliced(3, 4))))).toEqual([['removed', 4, 4, 7]])
  })

  test('records that changed places are named as such', async () => {
    const report = await verified(text(lines.with(3, lines[4] ?? '').with(4, lines[3] ?? '')))
    expect(told(report)).toEqual([['reordered', 5, 4]])
  })

  test('a record that is there twice is named', async () => {
    expect(told(await verified(text(lines.toSpliced(5, 0, lines[4] ?? ''))))).toEqual([['duplicated', 6, 5]])
    expect(told(await verified(text(lines.toSpliced(8, 0, lines[2] ?? ''))))).toEqual([['duplicated', 9, 3]])
  })

  test('a line that is no record is named, whether it was added or took the place of one', async () => {
    expect(told(await verified(text(lines.toSpliced(5, 0, 'hello'))))).toEqual([['no_record', 6]])
    expect(told(await verified(text(lines.toSpliced(5, 0, ''))))).toEqual([['no_record', 6]])
    expect(told(await verified(text(lines.with(5, 'hello'))))).toEqual([['altered', 6, 6]])
    expect(told(await verified(text(lines.with(0, 'hello'))))).toEqual([['no_record', 1]])
  })

  test('records without a seal in front of one in the middle of a trail are named', async () => {
    const stripped = lines.map((line, index) => (index < 3 ? line.replace(/,"seq".*$/, '}') : line))
    expect(told(await verified(text(stripped)))).toEqual([['altered', 1, 3]])
  })

  test('a file in which no line has a seal proves nothing, and that is a finding', async () => {
    expect(told(await verified('{"v":1}\n{"v":1}\n'))).toEqual([['no_record', 1]])
  })

  test('what two processes wrote from the same line on is a conflict', async () => {
    const start = { seq: 5, head: hashOf(lines[4] ?? '') }
    const other = aTrail({ start })
    other.write(aRecord(100))
    other.write(aRecord(101))
    const mixed = lines.toSpliced(6, 0, ...other.lines)
    expect(told(await verified(text(mixed)))).toEqual([
      ['conflict', 7, 6],
      ['conflict', 8, 7],
    ])
  })

  test('so many findings that nobody could read them are counted', async () => {
    const many = signedLines(mostFindings + 50)
    const report = await verified(text(many.toReversed()))
    expect(report.findings).toHaveLength(mostFindings)
    expect(report.more).toBeGreaterThan(10)
    expect(report.ok).toBe(false)
  })
})

test('whichever byte is changed, it is found', async () => {
  const { trail, write, lines } = aTrail()
  for (const number of [1, 2, 3]) write(aRecord(number))
  trail.checkpoint()
  for (const number of [4, 5]) write(aRecord(number))
  trail.close()
  const bytes = Buffer.from(text(lines))
  expect((await verified(bytes)).ok).toBe(true)
  await fc.assert(
    fc.asyncProperty(fc.nat(bytes.length - 1), fc.integer({ min: 1, max: 255 }), async (at, mask) => {
      const changed = Buffer.from(bytes)
      changed.writeUInt8(changed.readUInt8(at) ^ mask, at)
      expect((await verified(changed)).findings, `byte ${at} ^ ${mask}`).not.toEqual([])
    }),
    { numRuns: 1_500 },
  )
}, 60_000)

test('whatever the bytes are, verification ends with a report', async () => {
  const lines = signedLines(4)
  await fc.assert(
    fc.asyncProperty(
      fc.array(
        fc.oneof(
          fc.constantFrom(...lines, '\n', ',"seq":1,"prev":"', '{"kind":"checkpoint"'),
          fc.string(),
          fc.uint8Array(),
        ),
      ),
      async (parts) => {
        const report = await verified(Buffer.concat(parts.map((part) => Buffer.from(part))))
        expect(report.ok).toBe(report.findings.length === 0)
      },
    ),
    { numRuns: 200 },
  )
})

describe('the end', () => {
  const written = aTrail()
  for (let number = 1; number <= 4; number += 1) written.write(aRecord(number))
  written.trail.checkpoint()
  for (let number = 5; number <= 7; number += 1) written.write(aRecord(number))
  const lines = written.lines

  test('what the last checkpoint covers is told, and what is only hashed after it', async () => {
    const { ok, trails, signers } = await verified(text(lines))
    expect(ok).toBe(true)
    expect(trails).toMatchObject([
      {
        first: 1,
        last: 8,
        head: hashOf(lines[7] ?? ''),
        signed: { seq: 5, time: '2027-01-15T08:00:00.000Z' },
        unsigned: 3,
      },
    ])
    expect(signers).toMatchObject([{ trust: 'ephemeral', checkpoints: 1 }])
  })

  test('one torn line is named and tolerated, wherever it was cut', async () => {
    const whole = text(lines)
    const start = whole.length - (lines[7] ?? '').length - 1
    for (const length of [1, 50, (lines[7] ?? '').length - 1]) {
      const { ok, notes } = await verified(whole.slice(0, start + length))
      expect(ok).toBe(true)
      expect(notes).toMatchObject([
        {
          kind: 'torn',
          line: 8,
          message: expect.stringContaining(`after ${Buffer.byteLength(whole.slice(start, start + length))} bytes`),
        },
      ])
    }
  })

  test('a record whose line end alone is missing is whole', async () => {
    const { ok, notes, trails } = await verified(text(lines).slice(0, -1))
    expect({ ok, notes, last: trails[0]?.last }).toEqual({ ok: true, notes: [], last: 8 })
  })

  test('records cut off at the end are missed when somebody knows of them', async () => {
    const cut = text(lines.slice(0, 6))
    expect((await verified(cut)).ok).toBe(true)
    expect(told(await verified(cut, { expectSeq: 8 }))).toEqual([['truncated', 6, 7, 8]])
    expect(told(await verified(cut, { expectHead: hashOf(lines[7] ?? '') }))).toEqual([['truncated', 6, 6]])
    expect((await verified(text(lines), { expectSeq: 8, expectHead: hashOf(lines[5] ?? '') })).ok).toBe(true)
  })

  test('records that begin in the middle are what rotation left, unless the first one is asked for', async () => {
    const { ok, notes } = await verified(text(lines.slice(3)))
    expect([ok, notes]).toMatchObject([true, [{ kind: 'middle', line: 1 }]])
    expect(told(await verified(text(lines.slice(3)), { fromStart: true }))).toEqual([['removed', 1, 1, 3]])
    expect((await verified(text(lines), { fromStart: true })).ok).toBe(true)
  })

  test('of a file that cannot be read the reason is thrown', async () => {
    await expect(verifyFiles([join(folder, 'nowhere')], {})).rejects.toThrow('ENOENT')
  })
})

describe('several files', () => {
  const lines = signedLines(30)
  const parts = [lines.slice(0, 10), lines.slice(10, 20), lines.slice(20)].map(text)
  const files = () => parts.map((part, index) => put(`records.${index}`, part))

  test('are put into the order in which they were written', async () => {
    const [a = '', b = '', c = ''] = files()
    for (const order of [
      [a, b, c],
      [c, b, a],
      [b, c, a],
    ])
      expect(await verifyFiles(order, {})).toMatchObject({ ok: true, records: 31, files: [a, b, c] })
  })

  test('one that is missing in the middle is named', async () => {
    const [a = '', , c = ''] = files()
    const report = await verifyFiles([c, a], {})
    expect(report.findings).toMatchObject([
      {
        kind: 'removed',
        file: c,
        line: 1,
        seq: 11,
        to: 20,
        message: expect.stringContaining('a whole file may be missing'),
      },
    ])
  })

  test('may be compressed', async () => {
    const [a = '', , c = ''] = files()
    const b = put('records.1.gz', gzipSync(parts[1] ?? ''))
    expect(await verifyFiles([a, b, c], {})).toMatchObject({ ok: true, records: 31 })
  })

  test('one that another took the place of is named', async () => {
    const [a = '', b = '', c = ''] = files()
    writeFileSync(b, text(signedLines(9, { start: firstLine('BBBBBBBBBBBBBBBBBBBBBB') })))
    const { findings } = await verifyFiles([a, b, c], {})
    expect(findings.map(({ kind, seq, to }) => [kind, seq, to])).toContainEqual(['removed', 11, 20])
  })

  test('one that was cut in the middle of a line, with others behind it, is named', async () => {
    const [a = '', b = '', c = ''] = files()
    writeFileSync(a, (parts[0] ?? '').slice(0, -20))
    expect((await verifyFiles([a, b, c], {})).findings).toMatchObject([{ kind: 'altered', file: a, line: 10, seq: 10 }])
  })

  test('a record that a full disk cut, and that stands whole in the next file, is explained', async () => {
    const [a = '', b = '', c = ''] = files()
    writeFileSync(a, `${parts[0]}${lines[10]?.slice(0, 40)}`)
    const report = await verifyFiles([a, b, c], {})
    expect(report).toMatchObject({ ok: true, notes: [{ kind: 'begun_anew', file: a, line: 11 }] })
  })
})

describe('trails side by side in one file', () => {
  test('are each followed by themselves', async () => {
    const one = signedLines(5, { shared: true, start: firstLine('CCCCCCCCCCCCCCCCCCCCCC') })
    const other = signedLines(5, { shared: true, start: firstLine('DDDDDDDDDDDDDDDDDDDDDD') })
    const mixed = one.flatMap((line, index) => [line, other[index] ?? ''])
    expect(await verified(text(mixed))).toMatchObject({ ok: true, trails: [{ last: 6 }, { last: 6 }] })
    expect(told(await verified(text(mixed.toSpliced(4, 1))))).toEqual([['removed', 6, 3, 3]])
  })

  test('one after the other, as a process on standard output begins anew at each start', async () => {
    const one = signedLines(3, { start: firstLine('CCCCCCCCCCCCCCCCCCCCCC') })
    const other = signedLines(3, { start: firstLine('DDDDDDDDDDDDDDDDDDDDDD') })
    expect(await verified(text([...one, ...other]))).toMatchObject({ ok: true, trails: [{ last: 4 }, { last: 4 }] })
  })

  test('lines of the time before trails are told of, not verified', async () => {
    const report = await verified(`{"v":1}\n{"v":1}\n${text(signedLines(3))}`)
    expect(report).toMatchObject({ ok: true, notes: [{ kind: 'unsealed', line: 1 }] })
  })

  test('nothing may stand before the first record where that is asked for', async () => {
    const lines = signedLines(5)
    const forged = `${lines[4]?.replace(/"seq":\d+/, '"seq":0')}`
    for (const before of [forged, '{"v":1}']) {
      const report = await verified(text([before, ...lines]), { fromStart: true })
      expect(told(report)).toEqual([['no_record', 1]])
      expect(report.findings[0]?.message).toBe('1 lines without a seal stand before the first record')
    }
    expect(await verified(text(lines), { fromStart: true })).toMatchObject({ ok: true })
  })
})

describe('a torn line that an earlier process left', () => {
  const torn = '{"v":1,"time":"2026-'
  const audit = (bytes: number, hash: string): AuditRecord => ({
    ...aRecord(4),
    kind: 'audit',
    audit: { event: 'torn', bytes, hash },
  })
  function followed(record: AuditRecord): string {
    const written = aTrail()
    written.write(aRecord(1))
    const before = written.lines.length
    written.write(record)
    written.write(aRecord(5))
    return text(written.lines.toSpliced(before, 0, torn))
  }

  test('is explained by the record that names it', async () => {
    expect(await verified(followed(audit(torn.length, hashOf(torn))))).toMatchObject({
      ok: true,
      notes: [{ kind: 'torn', line: 2 }],
    })
  })

  test('is a finding when it is not the one that was named', async () => {
    expect(told(await verified(followed(audit(torn.length, hashOf('other')))))).toEqual([['no_record', 2]])
    expect(told(await verified(followed(aRecord(4))))).toEqual([['no_record', 2]])
  })
})
