import { type ChildProcessWithoutNullStreams, spawn } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'
import { afterEach, beforeEach, expect, test, vi } from 'vitest'

let child: ChildProcessWithoutNullStreams
let said: string

beforeEach(() => {
  said = ''
  const script = fileURLToPath(new URL('./stdout-child.ts', import.meta.url))
  child = spawn(process.execPath, ['--disable-warning=ExperimentalWarning', script])
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    said += text
  })
})

afterEach(async () => {
  if (child.exitCode !== null || child.signalCode !== null) return
  const gone = once(child, 'exit')
  child.kill('SIGKILL')
  await gone
})

const numbers = (text: string) =>
  text
    .split('\n')
    .slice(0, -1)
    .map((line) => JSON.parse(line).lost)
const upTo = (count: number) => Array.from({ length: count }, (_, index) => index)

test('every record is a line on standard output, and the last ones are written before the end', async () => {
  const output = child.stdout.setEncoding('utf8').toArray()
  child.stdin.end('write 5000\n')
  expect(numbers((await output).join(''))).toEqual(upTo(5_000))
})

test('nobody reads for a while: that is told, and every line is whole once somebody does', async () => {
  child.stdin.write('write 20000\nflush\n')
  await vi.waitFor(() => expect(said).toContain('not flushed: a write has not come back for 300 ms'), 10_000)
  expect(said).toMatch(/^failed: a write has not come back/)
  const output = child.stdout.setEncoding('utf8').toArray()
  await vi.waitFor(() => expect(said).toContain('recovered: 0'), 10_000)
  child.stdin.end('write 1\n')
  expect(numbers((await output).join(''))).toEqual(upTo(20_001))
})

test('whoever read is gone: that is told, and the process lives on', async () => {
  child.stdout.destroy()
  child.stdin.write('write 1\nflush\n')
  await vi.waitFor(() => expect(said).toContain('not flushed: EPIPE'), 10_000)
  child.stdin.write('write 1\nflush\n')
  await vi.waitFor(() => expect(said.match(/not flushed/g)).toHaveLength(2), 10_000)
  expect(child.exitCode).toBeNull()
})
