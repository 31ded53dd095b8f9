// A tunnel to an opaque destination: bytes pass unseen, both ways and each way to its own end; who, where to and which address hold all the same.
import { once } from 'node:events'
import { connect, type Socket } from 'node:net'
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest'
import { agentId, agentsListener, openGate, type TestGate } from '../support/gate.ts'
import { reasonOf } from '../support/through.ts'
import { rawUpstream, type Upstream } from '../support/upstream.ts'
import { WireClient } from '../support/wire-client.ts'

let upstream: Upstream
let gate: TestGate
const held: Socket[] = []

beforeAll(async () => {
  upstream = await rawUpstream((socket) => held.push(socket), { allowHalfOpen: true })
  gate =
    await openGate(`${agentsListener}resolve: { db.example: [127.0.0.1], private.example: [127.0.0.1], quiet.example: [127.0.0.1] }
destinations:
  database: { hosts: [db.example], protocol: opaque, ports: [${upstream.port}], addresses: [127.0.0.0/8] }
  quiet: { hosts: [quiet.example], protocol: opaque, ports: [${upstream.port}], addresses: [127.0.0.0/8], timeouts: { idle: 250ms } }
  unmeant: { hosts: [private.example], protocol: opaque, ports: [${upstream.port}] }
  elsewhere: { hosts: [other.example], protocol: opaque, ports: [${upstream.port}] }
rules:
  - { name: agent-asks-the-database, allow: { agents: [${agentId}], to: [database, quiet, unmeant] } }
`)
})
afterAll(async () => {
  await gate[Symbol.asyncDispose]()
  await upstream.close()
})

async function tunnel(host = 'db.example'): Promise<{ client: WireClient; status: number; text: string }> {
  const client = await WireClient.open({ host: '127.0.0.1', port: gate.port(), allowHalfOpen: true })
  const { status, text } = await client.tunnel(`${host}:${upstream.port}`)
  return { client, status, text }
}

/** The other end of a tunnel that was just opened. */
const other = () =>
  vi.waitFor(() => {
    const socket = held.pop()
    if (socket === undefined) throw new Error('nothing has reached the upstream')
    return socket
  })

describe('an opaque tunnel', () => {
  it('passes any bytes, each way at once', async () => {
    const { client, status } = await tunnel()
    await using _ = client
    expect(status).toBe(200)
    const socket = await other()
    const bytes = Buffer.from(Array.from({ length: 256 }, (_, byte) => byte))
    client.send(bytes)
    const [heard] = await once(socket, 'data')
    expect(heard).toEqual(bytes)
    socket.write(bytes)
    expect(await client.exactly(256)).toEqual(bytes)
    socket.destroy()
  })

  it('lets the upstream speak first', async () => {
    const { client } = await tunnel()
    await using _ = client
    const socket = await other()
    socket.write('220 welcome\r\n')
    expect((await client.through('\r\n')).toString()).toBe('220 welcome\r\n')
    socket.destroy()
  })

  it('has what the agent sent along with its CONNECT', async () => {
    await using client = await WireClient.open({ host: '127.0.0.1', port: gate.port() })
    const authority = `db.example:${upstream.port}`
    client.send(`CONNECT ${authority} HTTP/1.1\r\nHost: ${authority}\r\n\r\nand this`)
    expect((await client.head()).status).toBe(200)
    const socket = await other()
    const [heard] = await once(socket, 'data')
    expect(String(heard)).toBe('and this')
    socket.destroy()
  })

  it('is ended one way at a time', async () => {
    const { client } = await tunnel()
    await using _ = client
    const socket = await other()
    client.send('question')
    client.socket.end()
    let question = ''
    for await (const chunk of socket.iterator({ destroyOnReturn: false })) question += chunk
    expect(question).toBe('question')
    // The agent has ended; the answer still comes.
    socket.end('answer')
    expect((await client.rest()).toString()).toBe('answer')
    await vi.waitFor(async () => {
      const records = await gate.records(1)
      expect(records.at(-1)).toMatchObject({
        kind: 'tunnel',
        outcome: 'allowed',
        destination: { name: 'database', host: 'db.example', address: '127.0.0.1' },
        decision: { rule: 'agent-asks-the-database' },
        request: { method: 'CONNECT', bytes: 8 },
        response: { bytes: 6, ended: 'complete' },
      })
    })
  })

  it('is ended by the upstream first, and the agent still speaks', async () => {
    const { client } = await tunnel()
    await using _ = client
    const socket = await other()
    socket.end('goodbye')
    expect((await client.rest()).toString()).toBe('goodbye')
    client.send('wait')
    client.socket.end()
    let heard = ''
    for await (const chunk of socket.iterator({ destroyOnReturn: false })) heard += chunk
    expect(heard).toBe('wait')
  })

  it.each(['agent', 'upstream'] as const)('that the %s tears down is torn down on the other side', async (who) => {
    const { client } = await tunnel()
    await using _ = client
    const socket = await other()
    socket.resume()
    const gone =
      who === 'agent'
        ? once(
            socket.on('error', () => {}),
            'end',
          )
        : client.rest()
    ;(who === 'agent' ? client.socket : socket).resetAndDestroy()
    await gone
    await vi.waitFor(async () => {
      const records = await gate.records(1)
      expect(records.at(-1)?.response?.ended).toBe(who === 'agent' ? 'client_gone' : 'upstream_gone')
    })
  })

  it.each([
    ['private.example', 403, 'blocked_address', 'an address that the destination does not mean'],
    ['other.example', 403, 'no_rule', 'a destination that no rule allows'],
    ['nowhere.example', 403, 'no_rule', 'a host that nobody named'],
  ])('to %s is refused: %i %s (%s)', async (host, status, reason) => {
    const answer = await tunnel(host)
    await using _ = answer.client
    expect(answer.status).toBe(status)
    expect(reasonOf(answer)).toBe(reason)
    expect(held).toEqual([])
  })

  it('in which nothing is said for the time that the destination gives is cut', async () => {
    const { client } = await tunnel('quiet.example')
    await using _ = client
    const socket = await other()
    // As long as something is said either way, it stays.
    for (const word of ['one', 'two', 'three']) {
      await new Promise((resolve) => setTimeout(resolve, 150))
      client.send(word)
      await once(socket, 'data')
    }
    expect((await client.rest()).toString()).toBe('')
    await vi.waitFor(async () => {
      const records = await gate.records(1)
      expect(records.at(-1)).toMatchObject({
        response: { ended: 'upstream_gone' },
        refusal: { reason: 'upstream_timeout' },
      })
    })
  })

  it('is cut when the proxy ends', async () => {
    const port = gate.port()
    const { client } = await tunnel()
    await using _ = client
    const socket = await other()
    const gone = Promise.all([client.rest(), once(socket.resume(), 'end')])
    await gate.gate.close('test over')
    await gone
    const [error] = await once(connect(port, '127.0.0.1'), 'error')
    expect(error).toMatchObject({ code: 'ECONNREFUSED' })
  })
})
