// How long a line waits, and how long a write may: a file on the disk, and a pipe that nobody empties.
import { execFileSync } from 'node:child_process'
import { closeSync, constants, mkdtempSync, openSync, readFileSync, readSync, rmSync, statSync, watch } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { fileTarget } from '../../../proxy/record/file-target.ts'
import { LineWriter, writerLimits } from '../../../proxy/record/line-writer.ts'

let folder: string
let writer: LineWriter | undefined
let told: string[]

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'postern-lines-'))
  told = []
})
afterEach(async () => {
  await writer?.close()
  writer = undefined
  rmSync(folder, { recursive: true, force: true })
})

const events = {
  failed: (error: Error) => void told.push(`failed: ${error.message}`),
  recovered(lost: number): undefined {
    told.push(`recovered: ${lost}`)
  },
  dropped: () => void told.push('dropped'),
}

describe('a line', () => {
  it('waits for others for so long, and is written with them then', async () => {
    const path = join(folder, 'lines')
    writer = await LineWriter.open(fileTarget(path), events)
    const sizes = new Set<number>()
    const watched = watch(path, () => sizes.add(statSync(path).size))
    try {
      const began = performance.now()
      writer.push('one')
      // Half of the time later another comes; it goes with the first, and begins no time of its own.
      await new Promise((resolve) => setTimeout(resolve, writerLimits.linger / 2))
      writer.push('two')
      await vi.waitFor(() => expect(readFileSync(path, 'utf8')).toBe('one\ntwo\n'), { interval: 2 })
      // Timers count whole milliseconds.
      expect(performance.now() - began).toBeGreaterThan(writerLimits.linger - 2)
      await vi.waitFor(() => expect([...sizes]).toEqual([8]))
    } finally {
      watched.close()
    }
  })

  it('does not wait when as much as goes at once is there', async () => {
    const path = join(folder, 'lines')
    writer = await LineWriter.open(fileTarget(path), events, { ...writerLimits, linger: 3_600_000 })
    writer.push('x'.repeat(writerLimits.batch))
    await vi.waitFor(() => expect(statSync(path).size).toBe(writerLimits.batch + 1))
  })
})

describe('a write', () => {
  it('that does not come back in time counts as trouble until it does', async () => {
    const path = join(folder, 'pipe')
    execFileSync('mkfifo', ['-m', '600', path])
    const stall = 100
    writer = await LineWriter.open(fileTarget(path), events, { ...writerLimits, stall })
    const sent = `${'x'.repeat(200_000)}\n`
    // More than a pipe holds, and nobody reads.
    const began = performance.now()
    await expect(writer.commit(sent.slice(0, -1))).rejects.toThrow(`a write has not come back for ${stall} ms`)
    expect(performance.now() - began).toBeGreaterThan(stall - 2)
    expect(writer.healthy).toBe(false)
    await expect(writer.commit('afterwards')).rejects.toThrow('has not come back')
    expect(told).toEqual([`failed: a write has not come back for ${stall} ms`])

    const reader = openSync(path, constants.O_RDONLY | constants.O_NONBLOCK)
    try {
      let got = ''
      await vi.waitFor(
        () => {
          got += take(reader)
          expect(got.length).toBeGreaterThanOrEqual(sent.length)
        },
        { interval: 2 },
      )
      await vi.waitFor(() => expect(writer?.healthy).toBe(true))
      expect(got === sent).toBe(true)
      expect(told.at(-1)).toBe('recovered: 0')
    } finally {
      closeSync(reader)
    }
  })
})

/** What a pipe holds now. */
function take(pipe: number): string {
  const bytes = Buffer.alloc(65_536)
  try {
    return bytes.toString('latin1', 0, readSync(pipe, bytes))
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EAGAIN') return ''
    throw error
  }
}
