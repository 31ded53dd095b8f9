import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { intentOf, recordOf } from '../../proxy/record/line.ts'
import { lineOf } from '../../proxy/record/line-text.ts'
import { Refusal } from '../../proxy/refusal.ts'
import { anAuthorized, anExchange, anOutcome } from '../proxy/record/exchanges.ts'
import { run } from './running.ts'

let folder: string
let file: string

const context = { policyVersion: 'p1', fingerprint: () => 'f', placementOf: () => 'bearer' }
const first = '019b2c3d-4e5f-7a6b-8c7d-9e0f00000001'
const second = '019b2c3d-4e5f-7a6b-8c7d-9e0f00000002'
const third = '019b2c3d-ffff-7a6b-8c7d-9e0f00000003'

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'postern-why-'))
  file = join(folder, 'records.jsonl')
  const refusal = new Refusal('no_rule', { detail: 'paths: expected /v1/contacts/**, found /admin' })
  const records = [
    intentOf(anAuthorized({ id: first, grant: {} }), context),
    recordOf(anOutcome({ exchange: anExchange({ id: first, grant: {} }) }), context),
    recordOf(anOutcome({ exchange: anExchange({ id: second, path: '/admin' }), refusal }), context),
    intentOf(anAuthorized({ id: third, grant: {} }), context),
  ]
  writeFileSync(file, records.map((record) => `${lineOf(record)}\n`).join(''))
})

afterEach(() => rmSync(folder, { recursive: true, force: true }))

describe('an id that names no one record', () => {
  test('none has it: 65', async () => {
    const { code, error, out } = await run(['why', 'deadbeef', '-r', file], folder)
    expect([code, out]).toEqual([65, ''])
    expect(error).toContain(`No record in ${file} has the id deadbeef.`)
  })

  test('two have it: 65, and they are listed', async () => {
    const { code, error } = await run(['why', '019b2c3d-4e5f', '-r', file], folder)
    expect(code).toBe(65)
    expect(error).toContain('2 records have an id with 019b2c3d-4e5f; write more of it:')
    expect(error).toContain(first)
    expect(error).toContain(second)
  })

  test.each(['abc', '../../etc'])('%s cannot be one: 64', async (id) => {
    expect((await run(['why', id, '-r', file], folder)).code).toBe(64)
  })

  test('a file that is missing: 66', async () => {
    expect((await run(['why', second, '-r', 'missing'], folder)).code).toBe(66)
  })

  test('no id at all: 64', async () => {
    expect((await run(['why'], folder)).code).toBe(64)
  })
})

test.each([second.toUpperCase(), '00000002'])('%s tells the story of a refusal', async (id) => {
  const { code, out, error } = await run(['why', id], folder, { POSTERN_RECORDS: file })
  expect([code, error]).toEqual([0, ''])
  expect(out).toContain('was refused with status 403: no_rule. No rule allows this request.')
  expect(out).toContain('No rule allowed it (policy p1). Paths: expected /v1/contacts/**, found /admin.')
  expect(out).toContain('Next       Ask whoever runs this agent')
  expect(out).not.toContain('\x1b')
})

test('a beginning that one record alone has is enough', async () => {
  expect((await run(['why', '019b2c3d-ff', '-r', file], folder)).out).toContain('no outcome has been written')
})

test('where there is an intent and an outcome, the outcome is told', async () => {
  expect((await run(['why', first, '-r', file], folder)).out).toContain('was allowed with status 200.')
})

test('the configuration names the file, and --json gives the record', async () => {
  writeFileSync(join(folder, 'postern.yaml'), 'records: { to: ./records.jsonl }\n')
  expect(JSON.parse((await run(['why', second, '--json'], folder)).out)).toMatchObject({ id: second, kind: 'request' })
})
