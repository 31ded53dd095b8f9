import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { chmodSync, existsSync, mkdirSync, mkdtempSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { request } from 'node:http'
import { connect, createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { type AdminOptions, type AdminServer, adminServer } from '../../../proxy/record/admin.ts'
import { askReload, askStatus } from '../../../proxy/record/admin-client.ts'
import type { AdminStatus } from '../../../proxy/record/admin-protocol.ts'

let folder: string
let socket: string
let server: AdminServer | undefined
let turnedAway: (number | undefined)[]

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'postern-admin-'))
  socket = join(folder, 'run', 'admin.sock')
  turnedAway = []
})

afterEach(async () => {
  await server?.close()
  server = undefined
  rmSync(folder, { recursive: true, force: true })
})

const status: AdminStatus = {
  version: '0.1.0',
  pid: 1,
  started_at: '2026-08-01T12:00:00.000Z',
  ready: true,
  reasons: [],
  policy_version: 'p1',
  config: { file: '/etc/postern.yaml', loaded_at: '2026-08-01T12:00:00.000Z' },
  records: { to: 'stdout', healthy: true, seq: 12, head: 'q83v' },
  connections: 3,
}

const refuse = () => Promise.reject(new Error('nobody asked for that'))

const options = (parts: Partial<AdminOptions> = {}): AdminOptions => ({
  socket,
  peerUid: () => 1_000,
  uids: [1_000],
  status: () => status,
  reload: () => Promise.resolve({ reloaded: true, policy_version: 'p2' }),
  stops: { list: () => ({ stops: [], unwritten: 0 }), order: refuse, lift: refuse },
  turnedAway: (uid) => turnedAway.push(uid),
  ...parts,
})

function ask(method: string, path: string, headers: Record<string, string> = {}, body = '') {
  return new Promise<number | undefined>((resolve, reject) => {
    request({ socketPath: socket, method, path, headers }, (response) => {
      response.resume().on('end', () => resolve(response.statusCode))
    })
      .on('error', reject)
      .end(body)
  })
}

describe('who is turned away', () => {
  test('another user, before anything is read of what he says', async () => {
    server = await adminServer(options({ peerUid: () => 1_001 }))
    await expect(askStatus(socket)).rejects.toThrow('belongs to another user')
    expect(turnedAway).toEqual([1_001])
  })

  test('everyone, when the kernel does not say who it is', async () => {
    server = await adminServer(options({ peerUid: () => undefined }))
    await expect(askReload(socket)).rejects.toThrow('belongs to another user')
    expect(turnedAway).toEqual([undefined])
  })

  test('a browser', async () => {
    server = await adminServer(options())
    expect(await ask('POST', '/v1/reload', { origin: 'http://localhost' })).toBe(403)
  })

  test.each([
    ['GET', '/v1/reload'],
    ['POST', '/v1/status'],
    ['GET', '/v1/status/'],
    ['GET', '/'],
    ['DELETE', '/v1/status'],
  ])('%s %s, which nobody has agreed on', async (method, path) => {
    server = await adminServer(options())
    expect(await ask(method, path)).toBe(404)
  })

  test('a question with a body', async () => {
    server = await adminServer(options())
    expect(await ask('POST', '/v1/reload', { 'content-length': '2' }, '{}')).toBe(400)
  })
})

describe('the socket', () => {
  test('and its folder are for their owner alone', async () => {
    server = await adminServer(options())
    expect(statSync(socket).mode & 0o777).toBe(0o600)
    expect(statSync(join(folder, 'run')).mode & 0o777).toBe(0o700)
  })

  test('is not put where others could replace it', async () => {
    mkdirSync(join(folder, 'run'))
    chmodSync(join(folder, 'run'), 0o777)
    await expect(adminServer(options())).rejects.toThrow('can be written by others')
  })

  test('does not take the place of a file', async () => {
    mkdirSync(join(folder, 'run'), { mode: 0o700 })
    writeFileSync(socket, 'precious')
    await expect(adminServer(options())).rejects.toThrow('is not a socket')
  })

  test('of a proxy that runs is left to it', async () => {
    server = await adminServer(options())
    await expect(adminServer(options())).rejects.toThrow('another process answers')
    expect(await askStatus(socket)).toEqual(status)
  })

  test('of a proxy that was killed is replaced', async () => {
    mkdirSync(join(folder, 'run'), { mode: 0o700 })
    const listen = `require('net').createServer().listen(${JSON.stringify(socket)}, () => console.log('up'))`
    const child = spawn(process.execPath, ['-e', listen])
    await once(child.stdout, 'data')
    child.kill('SIGKILL')
    await once(child, 'exit')
    expect(existsSync(socket)).toBe(true)
    server = await adminServer(options())
    expect(await askStatus(socket)).toEqual(status)
  })

  test('is gone when the server has closed', async () => {
    server = await adminServer(options())
    await server.close()
    server = undefined
    expect(existsSync(socket)).toBe(false)
  })
})

describe('what is answered', () => {
  test('root may ask, whoever runs the proxy', async () => {
    server = await adminServer(options({ peerUid: () => 0 }))
    expect(await askStatus(socket)).toEqual(status)
  })

  test('a reload says which policy is in force', async () => {
    server = await adminServer(options())
    expect(await askReload(socket)).toEqual({ reloaded: true, policy_version: 'p2' })
  })

  test('a reload of a bad file says what is wrong with it', async () => {
    const errors = ['postern.yaml:3:1 unknown key ruels; did you mean rules?']
    server = await adminServer(options({ reload: () => Promise.resolve({ reloaded: false, errors }) }))
    expect(await askReload(socket)).toEqual({ reloaded: false, errors })
  })

  test('a reload that throws is an error, and the server lives', async () => {
    server = await adminServer(options({ reload: () => Promise.reject(new Error('disk gone')) }))
    await expect(askReload(socket)).rejects.toThrow('disk gone')
    expect(await askStatus(socket)).toEqual(status)
  })

  test('the user is asked for with the connection, so that a new owner of it gains nothing', async () => {
    const seen: boolean[] = []
    server = await adminServer(
      options({
        peerUid: (peer) => {
          seen.push(peer.destroyed)
          return 1_000
        },
      }),
    )
    const client = connect(socket)
    await once(client, 'connect')
    client.destroy()
    await askStatus(socket)
    expect(seen).toEqual([false, false])
  })
})

describe('the client', () => {
  test('says that no proxy is running', async () => {
    await expect(askStatus(socket)).rejects.toThrow(`no proxy is running on ${socket}`)
  })

  test('does not take for an answer what was not agreed', async () => {
    mkdirSync(join(folder, 'run'))
    const liar = createServer((peer) => peer.end('HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}')).listen(socket)
    await once(liar, 'listening')
    await expect(askStatus(socket)).rejects.toThrow('version')
    liar.close()
  })
})
