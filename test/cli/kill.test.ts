// postern kill, revive and kills, with a proxy that runs, one that was killed, and none.
import { type ChildProcess, execFile, spawn } from 'node:child_process'
import { once } from 'node:events'
import { appendFile, mkdtemp, readFile, rm, stat, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest'
import { askStatus, askStops } from '../../proxy/record/admin-client.ts'

const program = fileURLToPath(new URL('../../cli/postern.js', import.meta.url))
const agent = 'spiffe://acme.example/ns/agents/*'
let folder: string
let socket: string
let file: string
let proxy: ChildProcess

const configuration = `version: 1
trustDomain: acme.example
admin: { socket: ./admin/postern.sock }
records: { to: ./records.jsonl }
stop: { drop: ./drop }
`

async function start(): Promise<void> {
  proxy = spawn(process.execPath, [program, 'run'], { cwd: folder, stdio: 'ignore' })
  await vi.waitFor(() => askStatus(socket), { timeout: 15_000 })
}

async function end(signal: NodeJS.Signals): Promise<void> {
  if (proxy.exitCode !== null || proxy.signalCode !== null) return
  const ended = once(proxy, 'exit')
  proxy.kill(signal)
  await ended
}

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'postern-kill-'))
  socket = join(folder, 'admin/postern.sock')
  file = join(folder, 'admin/stops.jsonl')
  await promisify(execFile)('mkdir', [join(folder, 'drop')])
  await writeFile(join(folder, 'postern.yaml'), configuration)
})

afterAll(async () => {
  await end('SIGTERM')
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

const whats = async () => (await askStops(socket)).stops.map(({ what }) => what)

describe('a command line that says it wrongly', () => {
  it.each([
    ['nothing to stop', ['kill', '--reason', 'x'], 'Say one thing'],
    ['two things', ['kill', '--all', '--user', 'zoe', '--reason', 'x'], 'Say one thing'],
    ['no reason', ['kill', '--all'], '--reason'],
    ['an agent that is none', ['kill', '--agent', 'zoe', '--reason', 'x'], '--agent: a SPIFFE ID such as'],
    ['no duration', ['kill', '--all', '--reason', 'x', '--for', 'soon'], 'a duration such as'],
    ['a reason of two lines', ['kill', '--all', '--reason', 'x\ny'], 'without control characters'],
    ['nothing to lift', ['revive'], 'Say one thing'],
  ])('%s', async (_case, args, complaint) => {
    expect(await postern(...args)).toMatchObject({ code: 64, err: expect.stringContaining(complaint) })
  })
})

describe('while no proxy runs', () => {
  it('an order is written for its next start, and can be listed and taken back', async () => {
    const killed = await postern('kill', '--agent', agent, '--reason', 'a leak')
    expect(killed).toMatchObject({ code: 75, err: expect.stringContaining('No proxy runs on') })
    expect(killed.out).toContain(`agent ${agent} is stopped from its next start on: the order is in ${file}`)
    const id = /revive (\S+)/.exec(killed.out)?.[1] ?? ''
    expect((await postern('kills')).out).toContain(`${id}  agent ${agent}, until it is lifted`)
    expect(await postern('revive', id)).toMatchObject({ code: 75 })
    expect((await postern('kills')).out).toBe('Nothing is stopped.\n')
    expect((await postern('kill', '--user', 'zoe', '--reason', 'a leak')).code).toBe(75)
    expect((await stat(file)).mode & 0o777).toBe(0o600)
  })

  it('a socket that is nowhere named is a wrong configuration', async () => {
    await writeFile(join(folder, 'none.yaml'), 'version: 1\n')
    expect(await postern('kill', '--all', '--reason', 'x', '-c', 'none.yaml')).toMatchObject({
      code: 78,
      err: expect.stringContaining('opens no admin socket'),
    })
  })
})

describe('a proxy that runs', () => {
  beforeAll(start, 20_000)

  it('has what was ordered before it', async () => {
    expect(await whats()).toEqual([{ kind: 'user', id: 'zoe' }])
  })

  it('stops, says so, and says how to undo it', async () => {
    const { out, err, code } = await postern('kill', '--agent', agent, '--reason', 'a leak', '--for', '1h')
    expect([code, err]).toEqual([0, ''])
    const [, until, id] = /is stopped until (\S+): (\S+)/.exec(out) ?? []
    expect(Date.parse(until ?? '') - Date.now()).toBeGreaterThan(3_500_000)
    expect(out).toContain(`To undo: postern revive ${id}`)
    expect(out).toContain('Nothing of it was under way.')
    expect((await askStatus(socket)).stops).toEqual({ active: 2, unwritten: 0 })
    expect((await postern('status')).out).toContain('2 stops in force')
    expect((await postern('kills')).out).toContain(`by uid ${process.getuid?.()}: a leak`)
  })

  it('stops while its configuration is broken', async () => {
    await writeFile(join(folder, 'broken.yaml'), `${configuration}rules: [{ allow: nobody knows\n  - x: [\n`)
    const { code, out } = await postern('kill', '--all', '--reason', 'x', '-c', 'broken.yaml', '--json')
    expect(code).toBe(0)
    expect(JSON.parse(out)).toMatchObject({ running: true, written: true, cut: 0, stop: { what: { kind: 'all' } } })
  })

  it('holds its stops after it was killed', async () => {
    const before = await whats()
    expect(before.length).toBe(3)
    await end('SIGKILL')
    await start()
    expect(await whats()).toEqual(before)
  }, 30_000)

  it('lifts by id, or by what was stopped, and nothing else', async () => {
    expect(await postern('revive', 'stop-none')).toMatchObject({ code: 65, err: expect.stringContaining('no stop') })
    expect(await postern('revive', '--user', 'ann')).toMatchObject({ code: 65 })
    expect(await postern('revive', '--all')).toMatchObject({ code: 0, out: expect.stringContaining('is lifted') })
    expect(await whats()).toEqual([
      { kind: 'user', id: 'zoe' },
      { kind: 'agent', id: agent },
    ])
    expect((await postern('revive', '--agent', agent, '--socket', socket)).code).toBe(0)
  })

  it('takes orders from programs on the socket, in bounds', async () => {
    const curl = async (...args: string[]) => {
      const { stdout } = await promisify(execFile)('curl', [
        ...['-sS', '--unix-socket', socket, '-w', '\n%{http_code}', ...args],
      ])
      const [body = '', code] = stdout.trim().split(/\n+/)
      return { code: Number(code), body: JSON.parse(body) }
    }
    const json = ['-H', 'content-type: application/json']
    const url = 'http://postern/v1/stops'
    const order = JSON.stringify({ what: { kind: 'destination', name: 'crm' }, reason: 'incident 7', for: '10m' })
    const { code, body } = await curl(...json, '-d', order, url)
    expect([code, body.stop.what, body.written]).toEqual([201, { kind: 'destination', name: 'crm' }, true])
    expect(await curl('-d', order, url)).toMatchObject({ code: 415 })
    expect(await curl(...json, '-d', '{"what":', url)).toMatchObject({ code: 422 })
    expect(await curl(...json, '-d', '{"what":{"kind":"all"}}', url)).toMatchObject({
      code: 422,
      body: { error: expect.stringContaining('reason:') },
    })
    expect(
      await curl(...json, '-d', JSON.stringify({ ...JSON.parse(order), reason: 'x'.repeat(20_000) }), url),
    ).toEqual({
      code: 413,
      body: { error: 'A body has at most 16384 bytes.' },
    })
    expect(await curl(...json, '-H', 'origin: http://localhost', '-d', order, url)).toMatchObject({ code: 403 })
    expect(await curl('-X', 'DELETE', `${url}/stop-none`)).toMatchObject({ code: 404 })
    expect(await curl('-X', 'DELETE', `${url}/%ff`)).toMatchObject({ code: 404 })
    expect(await curl('-X', 'DELETE', `${url}/${body.stop.id}`)).toMatchObject({ code: 200 })
    expect(await whats()).toEqual([{ kind: 'user', id: 'zoe' }])
  })

  it('takes orders from its folder and its file', async () => {
    await writeFile(join(folder, 'drop/kill.yaml'), 'what: { kind: all }\nreason: a file says so\n')
    await vi.waitFor(async () => expect(await whats()).toContainEqual({ kind: 'all' }), 5_000)
    expect(await postern('revive', '--all')).toMatchObject({ code: 69, err: expect.stringContaining('lifted there') })
    await rm(join(folder, 'drop/kill.yaml'))
    const [first = ''] = (await readFile(file, 'utf8')).split('\n')
    await appendFile(
      file,
      `${first.replace(/stop-\w+/, 'stop-by-hand').replace(agent, 'spiffe://acme.example/hand')}\n`,
    )
    await vi.waitFor(
      async () =>
        expect(await whats()).toEqual([
          { kind: 'user', id: 'zoe' },
          { kind: 'agent', id: 'spiffe://acme.example/hand' },
        ]),
      5_000,
    )
  })

  it('whose disk is gone stops all the same, and says that it is not written down', async () => {
    await rm(file)
    await promisify(execFile)('mkdir', [file])
    const killed = await postern('kill', '--credential', 'crm-token', '--reason', 'x')
    expect(killed).toMatchObject({ code: 1, err: expect.stringContaining('It is NOT written down') })
    expect(await whats()).toContainEqual({ kind: 'credential', name: 'crm-token' })
    await rm(file, { recursive: true })
    await vi.waitFor(async () => expect((await askStatus(socket)).stops?.unwritten).toBe(0), 5_000)
    expect(await readFile(file, 'utf8')).toContain('crm-token')
  })

  it('that cannot know what is to be stopped does not start, and says which line', async () => {
    await end('SIGTERM')
    await appendFile(file, 'rubbish\n')
    const { code, err } = await postern('run')
    expect(code).toBe(69)
    expect(err).toMatch(/stops\.jsonl:\d+: this line is no order to stop/)
  })
})
