import { appendFileSync, mkdirSync, mkdtempSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest'
import { recordOf } from '../../proxy/record/line.ts'
import { lineOf } from '../../proxy/record/line-text.ts'
import { Refusal } from '../../proxy/refusal.ts'
import { anExchange, anOutcome } from '../proxy/record/exchanges.ts'
import { run, start } from './running.ts'

let folder: string
let file: string

const context = { policyVersion: 'p1', fingerprint: () => 'f', placementOf: () => 'bearer' }
const hour = 3_600_000

interface Parts {
  readonly id: string
  readonly host?: string
  readonly agent?: string
  readonly refusal?: Refusal
  readonly receivedAt?: number
}

function line({ id, refusal, ...parts }: Parts): string {
  const exchange = anExchange({
    id: `019b2c3d-4e5f-7a6b-8c7d-9e0f${id}`,
    receivedAt: Date.now(),
    ...parts,
    ...(refusal === undefined ? { grant: {} } : {}),
  })
  return `${lineOf(recordOf(anOutcome({ exchange, ...(refusal === undefined ? {} : { refusal }) }), context))}\n`
}

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'postern-logs-'))
  file = join(folder, 'records.jsonl')
  writeFileSync(
    file,
    line({ id: '00000001', receivedAt: Date.now() - 2 * hour }) +
      line({ id: '00000002', host: 'search.example', agent: 'spiffe://acme.example/writer' }) +
      line({ id: '00000003', refusal: new Refusal('no_rule') }) +
      line({ id: '00000004', refusal: new Refusal('upstream_timeout') }),
  )
})

afterEach(() => rmSync(folder, { recursive: true, force: true }))

const ids = (out: string) => [...out.matchAll(/ 0000000(\d) /g)].map(([, id]) => Number(id))

describe('a command line that is wrong', () => {
  test.each([
    [['--outcome', 'denied'], /Allowed choices are allowed, refused, failed/],
    [['--reason', 'because'], /no such reason/],
    [['--since', 'yesterday'], /Neither a duration/],
    [['--last', '0'], /Not a whole number/],
    [['--bogus'], /unknown option/],
    [['a', 'b'], /too many arguments/],
  ])('%j ends with 64 and says why', async (args, message) => {
    const { code, error, out } = await run(['logs', ...args], folder)
    expect([code, out]).toEqual([64, ''])
    expect(error).toMatch(message)
  })

  test('no file is named anywhere', async () => {
    const { code, error } = await run(['logs'], folder)
    expect(code).toBe(64)
    expect(error).toContain('Name the file of records')
  })

  test('a file that is missing ends with 66', async () => {
    expect(await run(['logs', 'missing'], folder)).toMatchObject({ code: 66, error: expect.stringContaining('ENOENT') })
    expect((await run(['logs', '-c', 'missing.yaml'], folder)).code).toBe(66)
  })

  test('records that go to standard output are to be piped in', async () => {
    writeFileSync(join(folder, 'postern.yaml'), 'version: 1\n')
    const { code, error } = await run(['logs'], folder)
    expect(code).toBe(64)
    expect(error).toContain('postern logs -')
  })
})

describe('where the records are', () => {
  test('the file given, before the variable, before the configuration', async () => {
    const other = join(folder, 'other.jsonl')
    writeFileSync(other, line({ id: '00000009' }))
    mkdirSync(join(folder, 'conf'))
    writeFileSync(join(folder, 'conf', 'p.yaml'), 'records:\n  to: ../records.jsonl\nrules: { this is: [broken\n')
    writeFileSync(join(folder, 'postern.yaml'), 'records: { to: ./records.jsonl }\n')
    expect(ids((await run(['logs', other], folder, { POSTERN_RECORDS: file })).out)).toEqual([9])
    expect(ids((await run(['logs'], folder, { POSTERN_RECORDS: other })).out)).toEqual([9])
    expect(ids((await run(['logs'], folder)).out)).toEqual([1, 2, 3, 4])
  })

  test('a path in the configuration counts from its folder', async () => {
    mkdirSync(join(folder, 'conf'))
    writeFileSync(join(folder, 'conf', 'p.yaml'), 'records:\n  to: ../records.jsonl\n')
    expect(ids((await run(['logs', '-c', 'conf/p.yaml'], folder)).out)).toEqual([1, 2, 3, 4])
    expect(ids((await run(['logs'], folder, { POSTERN_CONFIG: 'conf/p.yaml' })).out)).toEqual([1, 2, 3, 4])
  })

  test('standard input, with whatever else the container prints', async () => {
    const { out, error, code } = await run(['logs', '-'], folder, {}, `starting…\n${line({ id: '00000007' })}`)
    expect(ids(out)).toEqual([7])
    expect([error, code]).toEqual(['1 line is no record.\n', 0])
  })
})

describe('what is shown', () => {
  test.each([
    [[], [1, 2, 3, 4]],
    [['--agent', 'writer', '--host', '*.example'], [2]],
    [['--outcome', 'failed', '--reason', 'upstream_timeout', '--since', '2020-01-01T00:00Z'], [4]],
    [
      ['--since', '1h', '--last', '2'],
      [3, 4],
    ],
    [['--outcome', 'refused', '--host', 'search.example'], []],
  ])('%j', async (args, shown) => {
    const { out, code, error } = await run(['logs', file, ...args], folder)
    expect([ids(out), code, error]).toEqual([shown, 0, ''])
    if (shown.length > 0) expect(out).toMatch(/^TIME +ID +AGENT +REQUEST/)
  })

  test('nothing is coloured or cut where nobody looks', async () => {
    const { out } = await run(['logs', file], folder)
    expect(out).not.toContain('\x1b')
    expect(out).toContain('researcher-reads-contacts')
  })

  test('--json gives the records as they are', async () => {
    const { out } = await run(['logs', file, '--json', '--reason', 'no_rule'], folder)
    expect(JSON.parse(out)).toMatchObject({ v: 1, refusal: { reason: 'no_rule' } })
  })

  test('a torn last line is left out', async () => {
    appendFileSync(file, line({ id: '00000005' }).slice(0, 50))
    const { out, error } = await run(['logs', file], folder)
    expect([ids(out), error]).toEqual([[1, 2, 3, 4], '1 line is no record.\n'])
  })

  test('a reader that has enough ends it without a word', async () => {
    writeFileSync(file, line({ id: '00000001' }).repeat(20_000))
    const { child, ended } = start(['logs', file, '--json'], folder)
    child.stdout.once('data', () => child.stdout.destroy())
    expect(await ended).toMatchObject({ code: 0, error: '' })
  })
})

test('--follow shows the last ones, what comes, and what comes after a rotation', async () => {
  const { child, output, ended } = start(['logs', file, '-f', '-n', '2'], folder)
  await vi.waitFor(() => expect(ids(output.out)).toEqual([3, 4]), 10_000)
  appendFileSync(file, line({ id: '00000005' }))
  await vi.waitFor(() => expect(ids(output.out)).toEqual([3, 4, 5]), 10_000)
  renameSync(file, `${file}.1`)
  writeFileSync(file, line({ id: '00000006' }))
  await vi.waitFor(() => expect(ids(output.out)).toEqual([3, 4, 5, 6]), 10_000)
  child.kill('SIGINT')
  await ended
  expect(output.out.match(/TIME +ID/g)).toHaveLength(1)
})

test('the help has examples', async () => {
  const { out, code } = await run(['logs', '--help'], folder)
  expect(code).toBe(0)
  expect(out).toContain('postern logs -f --outcome refused')
})

test('events of OCSF, one a line, are for a SIEM', async () => {
  const { code, out } = await run(['logs', file, '--format', 'ocsf'], folder)
  const events = out
    .trimEnd()
    .split('\n')
    .map((each) => JSON.parse(each))
  expect(code).toBe(0)
  expect(events.length).toBeGreaterThan(1)
  for (const event of events)
    expect(event).toMatchObject({ metadata: { version: '1.8.0' }, class_uid: expect.any(Number) })
})
