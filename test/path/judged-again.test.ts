// What is under way is decided again when the rules change and as time passes, and cut when it would not be allowed any more.
import { once } from 'node:events'
import { writeFile } from 'node:fs/promises'
import type { IncomingMessage, ServerResponse } from 'node:http'
import { join } from 'node:path'
import type { Duplex } from 'node:stream'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it, vi } from 'vitest'
import { loadConfig } from '../../proxy/config/load.ts'
import { agentId, agentsListener, openGate, type TestGate } from '../support/gate.ts'
import { httpUpstream, rawUpstream, type Upstream } from '../support/upstream.ts'
import { ConnectionEnded, WireClient } from '../support/wire-client.ts'

interface Held {
  readonly request: IncomingMessage
  readonly response: ServerResponse
}

let http: Awaited<ReturnType<typeof httpUpstream>>
let raw: Upstream
let gate: TestGate
let held: Held[] = []
let joined: Duplex[] = []

beforeAll(async () => {
  http = await httpUpstream((request, response) => {
    held.push({ request, response })
    if (request.url?.startsWith('/stream')) {
      response.writeHead(200, { 'Content-Type': 'text/event-stream' })
      response.write('data: 1\n\n')
    }
  })
  http.server.on('upgrade', (_request, socket: Duplex) => {
    socket.on('error', () => {})
    socket.write('HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n')
    joined.push(socket)
  })
  raw = await rawUpstream((socket) => joined.push(socket))
})
afterAll(() => Promise.all([http.close(), raw.close()]))

beforeEach(async () => {
  held = []
  joined = []
  gate = await openGate(configuration())
})
afterEach(() => gate[Symbol.asyncDispose]())

function configuration(denied = '', condition = ''): string {
  return `${agentsListener}resolve: { api.example: [127.0.0.1], db.example: [127.0.0.1] }
destinations:
  api: { hosts: [api.example], protocol: http, ports: [${http.port}], addresses: [127.0.0.0/8] }
  db: { hosts: [db.example], protocol: opaque, ports: [${raw.port}], addresses: [127.0.0.0/8] }
rules:
${denied}  - { name: agent-calls, allow: { agents: [${agentId}], to: [api, db], methods: ["*"] }${condition} }
`
}

async function change(config: string): Promise<void> {
  const file = join(gate.folder, 'next.yaml')
  await writeFile(file, `version: 1\ntrustDomain: acme.example\nrecords: { to: ./records.jsonl }\n${config}`)
  gate.gate.reload(await loadConfig(file, {}))
}

const authority = () => `api.example:${http.port}`
const open = () => WireClient.open({ host: '127.0.0.1', port: gate.port() })

async function ask(method: string, path: string, ...fields: readonly string[]): Promise<WireClient> {
  const client = await open()
  client.send(
    [`${method} http://${authority()}${path} HTTP/1.1`, `Host: ${authority()}`, ...fields, '', ''].join('\r\n'),
  )
  return client
}

/** A stream whose first event has come. */
async function stream(path: string): Promise<{ client: WireClient; id: string | undefined }> {
  const client = await ask('GET', path)
  const head = await client.head()
  await client.through('data: 1\n\n')
  return { client, id: head.field('postern-request-id') }
}

const noStreams = '  - { name: no-more, deny: { paths: [/stream/a] } }\n'
const atUpstream = (path: string) =>
  vi.waitFor(() => {
    const found = held.find(({ request }) => request.url === path)
    if (found === undefined) throw new Error('it has not come')
    return found
  })

/** Reads whatever else comes until the connection ends. */
async function ended(client: WireClient): Promise<void> {
  await expect(client.exactly(1 << 20)).rejects.toBeInstanceOf(ConnectionEnded)
}

describe('a reload that takes a right away', () => {
  it('cuts the stream that used it, on both sides, with a record that says why; another goes on', async () => {
    const taken = await stream('/stream/a')
    const kept = await stream('/stream/b')
    const upstreamEnd = once((await atUpstream('/stream/a')).response, 'close')
    await change(configuration(noStreams))
    await ended(taken.client)
    await upstreamEnd
    const record = await gate.record(taken.id)
    expect(record.refusal?.reason).toBe('denied_by_rule')
    expect(record.decision?.rule).toBe('no-more')
    expect(record.response?.ended).toBe('cut')
    const other = await atUpstream('/stream/b')
    other.response.write('data: 2\n\n')
    expect((await kept.client.through('data: 2\n\n')).toString()).toContain('data: 2')
    await kept.client[Symbol.asyncDispose]()
  })

  it('answers what still waits for its upstream with the reason', async () => {
    await using client = await ask('GET', '/slow')
    const waiting = await atUpstream('/slow')
    const upstreamEnd = once(waiting.response, 'close')
    await change(configuration('  - { name: no-more, deny: { paths: [/slow] } }\n'))
    const head = await client.head()
    expect(head.status).toBe(403)
    expect((await client.exactly(Number(head.field('content-length')))).toString()).toContain('"denied_by_rule"')
    await upstreamEnd
  })

  it('ends an upload that is under way', async () => {
    await using client = await ask('POST', '/upload', 'Content-Length: 1000')
    client.send('first part')
    const { request } = await atUpstream('/upload')
    const upstreamEnd = once(request, 'error')
    request.resume()
    await change(configuration('  - { name: no-more, deny: { methods: [POST] } }\n'))
    expect((await client.head()).status).toBe(403)
    await upstreamEnd
  })

  it('ends a WebSocket', async () => {
    const client = await ask('GET', '/socket', 'Connection: Upgrade', 'Upgrade: websocket')
    const head = await client.head()
    expect(head.status).toBe(101)
    const [socket] = joined
    if (socket === undefined) throw new Error('no connection at the upstream')
    const upstreamEnd = once(socket.resume(), 'end')
    await change(configuration('  - { name: no-more, deny: { paths: [/socket] } }\n'))
    await ended(client)
    await upstreamEnd
    const record = await gate.record(head.field('postern-request-id'))
    expect([record.refusal?.reason, record.response?.ended]).toEqual(['denied_by_rule', 'cut'])
  })

  it('ends an opaque tunnel', async () => {
    const client = await open()
    expect((await client.tunnel(`db.example:${raw.port}`)).status).toBe(200)
    const socket = await vi.waitFor(() => {
      const [found] = joined
      if (found === undefined) throw new Error('no connection at the upstream')
      return found
    })
    const upstreamEnd = once(socket.resume(), 'close')
    await change(configuration('  - { name: no-more, deny: { to: db } }\n'))
    await ended(client)
    await upstreamEnd
    const [record] = await gate.records(1)
    expect([record?.kind, record?.refusal?.reason, record?.response?.ended]).toEqual([
      'tunnel',
      'denied_by_rule',
      'cut',
    ])
  })
})

describe('time', () => {
  it('ends a stream whose condition does not hold any more', async () => {
    const until = new Date(Date.now() + 1_500).toISOString()
    await change(configuration('', `, when: 'now < timestamp("${until}")'`))
    const { client, id } = await stream('/stream/a')
    await ended(client)
    const record = await gate.record(id)
    expect([record.refusal?.reason, record.response?.ended]).toEqual(['no_rule', 'cut'])
  })
})
