// A process dies with secrets in its memory, in every way that it can: nothing that it leaves behind holds one.
import { spawn, spawnSync } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { closeSync, openSync, readFileSync, readSync } from 'node:fs'
import { readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { nativeCalls } from '../../proxy/identify/kernel/native.ts'
import { canariesIn } from '../support/canaries.ts'
import { Postern, type Workplace, workplace } from '../support/postern.ts'

const isRoot = process.getuid?.() === 0
/** Root may look everywhere, so as root all of it runs as somebody else. */
const user = isRoot ? { uid: 65534, gid: 65534 } : undefined
const program = fileURLToPath(new URL('../../cli/postern.js', import.meta.url))
const secretType = new URL('../../proxy/secret.ts', import.meta.url).href

const canaries = { credential: `canary-crash-${randomBytes(12).toString('hex')}` }

const configuration = `version: 1
trustDomain: acme.example
listen: [{ name: agents, address: "127.0.0.1:0", accept: http-proxy, callers: [kernel], uids: { "0": spiffe://acme.example/agent } }]
destinations: { api: { hosts: [api.acme.example] } }
credentials: { key: { kind: env, variable: CANARY, for: [api] } }
rules: [{ name: all, allow: { agents: [spiffe://acme.example/agent], to: api }, use: key, inject: bearer }]
`

/** Loaded before the program: what goes wrong inside, when it is told to. */
const bomb = `
const { Secret } = await import(${JSON.stringify(secretType)})
const secret = new Secret('key', process.env.CANARY)
const ways = {
  throws: () => {
    Promise.reject(Object.assign(new Error('a mistake'), { secret }))
    setImmediate(() => { throw Object.assign(new Error('a mistake'), { secret }) })
  },
  fills: () => { for (const kept = [];;) kept.push(new Array(1e6).fill(kept.length + 0.5)) },
  aborts: () => process.abort(),
}
if (process.env.WAY in ways) process.on('SIGUSR2', () => setImmediate(ways[process.env.WAY]))
`

/** As much core as the kernel gives: what is not written is held back by the process, not by a limit. */
const unlimited = ['-c', 'ulimit -c unlimited 2>/dev/null; exec "$0" "$@"']

let place: Workplace
const started: Postern[] = []
beforeEach(async () => {
  place = await workplace({ 'postern.yaml': configuration, 'bomb.mjs': bomb }, user)
})
afterEach(async () => {
  for (const { child, ended } of started.splice(0)) {
    if (child.exitCode === null && child.signalCode === null) child.kill('SIGKILL')
    await ended
  }
  await place[Symbol.asyncDispose]()
})

async function start(way = ''): Promise<Postern> {
  const { PATH = '' } = process.env
  const node = [process.execPath, '--import=./bomb.mjs', '--max-old-space-size=80', program, 'run']
  const child = spawn('sh', [...unlimited, ...node], {
    ...user,
    cwd: place.path,
    env: { PATH, HOME: place.path, TMPDIR: place.path, CANARY: canaries.credential, WAY: way },
  })
  const run = new Postern(child)
  started.push(run)
  await run.told('ready')
  // No inspector is opened by it.
  child.kill('SIGUSR1')
  return run
}

/** Everything that a process wrote, to its streams or beside them. */
async function left(run: Postern): Promise<{ readonly text: string; readonly files: readonly string[] }> {
  const files = (await readdir(place.path)).sort()
  const texts = await Promise.all(files.map((name) => readFile(join(place.path, name), 'latin1')))
  return { text: [run.out, run.errors, ...texts].join('\n'), files }
}

/** Why no process here could write a core file; undefined where an unprotected one does. */
async function whyNoCore(): Promise<string | undefined> {
  await using bare = await workplace({}, user)
  const env = { PATH: process.env.PATH, CANARY: canaries.credential }
  const script = 'ulimit -c unlimited 2>/dev/null; kill -SEGV $$'
  spawnSync('sh', ['-c', script], { ...user, cwd: bare.path, env })
  for (const name of await readdir(bare.path)) {
    const core = await readFile(join(bare.path, name), 'latin1')
    if (core.includes(canaries.credential)) return undefined
  }
  return 'no process here leaves a core file in its folder (ulimit -c, kernel.core_pattern)'
}

const noCore = await whyNoCore()
const undumpable = nativeCalls() !== undefined
if (noCore !== undefined) console.log(`That there is no core file shows nothing: ${noCore}.`)

describe.skipIf(process.platform === 'win32' || !undumpable)('a process that dies with a secret in its memory', () => {
  it.each([
    ['an error that nobody caught, after a failure that nobody expected', 'throws', 'SIGUSR2', 1],
    ['no memory left', 'fills', 'SIGUSR2', 'SIGABRT'],
    ['an abort of its own', 'aborts', 'SIGUSR2', 'SIGABRT'],
    ['SIGSEGV', '', 'SIGSEGV', 'SIGSEGV'],
  ] as const)('by %s leaves no trace of it, nor a core file', async (_what, way, signal, end) => {
    const run = await start(way)
    run.child.kill(signal)
    expect(await run.ended).toBe(end)
    await expectNoTrace(run)
    if (way === 'throws') expect(run.errors.match(/a mistake/g)?.length).toBeGreaterThan(2)
    if (way === 'fills') expect(run.errors).toContain('heap out of memory')
  })

  const looked = isRoot ? 'root finds it there before, and nobody else' : 'that it was there takes root to see'
  it(`by SIGUSR2 leaves no trace of it, nor a heap snapshot; ${looked}`, async () => {
    const run = await start()
    const { pid = 0 } = run.child
    if (isRoot) {
      expect(memoryOf(pid).some((part) => part.includes(canaries.credential))).toBe(true)
      const other = spawnSync('head', ['-c1', `/proc/${pid}/mem`], { ...user, encoding: 'utf8' })
      expect(other.stderr).toContain('Permission denied')
      expect(readFileSync(`/proc/${pid}/environ`, 'latin1')).not.toContain(canaries.credential)
    }
    run.child.kill('SIGUSR2')
    expect(await run.ended).toBe('SIGUSR2')
    await expectNoTrace(run)
  })
})

async function expectNoTrace(run: Postern): Promise<void> {
  const { text, files } = await left(run)
  expect(files).toEqual(['bomb.mjs', 'postern.yaml'])
  expect(canariesIn(text, canaries)).toEqual([])
  expect(run.errors).not.toContain('Debugger')
}

/** What is writable of the memory of a process, piece by piece. */
function memoryOf(pid: number): Buffer[] {
  const memory = openSync(`/proc/${pid}/mem`, 'r')
  try {
    const ranges = readFileSync(`/proc/${pid}/maps`, 'utf8').matchAll(/^([0-9a-f]+)-([0-9a-f]+) rw/gm)
    return [...ranges].flatMap(([, from = '', to = '']) => {
      const length = Number.parseInt(to, 16) - Number.parseInt(from, 16)
      // Reserved rather than used.
      if (length > 256 * 1_048_576) return []
      const bytes = Buffer.alloc(length)
      try {
        return [bytes.subarray(0, readSync(memory, bytes, 0, length, BigInt(`0x${from}`)))]
      } catch {
        return []
      }
    })
  } finally {
    closeSync(memory)
  }
}
