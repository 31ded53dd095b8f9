// What is told of a process: of this one all of it, of one that is gone nothing.
import { describe, expect, it } from 'vitest'
import { processFacts } from '../../../../proxy/identify/kernel/process.ts'
import { readStat } from '../../../../proxy/identify/kernel/process-stat.ts'
import { endProgram, startProgram } from './gate.ts'

describe.skipIf(process.platform !== 'linux')('processFacts (Linux only: it reads /proc)', () => {
  it('tells of this process', () => {
    expect(processFacts(process.pid)).toMatchObject({
      start: readStat(process.pid)?.start,
      executable: process.execPath,
      sameFiles: true,
    })
  })

  it('tells two processes of one program apart by when they began', async () => {
    const child = startProgram('process.stdin.resume()', [])
    const facts = processFacts(child.pid ?? 0)
    expect(facts?.start).toBeGreaterThanOrEqual(processFacts(process.pid)?.start ?? 0)
    expect(facts?.sameFiles).toBe(true)
    await endProgram(child)
  })

  it('tells nothing of one that is gone, or never was', async () => {
    const child = startProgram('', [])
    await endProgram(child)
    expect(processFacts(child.pid ?? 0)).toBeUndefined()
    expect(processFacts(2 ** 30)).toBeUndefined()
  })
})
