// /proc/<pid>/stat, whose second field is written by the process itself.
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { parseStat, readStat } from '../../../../proxy/identify/kernel/process-stat.ts'

const line = (name: string, parent = 41) =>
  `42 (${name}) S ${parent} 40 39 34816 38 4194560 2 0 0 0 0 0 0 0 20 0 1 0 7654321 2596864 222 18446744073709551615 1 1 0 0 0 0 0 0 0 0 0 0 17 1 0 0 0 0 0\n`

describe('parseStat', () => {
  test.each(['', '42', '42 (sh)', '42 (sh) S 1 2', '42 (sh) 1 1 1 1 1 1', line('sh').replace(' 41 ', ' x ')])(
    'makes nothing of %j',
    (text) => {
      expect(parseStat(text)).toBeUndefined()
    },
  )

  test('is not led astray by the name that a process gives itself', () => {
    for (const name of ['sh', 'a b', ') S 1 1 1', ')) R 1 (', '\n', '']) {
      expect(parseStat(line(name))).toEqual({ parent: 41, state: 'S', group: 40, foregroundGroup: 38, start: 7654321 })
    }
  })

  test('finds the parent whatever the name', () => {
    fc.assert(
      fc.property(fc.string({ maxLength: 15 }), fc.nat(), (name, parent) => {
        expect(parseStat(line(name, parent))?.parent).toBe(parent)
      }),
    )
  })

  test('never throws', () => {
    fc.assert(fc.property(fc.string(), (text) => void parseStat(text)))
  })
})

describe.skipIf(process.platform !== 'linux')('readStat (Linux only: it reads /proc)', () => {
  test('says nothing of a process that is gone', async () => {
    const child = spawn('true')
    await once(child, 'exit')
    expect(readStat(child.pid ?? 0)).toBeUndefined()
  })

  test('names the parent of a child', async () => {
    const child = spawn('cat', { stdio: ['pipe', 'ignore', 'ignore'] })
    await once(child, 'spawn')
    expect(readStat(child.pid ?? 0)?.parent).toBe(process.pid)
    child.stdin.end()
    await once(child, 'exit')
  })
})
