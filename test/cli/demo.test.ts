// The demo as a newcomer runs it: it must tell the truth, end by itself, and leave nothing behind.
import { type ChildProcessWithoutNullStreams, spawn } from 'node:child_process'
import { once } from 'node:events'
import { cp, mkdir, mkdtemp, readdir, readFile, rm, symlink } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import { fileURLToPath } from 'node:url'
import { afterEach, beforeEach, expect, test, vi } from 'vitest'

const root = fileURLToPath(new URL('../../', import.meta.url))

let folder: string
const children: ChildProcessWithoutNullStreams[] = []

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'demo-test-'))
})

afterEach(async () => {
  for (const child of children.splice(0)) {
    if (child.exitCode !== null || child.signalCode !== null) continue
    child.kill('SIGTERM')
    await once(child, 'exit')
  }
  await rm(folder, { recursive: true, force: true })
})

function demo(args: readonly string[] = [], from = root): ChildProcessWithoutNullStreams {
  const program = join(from, 'cli/postern.js')
  const environment = { ...process.env, TMPDIR: folder }
  const child = spawn(process.execPath, [program, 'demo', ...args], { env: environment })
  children.push(child)
  return child
}

async function end(child: ChildProcessWithoutNullStreams) {
  const [output, complaint] = await Promise.all([text(child.stdout), text(child.stderr), once(child, 'close')])
  return { output, complaint, code: child.exitCode }
}

/** Waits until the demo has printed that. */
async function said(child: ChildProcessWithoutNullStreams, words: string): Promise<string> {
  let output = ''
  child.stdout.on('data', (chunk: Buffer) => {
    output += chunk.toString()
  })
  await vi.waitFor(() => expect(output).toContain(words), { timeout: 28_000, interval: 50 })
  return output
}

test('tells its story in under 30 s, in plain text of at most 100 columns into a pipe, finds every claim true, and leaves nothing behind', {
  timeout: 40_000,
}, async () => {
  const began = performance.now()
  const { output, complaint, code } = await end(demo())
  expect({
    code,
    complaint,
    failed: output.split('\n').filter((line) => line.startsWith('  ✗ ')),
  }).toEqual({
    code: 0,
    complaint: '',
    failed: [],
  })
  expect(performance.now() - began).toBeLessThan(30_000)
  for (const reason of ['denied_by_rule', 'no_rule', 'blocked_address', 'chain_revoked'])
    expect(output).toContain(reason)
  expect(output).toContain('scope contacts.read, act researcher ← planner')
  expect(output).toContain('hop 2 (the researcher) lacks crm.contacts.write')
  expect(output).toContain('may crm.contacts.read, not crm.contacts.write')
  expect(output).toMatch(/saw the end of it \d+ ms after the order/)
  expect(output).toMatch(/is found: ALTERED forged\.jsonl line \d+\n/)
  expect(output).toMatch(/\d+ checks in .* all hold\./)
  expect(output).not.toContain('\u001b')
  expect(output.split('\n').filter((line) => line.length > 100)).toEqual([])
  expect(await readdir(folder)).toEqual([])
})

test('kept running, it takes requests of this user until it is interrupted', { timeout: 60_000 }, async () => {
  const child = demo(['--keep'])
  const output = await said(child, 'Ctrl-C ends it')
  const file = /\. (\S+agent\.env)/.exec(output)?.[1] ?? ''
  const variables = Object.fromEntries(
    [...(await readFile(file, 'utf8')).matchAll(/^export (\w+)='(.*)'$/gm)].map(([, name = '', value = '']) => [
      name,
      value,
    ]),
  )
  const agent = spawn(
    process.execPath,
    ['-e', 'fetch(process.env.CRM_URL + "/v1/contacts").then(async (a) => console.log(a.status, await a.text()))'],
    { env: { PATH: process.env.PATH, ...variables } },
  )
  children.push(agent)
  expect((await end(agent)).output).toMatch(/^200 .*Ada Lovelace/)
  child.kill('SIGINT')
  await once(child, 'exit')
  expect(child.exitCode).toBe(0)
  expect(await readdir(folder)).toEqual([])
})

test.each([
  ['an agent runs', '2. It asks'],
  ['the service and two agents run', '11. Both follow'],
])('interrupted while %s, it ends at once and leaves nothing behind', { timeout: 40_000 }, async (_, words) => {
  const child = demo()
  await said(child, words)
  // As npm does, which passes on what the terminal has sent already.
  for (const signal of ['SIGINT', 'SIGINT'] as const) child.kill(signal)
  await once(child, 'exit')
  expect(child.exitCode).toBe(130)
  expect(await readdir(folder)).toEqual([])
})

test('without the development dependencies it says which are missing and ends with 69', async () => {
  const installed = join(folder, 'installed')
  for (const part of ['cli', 'proxy', 'policy', 'certs', 'package.json'])
    await cp(join(root, part), join(installed, part), { recursive: true })
  await mkdir(join(installed, 'node_modules/@marcbachmann'), { recursive: true })
  const { dependencies } = JSON.parse(await readFile(join(root, 'package.json'), 'utf8'))
  for (const name of Object.keys(dependencies))
    await symlink(join(root, 'node_modules', name), join(installed, 'node_modules', name)).catch(() => {})
  const { complaint, code } = await end(demo([], installed))
  expect(code).toBe(69)
  expect(complaint).toContain('The demo needs oidc-provider and openai')
})
