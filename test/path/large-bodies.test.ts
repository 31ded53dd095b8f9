// A gigabyte, up and down, through the proxy as a process of its own: its memory stays flat.
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { connect, type Socket } from 'node:net'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { agentId, agentsListener } from '../support/gate.ts'
import { type Postern, type Workplace, workplace } from '../support/postern.ts'
import { recordsIn } from '../support/records.ts'
import { rawUpstream, type Upstream } from '../support/upstream.ts'

const gigabyte = 1 << 30
const piece = Buffer.alloc(1 << 18, 'a line of an ordinary text, which looks like no secret\n')
/** What the process may grow by. Node frees the memory of what was read only when 64 MB of it have gathered; a body that were kept would be 1,024 MB. */
const growth = 160 << 20

const left = process.platform === 'linux' ? '' : ' (left out: memory is read from /proc)'

let upstream: Upstream
let place: Workplace
let run: Postern
let received = 0

/** Writes so many bytes, as fast as they are taken. */
async function pour(socket: Socket, bytes: number): Promise<void> {
  for (let sent = 0; sent < bytes; sent += piece.length) {
    if (!socket.write(piece.subarray(0, Math.min(piece.length, bytes - sent)))) await once(socket, 'drain')
  }
}

beforeAll(async () => {
  // Raw bytes on this side too, so that the test itself costs little.
  upstream = await rawUpstream((socket) => {
    let head = ''
    socket.on('data', (chunk: Buffer) => {
      if (head.endsWith('\r\n\r\n')) {
        received += chunk.length
      } else {
        const text = head + chunk.toString('latin1')
        const end = text.indexOf('\r\n\r\n')
        if (end !== -1) received = text.length - end - 4
        head = end === -1 ? text : text.slice(0, end + 4)
        if (head.startsWith('GET')) {
          socket.write(`HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: ${gigabyte}\r\n\r\n`)
          void pour(socket, gigabyte)
        }
      }
      if (head.startsWith('POST') && received === gigabyte)
        socket.write('HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\ndone')
    })
  })
  place = await workplace({
    'postern.yaml': `version: 1
trustDomain: acme.example
records: { to: ./records.jsonl }
${agentsListener}resolve: { localhost: [127.0.0.1] }
destinations:
  files: { hosts: [localhost], protocol: http, ports: [${upstream.port}], addresses: [127.0.0.0/8] }
credentials:
  key: { kind: env, variable: API_KEY, for: [files] }
rules:
  - { name: agent-moves-files, allow: { agents: [${agentId}], to: files }, use: key }
`,
  })
  run = place.start(['run', '-c', 'postern.yaml'], { API_KEY: 'canary-6b30f9a1d84c' })
})
afterAll(async () => {
  await place[Symbol.asyncDispose]()
  await upstream.close()
})

/** Resident bytes now. */
function resident(): number {
  const status = readFileSync(`/proc/${run.child.pid}/status`, 'utf8')
  return Number(/VmRSS:\s+(\d+) kB/.exec(status)?.[1]) * 1024
}

/** Watches the memory of the proxy while this goes on. */
async function watched(work: Promise<unknown>): Promise<{ readonly before: number; readonly peak: number }> {
  const before = resident()
  let peak = before
  const timer = setInterval(() => {
    peak = Math.max(peak, resident())
  }, 20)
  await work.finally(() => clearInterval(timer))
  return { before, peak }
}

async function open(): Promise<Socket> {
  const socket = connect(await run.port(), '127.0.0.1')
  await once(socket, 'connect')
  return socket
}

describe.skipIf(left !== '')(`a body of 1 GB with the credential looked for in it${left}`, () => {
  it('comes down', { timeout: 60_000 }, async () => {
    const socket = await open()
    let head = ''
    let got = 0
    const memory = watched(
      new Promise<void>((resolve) => {
        socket.on('data', (chunk: Buffer) => {
          if (head.endsWith('\r\n\r\n')) got += chunk.length
          else {
            head += chunk.toString('latin1')
            const end = head.indexOf('\r\n\r\n') + 4
            got = end === 3 ? 0 : head.length - end
            if (end !== 3) head = head.slice(0, end)
          }
          if (got >= gigabyte) resolve()
        })
      }),
    )
    socket.write(`GET http://localhost:${upstream.port}/file HTTP/1.1\r\nHost: localhost:${upstream.port}\r\n\r\n`)
    const { before, peak } = await memory
    expect(got).toBe(gigabyte)
    expect(peak - before).toBeLessThan(growth)
    socket.destroy()
  })

  it('goes up', { timeout: 60_000 }, async () => {
    const socket = await open()
    const answered = once(socket, 'data')
    const head = `POST http://localhost:${upstream.port}/file HTTP/1.1\r\nHost: localhost:${upstream.port}\r\nContent-Length: ${gigabyte}\r\n\r\n`
    socket.write(head)
    const { before, peak } = await watched(Promise.all([pour(socket, gigabyte), answered]))
    expect(String((await answered)[0])).toMatch(/^HTTP\/1\.1 200 /)
    expect(received).toBe(gigabyte)
    expect(peak - before).toBeLessThan(growth)
    socket.destroy()
  })

  it('stands in the records with its length', async () => {
    run.child.kill('SIGTERM')
    expect(await run.ended).toBe(0)
    expect(await recordsIn(`${place.path}/records.jsonl`)).toMatchObject([
      { request: { method: 'GET' }, response: { bytes: gigabyte, ended: 'complete' } },
      { request: { method: 'POST', bytes: gigabyte }, response: { bytes: 4, ended: 'complete' } },
    ])
  })
})
