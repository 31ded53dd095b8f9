import { appendFileSync, mkdtempSync, renameSync, rmSync, truncateSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Readable } from 'node:stream'
import fc from 'fast-check'
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest'
import { gapOf } from '../../../proxy/record/line.ts'
import { lineOf } from '../../../proxy/record/line-text.ts'
import { caughtUp, followFile, readFile, readStream } from '../../../proxy/record/reader.ts'

let folder: string
let path: string
let unreadable: string[]

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'postern-reader-'))
  path = join(folder, 'records')
  unreadable = []
})

afterEach(() => rmSync(folder, { recursive: true, force: true }))

const options = { unreadable: (line: string) => void unreadable.push(line) }
const line = (number: number) => lineOf({ ...gapOf(`é-${number}`, 0, number), listener: 'é'.repeat(number % 7) })
const lines = (from: number, to: number) =>
  Array.from({ length: to - from }, (_, index) => `${line(from + index)}\n`).join('')
const upTo = (count: number) => Array.from({ length: count }, (_, index) => index)

async function numbers(batches: AsyncIterable<{ lost?: number | undefined }[]>): Promise<(number | undefined)[]> {
  const all: (number | undefined)[] = []
  for await (const batch of batches) all.push(...batch.map(({ lost }) => lost))
  return all
}

describe('lines that are no record', () => {
  test('a torn last line, text, and JSON of another shape are left out and told', async () => {
    const foreign = ['not json', '{"v":2,"id":"x","time":"t","kind":"request"}', '[]', 'null', '{"v":1}']
    writeFileSync(path, `${line(0)}\n${foreign.join('\n')}\n${line(1)}\n\n${line(2).slice(0, 40)}`)
    expect(await numbers(readFile(path, options))).toEqual([0, 1])
    expect(unreadable).toEqual([...foreign, line(2).slice(0, 40)])
  })

  test('a whole last line without its end counts', async () => {
    writeFileSync(path, `${line(0)}\n${line(1)}`)
    expect(await numbers(readFile(path, options))).toEqual([0, 1])
  })

  test('any bytes at all end without an error', async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(fc.uint8Array({ maxLength: 200 })), async (chunks) => {
        await numbers(readStream(Readable.from(chunks.map((chunk) => Buffer.from(chunk))), options))
      }),
    )
  })

  test('a file that is missing is an error', async () => {
    await expect(numbers(readFile(path, options))).rejects.toThrow('ENOENT')
  })
})

test('records come whole, wherever the bytes are cut', async () => {
  const bytes = Buffer.from(lines(0, 20))
  await fc.assert(
    fc.asyncProperty(fc.array(fc.integer({ min: 1, max: 400 }), { minLength: 1 }), async (sizes) => {
      const chunks: Buffer[] = []
      for (let at = 0, next = 0; at < bytes.length; next += 1) {
        const size = sizes[next % sizes.length] ?? 1
        chunks.push(bytes.subarray(at, at + size))
        at += size
      }
      expect(await numbers(readStream(Readable.from(chunks), options))).toEqual(upTo(20))
    }),
    { numRuns: 30 },
  )
})

describe('following', () => {
  function follow() {
    const stop = new AbortController()
    const seen: (number | undefined)[] = []
    const state = { caughtUp: 0 }
    const done = (async () => {
      for await (const batch of followFile(path, { ...options, signal: stop.signal, interval: 5 })) {
        if (batch === caughtUp) state.caughtUp += 1
        else seen.push(...batch.map(({ lost }) => lost))
      }
    })()
    const end = async () => {
      stop.abort()
      await done
    }
    return { seen, state, end }
  }

  test('shows what is there, says so, and then what comes', async () => {
    writeFileSync(path, lines(0, 3))
    const { seen, state, end } = follow()
    await vi.waitFor(() => expect(state.caughtUp).toBeGreaterThan(0))
    expect(seen).toEqual([0, 1, 2])
    appendFileSync(path, line(3).slice(0, 30))
    appendFileSync(path, `${line(3).slice(30)}\n`)
    await vi.waitFor(() => expect(seen).toEqual([0, 1, 2, 3]))
    await end()
  })

  test('goes over to the new file after a rotation, with nothing lost or told twice', async () => {
    writeFileSync(path, lines(0, 3))
    const { seen, state, end } = follow()
    await vi.waitFor(() => expect(state.caughtUp).toBeGreaterThan(0))
    renameSync(path, `${path}.1`)
    appendFileSync(`${path}.1`, lines(3, 5))
    writeFileSync(path, lines(5, 7))
    await vi.waitFor(() => expect(seen).toEqual(upTo(7)))
    await end()
  })

  test('begins anew in a file that was emptied', async () => {
    writeFileSync(path, lines(0, 3))
    const { seen, state, end } = follow()
    await vi.waitFor(() => expect(state.caughtUp).toBeGreaterThan(0))
    truncateSync(path)
    const emptied = state.caughtUp
    await vi.waitFor(() => expect(state.caughtUp).toBeGreaterThan(emptied + 1))
    appendFileSync(path, lines(3, 4))
    await vi.waitFor(() => expect(seen).toEqual(upTo(4)))
    await end()
  })
})
