import { spawnSync } from 'node:child_process'
import { chmod, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { ExecProvider } from '../../../proxy/obtain/exec.ts'
import { needOf, never, refusalOf } from './world.ts'

let folder: string
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'postern-exec-'))
})
afterEach(() => rm(folder, { recursive: true, force: true }))

interface Given {
  readonly timeout?: number
  readonly pass?: string[]
  readonly environment?: Record<string, string>
}

function run(
  command: [string, ...string[]],
  { timeout = 10_000, pass = ['PATH'], environment }: Given = {},
  signal = never,
) {
  const provider = new ExecProvider(
    'crm-key',
    { kind: 'exec', for: ['crm'], ttl: 300_000, command, pass, timeout },
    { clock: Date.now, environment: { PATH: process.env.PATH, ...environment } },
  )
  return provider.obtain(needOf(), signal)
}

const node = (script: string): [string, ...string[]] => [process.execPath, '-e', script]

async function detailOf(...args: Parameters<typeof run>): Promise<string | undefined> {
  const refusal = await refusalOf(run(...args))
  expect(refusal.reason).toBe('credential_unavailable')
  return refusal.detail
}

/** An ended process whose parent has not asked for its exit code is still there, as a zombie. */
function isRunning(pid: number): boolean {
  const state = spawnSync('ps', ['-o', 'stat=', '-p', String(pid)], { encoding: 'utf8' }).stdout.trim()
  return state !== '' && !state.startsWith('Z')
}

describe('refuses', () => {
  it('a program that does not exist', async () => {
    expect(await detailOf([join(folder, 'none')])).toBe(`${join(folder, 'none')} could not be started: ENOENT`)
  })

  it('a program that may not be run', async () => {
    const path = join(folder, 'tool')
    await writeFile(path, '#!/bin/sh\n')
    await chmod(path, 0o600)
    expect(await detailOf([path])).toBe(`${path} could not be started: EACCES`)
  })

  it('a failing command, whatever it printed on either stream', async () => {
    const script = 'console.log(JSON.stringify({secret:"canary"}));console.error("canary");process.exitCode=3'
    const refusal = await refusalOf(run(node(script)))
    expect(refusal.detail).toBe(`${process.execPath} ended with exit code 3`)
    expect(JSON.stringify(refusal.problem('id'))).not.toContain('canary')
  })

  it('a command that was killed', async () => {
    expect(await detailOf(node('process.kill(process.pid, "SIGTERM")'))).toBe(
      `${process.execPath} was ended by SIGTERM`,
    )
  })

  it('a command that takes too long, and ends it with all that it started', async () => {
    const pidFile = join(folder, 'pid')
    const command: [string, ...string[]] = ['sh', '-c', `sleep 60 & echo $! > ${pidFile}; wait`]
    expect(await detailOf(command, { timeout: 300 })).toBe('sh took longer than 300 ms')
    const pid = Number(await readFile(pidFile, 'utf8'))
    await vi.waitFor(() => expect(isRunning(pid)).toBe(false))
  })

  it('a command whose child keeps the output open', async () => {
    expect(await detailOf(['sh', '-c', 'sleep 60 &'], { timeout: 300 })).toBe('sh took longer than 300 ms')
  })

  it('a command that prints without end', async () => {
    expect(await detailOf(['sh', '-c', 'yes'])).toBe('sh printed more than 65536 bytes')
  })

  it('a command that prints no JSON', async () => {
    expect(await detailOf(['echo', 'canary'])).toBe('the command did not print JSON')
  })

  it('a credential that has expired', async () => {
    const output = JSON.stringify({ secret: 'a', expiresAt: '2020-01-01T00:00:00Z' })
    expect(await detailOf(['echo', output])).toBe('echo printed a credential that has expired')
  })

  it('a secret that would break a header', async () => {
    expect(await detailOf(['printf', '%s', '{"secret":"a\\nb"}'])).toBe(
      'what printf printed as secret holds a control character',
    )
  })

  it('when it is abandoned, and ends the command', async () => {
    const leaving = new AbortController()
    const waiting = detailOf(['sleep', '60'], {}, leaving.signal)
    leaving.abort()
    expect(await waiting).toBe('sleep was abandoned')
  })
})

it('gives what was printed', async () => {
  const before = Date.now()
  const lease = await run(['echo', JSON.stringify({ secret: 's3cret', username: 'robot', expiresIn: 60 })])
  expect(lease.secret.reveal()).toBe('s3cret')
  expect(lease.username).toBe('robot')
  expect(lease.expiresAt).toBeGreaterThanOrEqual(before + 60_000)
})

it('gives arguments as they are: no shell reads them', async () => {
  const lease = await run(['echo', '{"secret":"$HOME;`id`"}'])
  expect(lease.secret.reveal()).toBe('$HOME;`id`')
})

it('gives the command no variable but those that are named', async () => {
  const script =
    'console.log(JSON.stringify({secret: Object.keys(process.env).sort().join(",") + "=" + process.env.WANTED}))'
  const lease = await run(node(script), { pass: ['WANTED', 'ABSENT'], environment: { WANTED: '1', OTHER_KEY: '2' } })
  expect(lease.secret.reveal()).toBe('WANTED=1')
})
