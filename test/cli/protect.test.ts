// Whether a process of the same user can look into one that has protected itself. Both run as an ordinary user.
import { type ChildProcess, spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import { afterEach, describe, expect, test } from 'vitest'
import { native } from '../../proxy/identify/kernel/native.ts'

const loaded = native()
const why = 'missing' in loaded ? loaded.missing : undefined
/** Root may look everywhere, so as root both become somebody else. */
const user = process.getuid?.() === 0 ? { uid: 65534, gid: 65534 } : {}
const program = ['--disable-warning=ExperimentalWarning', fileURLToPath(new URL('./secret-holder.ts', import.meta.url))]
const environment = { PATH: process.env.PATH, CANARY: 'canary-7f3a' }

const children: ChildProcess[] = []
afterEach(() => {
  for (const child of children.splice(0)) child.kill('SIGKILL')
})

async function started(child: ChildProcess): Promise<string> {
  children.push(child)
  const [line] = await once(createInterface({ input: child.stdout ?? process.stdin }), 'line')
  return line
}

/** What another process of the same user gets to see. */
function look(pid: number | undefined, file: string): string {
  const { stdout, stderr } = spawnSync('cat', [`/proc/${pid}/${file}`], { ...user, env: {}, encoding: 'latin1' })
  return stdout + stderr
}

describe.skipIf(why !== undefined)(`a protected process${why === undefined ? '' : ` (skipped: ${why})`}`, () => {
  test('cannot be looked into by another one of its user; an unprotected one can', async () => {
    const open = spawn('sh', ['-c', 'echo ready; read line'], {
      ...user,
      env: environment,
      stdio: ['pipe', 'pipe', 'inherit'],
    })
    await started(open)
    expect(look(open.pid, 'environ')).toContain('canary-7f3a')

    const holder = spawn(process.execPath, program, { ...user, env: environment, stdio: ['pipe', 'pipe', 'inherit'] })
    const report = JSON.parse(await started(holder))
    expect(report).toEqual({ copied: 'canary-7f3a', exposed: [] })
    for (const file of ['environ', 'mem', 'maps', 'auxv'])
      expect(look(holder.pid, file), file).toMatch(/Permission denied/)
    const descriptors = spawnSync('ls', [`/proc/${holder.pid}/fd`], { ...user, encoding: 'utf8' })
    expect(descriptors.stderr).toMatch(/Permission denied/)
  })

  test.skipIf(process.getuid?.() !== 0)(
    'says that root can look into it, and shows root no variable (needs root)',
    async () => {
      const holder = spawn(process.execPath, program, { env: environment, stdio: ['pipe', 'pipe', 'inherit'] })
      const report = JSON.parse(await started(holder))
      expect(report.gap).toBe('root can look into every process')
      const shown = readFileSync(`/proc/${holder.pid}/environ`, 'latin1')
      expect(shown).toContain('CANARY=\0')
      expect(shown).not.toContain('canary')
    },
  )

  test('names what started it and still shows the secret', async () => {
    const script = '"$0" "$@"; exit $?'
    const shell = spawn('sh', ['-c', script, process.execPath, ...program], {
      ...user,
      env: environment,
      stdio: ['pipe', 'pipe', 'inherit'],
    })
    const { exposed } = JSON.parse(await started(shell))
    expect(exposed).toEqual([{ pid: shell.pid, program: 'sh', variables: ['CANARY'] }])
    shell.stdin.end()
    await once(shell, 'exit')
  })
})
