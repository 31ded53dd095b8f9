// The record of a call is found once it is written, whole, and only from where the looking began.
import { appendFile, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { RecordTail } from '../../../cli/doctor/record-tail.ts'

const line = (id: string, kind: string, note = '') =>
  `${JSON.stringify({ v: 1, time: '2026-01-01T00:00:00.000Z', id, kind, note })}\n`

describe('the tail of the records', () => {
  let folder = ''
  let path = ''
  let tail: RecordTail | undefined
  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), 'postern-tail-'))
    path = join(folder, 'records.jsonl')
    await writeFile(path, line('before', 'request'))
  })
  afterEach(async () => {
    await tail?.close()
    tail = undefined
    await rm(folder, { recursive: true })
  })

  it('has what is written from now on, and is not taken in by the intent or a torn line', async () => {
    tail = await RecordTail.open(path, false)
    const finding = tail.find('now', AbortSignal.timeout(10_000))
    const whole = line('now', 'request', `naïve ${'x'.repeat(70_000)}`)
    await appendFile(path, line('now', 'intent') + whole.slice(0, 40))
    await appendFile(path, whole.slice(40))
    expect(await finding).toMatchObject({ id: 'now', kind: 'request', note: expect.stringMatching(/^naïve x+$/) })
  })

  it('has what was there before where that is asked for', async () => {
    tail = await RecordTail.open(path, true)
    expect(await tail.find('before', AbortSignal.timeout(10_000))).toMatchObject({ id: 'before' })
  })

  it('gives up when its time is over', async () => {
    tail = await RecordTail.open(path, false)
    expect(await tail.find('before', AbortSignal.timeout(30))).toBeUndefined()
  })
})
