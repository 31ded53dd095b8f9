// A command under us behaves as if it had been started without us. Each case runs a real process that runs another.
import { type ChildProcess, spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { chmodSync, mkdtempSync, readdirSync, readFileSync, readlinkSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest'
import { nativeCalls } from '../../../proxy/identify/kernel/native.ts'
import { readStat } from '../../../proxy/identify/kernel/process-stat.ts'

const driver = ['--disable-warning=ExperimentalWarning', fileURLToPath(new URL('./driver.ts', import.meta.url))]

let folder: string
const children: ChildProcess[] = []
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'command-'))
})
afterEach(() => {
  for (const child of children.splice(0)) child.kill('SIGKILL')
  rmSync(folder, { recursive: true })
})

function run(argv: readonly string[], input = '') {
  return spawnSync(process.execPath, [...driver, ...argv], { input, encoding: 'utf8' })
}

/** Starts a command that prints a line when it is ready. */
async function start(argv: readonly string[]): Promise<{ child: ChildProcess; output: () => string }> {
  const child = spawn(process.execPath, [...driver, ...argv], { stdio: ['pipe', 'pipe', 'inherit'] })
  children.push(child)
  let output = ''
  child.stdout.on('data', (chunk) => {
    output += chunk
  })
  await vi.waitFor(() => expect(output).toContain('ready'), { timeout: 10_000 })
  return { child, output: () => output }
}

async function codeOf(child: ChildProcess): Promise<number | string | null> {
  if (child.exitCode === null && child.signalCode === null) await once(child, 'exit')
  return child.exitCode ?? child.signalCode
}

/** Inodes of the TCP sockets on which a process listens. */
function listeningSockets(pid: number): string[] {
  const folder = `/proc/${pid}/fd`
  const links = readdirSync(folder).map((name) => readlinkSync(join(folder, name)))
  const listening = readFileSync('/proc/net/tcp', 'utf8')
    .split('\n')
    .map((row) => row.trim().split(/ +/))
    .filter((fields) => fields[3] === '0A')
    .map((fields) => fields[9] ?? '')
  return listening.filter((inode) => links.includes(`socket:[${inode}]`))
}

describe('the exit code', () => {
  test('is 127 for a program that does not exist, and says so', () => {
    const { status, stderr } = run(['/no/such/program'])
    expect(status).toBe(127)
    expect(stderr).toBe('postern: /no/such/program: no such program\n')
  })

  test('is 126 for a file that cannot be run', () => {
    const file = join(folder, 'plain')
    writeFileSync(file, 'text')
    chmodSync(file, 0o644)
    const { status, stderr } = run([file])
    expect(status).toBe(126)
    expect(stderr).toMatch(/plain: cannot be run \(.*EACCES/)
  })

  test.each([0, 1, 42, 255])('%i passes', (code) => {
    expect(run(['sh', '-c', `exit ${code}`]).status).toBe(code)
  })

  test.each([
    ['TERM', 143],
    ['KILL', 137],
    ['INT', 130],
    ['SEGV', 139],
  ])('of a command ended by SIG%s is %i', (signal, code) => {
    expect(run(['sh', '-c', `kill -${signal} $$`]).status).toBe(code)
  })
})

describe('the streams', () => {
  test('pass both ways, byte for byte', () => {
    const input = `${'x'.repeat(200_000)}\n\0end`
    const { stdout, stderr } = run(['sh', '-c', 'cat; echo problem >&2'], input)
    expect(stdout).toBe(input)
    expect(stderr).toBe('problem\n')
  })
})

describe('a signal sent to us', () => {
  /** Says each signal that it gets; ends with 7 when its input does. */
  const listener = `
    for (const name of process.argv.slice(1)) process.on(name, () => console.log('got', name))
    process.stdin.resume().on('end', () => process.exit(7))
    console.log('ready')`

  const signals = ['SIGINT', 'SIGTERM', 'SIGHUP', 'SIGQUIT', 'SIGUSR1', 'SIGUSR2', 'SIGWINCH'] as const
  test.each(signals)('%s reaches the command, once', async (signal) => {
    const { child, output } = await start([process.execPath, '-e', listener, ...signals])
    child.kill(signal)
    await vi.waitFor(() => expect(output()).toContain('got'), { timeout: 10_000 })
    child.stdin?.end()
    expect(await codeOf(child)).toBe(7)
    expect(output()).toBe(`ready\ngot ${signal}\n`)
  })

  test('that the command dies of is in the exit code', async () => {
    const { child } = await start(['sh', '-c', 'echo ready; exec sleep 60'])
    child.kill('SIGTERM')
    expect(await codeOf(child)).toBe(143)
  })

  test.skipIf(process.platform !== 'linux')('SIGUSR1 does not open Node’s inspector (seen in /proc)', async () => {
    const { child, output } = await start([process.execPath, '-e', listener, 'SIGUSR1'])
    child.kill('SIGUSR1')
    await vi.waitFor(() => expect(output()).toContain('got SIGUSR1'), { timeout: 10_000 })
    expect(listeningSockets(child.pid ?? 0)).toEqual([])
    child.stdin?.end()
    expect(await codeOf(child)).toBe(7)
  })
})

/** Whether a process of our group can be stopped as by a terminal: the kernel does not stop an orphaned group (POSIX.1-2017, §11.1.4). */
async function canBeStopped(): Promise<boolean> {
  const probe = spawn('sleep', ['30'], { stdio: 'ignore' })
  await once(probe, 'spawn')
  probe.kill('SIGTSTP')
  try {
    await vi.waitFor(() => expect(readStat(probe.pid ?? 0)?.state).toBe('T'), { timeout: 1_000 })
    return true
  } catch {
    return false
  } finally {
    probe.kill('SIGKILL')
  }
}

describe.skipIf(!(await canBeStopped()))(
  'a stop (skipped in an orphaned process group, which the kernel never stops)',
  () => {
    test('SIGTSTP stops both, SIGCONT lets both go on', async () => {
      const { child, output } = await start(['bash', '-c', 'echo ready $$; read line; echo $line'])
      const command = Number(/ready (\d+)/.exec(output())?.[1])
      child.kill('SIGTSTP')
      await vi.waitFor(() => expect([readStat(child.pid ?? 0)?.state, readStat(command)?.state]).toEqual(['T', 'T']), {
        timeout: 10_000,
      })
      child.kill('SIGCONT')
      child.stdin?.write('on\n')
      expect(await codeOf(child)).toBe(0)
      expect(output()).toContain('\non\n')
    })
  },
)

const noScript = spawnSync('script', ['--version']).status !== 0
describe.skipIf(noScript)('at a terminal (needs script(1))', () => {
  test('Ctrl-C reaches the command once, and does not end us before it', async () => {
    const log = join(folder, 'log')
    const command = `trap 'echo interrupt >> ${log}' INT; echo ready; while :; do read line && exit 5; done`
    const quoted = [process.execPath, ...driver, 'bash', '-c', command].map(
      (part) => `'${part.replaceAll("'", `'\\''`)}'`,
    )
    // Without exec, a shell that stays in between would get the Ctrl-C too, and end by it.
    const child = spawn('script', ['-qec', `exec ${quoted.join(' ')}`, '/dev/null'], {
      stdio: ['pipe', 'pipe', 'inherit'],
    })
    children.push(child)
    let output = ''
    child.stdout.on('data', (chunk) => {
      output += chunk
    })
    await vi.waitFor(() => expect(output).toContain('ready'), { timeout: 10_000 })
    child.stdin.write('\x03')
    await vi.waitFor(() => expect(readFileSync(log, 'utf8')).toBe('interrupt\n'), { timeout: 10_000 })
    child.stdin.write('\n')
    expect(await codeOf(child)).toBe(5)
    expect(readFileSync(log, 'utf8')).toBe('interrupt\n')
  })
})

const subreaper = nativeCalls()?.becomeSubreaper() === true
describe.skipIf(!subreaper)('orphans (need PR_SET_CHILD_SUBREAPER)', () => {
  test('become our children, and leave no zombie when they end', async () => {
    const { child, output } = await start(['bash', '-c', '(sleep 60 & echo orphan $!); echo ready; read line'])
    const orphan = Number(/orphan (\d+)/.exec(output())?.[1])
    await vi.waitFor(() => expect(readStat(orphan)?.parent).toBe(child.pid), { timeout: 10_000 })
    process.kill(orphan, 'SIGKILL')
    await vi.waitFor(() => expect(readStat(orphan)).toBeUndefined(), { timeout: 10_000 })
    child.stdin?.write('\n')
    expect(await codeOf(child)).toBe(0)
  })
})
