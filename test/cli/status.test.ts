import { type ChildProcess, spawn } from 'node:child_process'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import { fileURLToPath } from 'node:url'
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest'
import { askStatus } from '../../proxy/record/admin-client.ts'

const program = fileURLToPath(new URL('../../cli/postern.js', import.meta.url))
let folder: string
let proxy: ChildProcess

const configuration = (rules: string) => `version: 1
trustDomain: acme.example
admin: { socket: ./admin/postern.sock }
records: { to: ./records.jsonl }
destinations: { api: { hosts: [api.example] } }
rules: ${rules}
`

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'postern-status-'))
  await writeFile(join(folder, 'postern.yaml'), configuration('[]'))
  proxy = spawn(process.execPath, [program, 'run'], { cwd: folder, stdio: 'ignore' })
  await vi.waitFor(() => askStatus(join(folder, 'admin/postern.sock')), { timeout: 15_000 })
})

afterAll(async () => {
  proxy.kill('SIGTERM')
  await rm(folder, { recursive: true, force: true })
})

async function postern(...args: string[]) {
  const child = spawn(process.execPath, [program, ...args], { cwd: folder, stdio: ['ignore', 'pipe', 'pipe'] })
  const [out, err, code] = await Promise.all([
    text(child.stdout),
    text(child.stderr),
    new Promise<number | null>((resolve) => child.on('exit', resolve)),
  ])
  return { out, err, code }
}

describe('a running proxy', () => {
  it('that nobody runs is said not to answer', async () => {
    expect(await postern('status', '--socket', './nowhere.sock')).toMatchObject({
      code: 69,
      err: expect.stringContaining('no proxy is running'),
    })
  })

  it('says how it is', async () => {
    const { out, code } = await postern('status')
    expect(code).toBe(0)
    expect(out).toContain(`process ${proxy.pid}`)
    expect(out).toMatch(/^ready$/m)
    expect(out).toContain('Node’s permission model is off')
    expect(JSON.parse((await postern('status', '--json')).out)).toMatchObject({ ready: true, pid: proxy.pid })
  })

  it('takes a good configuration into use, and keeps it when a bad one follows', async () => {
    const before = JSON.parse((await postern('status', '--json')).out).policy_version
    await writeFile(
      join(folder, 'postern.yaml'),
      configuration('[{ name: reads, allow: { agents: [spiffe://acme.example/a], to: api } }]'),
    )
    const reloaded = await postern('reload')
    expect(reloaded.code).toBe(0)
    const version = /policy (\S+)/.exec(reloaded.out)?.[1]
    expect(version).not.toBe(before)

    await writeFile(join(folder, 'postern.yaml'), configuration('[{ nmae: reads }]'))
    const refused = await postern('reload', '--socket', './admin/postern.sock')
    expect(refused.code).toBe(78)
    expect(refused.err).toContain('nmae')
    const status = JSON.parse((await postern('status', '--socket', './admin/postern.sock', '--json')).out)
    expect(status.policy_version).toBe(version)
    expect(status.config.error).toContain('nmae')
  })
})
