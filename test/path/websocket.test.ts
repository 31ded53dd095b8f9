// WebSockets: the credential goes with the handshake, and what the server gives back of it is blanked in the frames.
import { createHash } from 'node:crypto'
import { once } from 'node:events'
import type { IncomingMessage } from 'node:http'
import type { Duplex } from 'node:stream'
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest'
import { mostDue } from '../../proxy/redact/websocket.ts'
import { type Credentialed, credentialed } from '../support/credentialed.ts'
import type { WireClient, WireHead } from '../support/wire-client.ts'

const canary = 'canary-81d3a60be5f2'
const blanked = '*'.repeat(canary.length)

const text = 1
const close = 8
const ping = 9
const pong = 10

interface Frame {
  readonly opcode: number
  readonly final: boolean
  readonly payload: string
}

/** RFC 6455 §5.2. @param mask as clients do */
function frame(
  opcode: number,
  payload: string,
  { final = true, mask }: { final?: boolean; mask?: Buffer } = {},
): Buffer {
  const content = Buffer.from(payload)
  const masked = mask === undefined ? 0 : 0x80
  const length =
    content.length < 126 ? [masked | content.length] : [masked | 126, content.length >> 8, content.length & 0xff]
  for (let at = 0; mask !== undefined && at < content.length; at++)
    content[at] = (content[at] ?? 0) ^ (mask[at % 4] ?? 0)
  return Buffer.concat([Buffer.from([(final ? 0x80 : 0) | opcode, ...length]), mask ?? Buffer.alloc(0), content])
}

const fromClient = (opcode: number, payload: string) => frame(opcode, payload, { mask: Buffer.from('mask') })

async function nextFrame(client: WireClient): Promise<Frame> {
  const head = await client.exactly(2)
  const first = head.readUInt8(0)
  let length = head.readUInt8(1)
  if (length === 126) length = (await client.exactly(2)).readUInt16BE(0)
  const payload = (await client.exactly(length)).toString()
  return { opcode: first & 0x0f, final: (first & 0x80) !== 0, payload }
}

/** One upgraded connection as the upstream has it. */
interface Held {
  readonly request: IncomingMessage
  readonly socket: Duplex
}

let world: Credentialed
let blocking: Credentialed
let quiet: Credentialed
const held: Held[] = []

function accept(request: IncomingMessage, socket: Duplex): void {
  if (request.url === '/refused') {
    socket.end('HTTP/1.1 403 Forbidden\r\nContent-Length: 7\r\n\r\nnot you')
    return
  }
  const key = createHash('sha1').update(`${request.headers['sec-websocket-key']}258EAFA5-E914-47DA-95CA-C5AB0DC85B11`)
  const debug = request.url === '/quiet' ? '' : `X-Debug: ${request.headers.authorization}\r\n`
  socket.on('error', () => {})
  socket.write(
    `HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: ${key.digest('base64')}\r\n${debug}\r\n`,
  )
  if (request.url === '/pings') socket.on('data', () => socket.write(frame(pong, '')))
  else held.push({ request, socket })
}

beforeAll(async () => {
  world = await credentialed(() => {}, canary)
  blocking = await credentialed(() => {}, canary, { destination: 'echo: block' })
  quiet = await credentialed(() => {}, canary, { destination: 'timeouts: { idle: 200ms }' })
  for (const { upstream } of [world, blocking, quiet]) upstream.server.on('upgrade', accept)
})
afterAll(async () => {
  await world[Symbol.asyncDispose]()
  await blocking[Symbol.asyncDispose]()
  await quiet[Symbol.asyncDispose]()
})

async function handshake(client: WireClient, { authority }: Credentialed, path = '/socket'): Promise<WireHead> {
  client.send(
    [
      `GET ${path} HTTP/1.1`,
      `Host: ${authority}`,
      'Connection: Upgrade',
      'Upgrade: websocket',
      'Sec-WebSocket-Version: 13',
      'Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==',
      'Sec-WebSocket-Extensions: permessage-deflate',
      '',
      '',
    ].join('\r\n'),
  )
  return client.head()
}

async function connected(
  client: WireClient,
  to: Credentialed,
  path?: string,
): Promise<Held & { readonly head: WireHead }> {
  const head = await handshake(client, to, path)
  expect(head.status).toBe(101)
  const last = held.pop()
  if (last === undefined) throw new Error('nothing was upgraded')
  return { ...last, head }
}

describe('a WebSocket', () => {
  it('is opened with the credential, and with no extension, which would hide what is said', async () => {
    await using client = await world.open()
    const { request, head, socket } = await connected(client, world)
    expect(request.headers.authorization).toBe(`Bearer ${canary}`)
    expect(request.headers['sec-websocket-extensions']).toBeUndefined()
    expect(head.field('sec-websocket-accept')).toBe('s3pPLMBiTxaQ9kYGzzhZRbK+xOo=')
    expect(head.field('x-debug')).toBe(`Bearer ${blanked}`)
    socket.destroy()
  })

  it('is read on after its handshake, however many are opened at once', async () => {
    const answered = await Promise.all(
      Array.from({ length: 200 }, async () => {
        await using client = await world.open()
        const { status } = await handshake(client, world, '/pings')
        client.send(fromClient(ping, ''))
        return { status, ...(await nextFrame(client)) }
      }),
    )
    expect(answered.filter(({ status, opcode }) => status === 101 && opcode === pong)).toHaveLength(200)
  }, 30_000)

  it('passes frames both ways, byte for byte', async () => {
    await using client = await world.open()
    const { socket } = await connected(client, world)
    const said = fromClient(text, 'what the agent says')
    client.send(said)
    const [heard] = await once(socket, 'data')
    expect(heard).toEqual(said)
    for (const each of [frame(text, 'hello'), frame(text, 'x'.repeat(5_000)), frame(ping, 'still there?')]) {
      socket.write(each)
      expect(await client.exactly(each.length)).toEqual(each)
    }
    socket.destroy()
  })

  it('gives nothing of the credential back, however the frames are cut', async () => {
    await using client = await world.open()
    const { socket } = await connected(client, world)
    socket.write(frame(text, `you said ${canary}.`))
    expect(await nextFrame(client)).toEqual({ opcode: text, final: true, payload: `you said ${blanked}.` })
    // In two fragments, with a ping between them, and the bytes in pieces of their own.
    const bytes = Buffer.concat([
      frame(text, `you said ${canary.slice(0, 9)}`, { final: false }),
      frame(ping, canary),
      frame(0, `${canary.slice(9)}.`),
      frame(pong, 'and then'),
    ])
    for (const byte of bytes) socket.write(Buffer.of(byte))
    const frames = []
    for (let count = 0; count < 4; count++) frames.push(await nextFrame(client))
    expect(frames.filter(({ opcode }) => opcode < close).map(({ payload }) => payload)).toEqual([
      `you said ${'*'.repeat(9)}`,
      `${'*'.repeat(canary.length - 9)}.`,
    ])
    expect(frames.filter(({ opcode }) => opcode >= close)).toEqual([
      { opcode: ping, final: true, payload: blanked },
      { opcode: pong, final: true, payload: 'and then' },
    ])
    socket.end(frame(close, ''))
    expect(await nextFrame(client)).toEqual({ opcode: close, final: true, payload: '' })
    await vi.waitFor(async () => {
      const records = await world.gate.records(1)
      expect(records.at(-1)).toMatchObject({
        outcome: 'allowed',
        response: { status: 101 },
        findings: expect.arrayContaining([
          { kind: 'secret_echoed', where: 'header:x-debug', count: 1 },
          { kind: 'secret_echoed', where: 'tunnel', count: 3 },
        ]),
      })
    })
  })

  it('is closed at the upstream when the agent is gone, and the other way round', async () => {
    await using leaving = await world.open()
    const left = await connected(leaving, world)
    leaving.socket.destroy()
    await once(left.socket, 'close')

    await using staying = await world.open()
    const { socket } = await connected(staying, world)
    socket.write(frame(text, 'last words'))
    socket.end()
    expect((await nextFrame(staying)).payload).toBe('last words')
    expect(await staying.some()).toBeUndefined()
  })

  it('that the upstream refuses is an ordinary answer', async () => {
    await using client = await world.open()
    const head = await handshake(client, world, '/refused')
    expect(head.status).toBe(403)
    expect((await client.exactly(7)).toString()).toBe('not you')
  })

  it('in which nothing is said for the time that the destination gives is cut', async () => {
    await using client = await quiet.open()
    const { socket } = await connected(client, quiet)
    socket.write(frame(text, 'hello'))
    expect((await nextFrame(client)).payload).toBe('hello')
    expect(await client.some()).toBeUndefined()
    const records = await quiet.gate.records(1)
    expect(records.at(-1)).toMatchObject({
      response: { status: 101, ended: 'upstream_gone' },
      refusal: { reason: 'upstream_timeout' },
    })
  })

  it('is cut when more frames wait for the end of what may be the credential than may, and not before', async () => {
    await using client = await world.open()
    const { socket } = await connected(client, world)
    const open = frame(text, canary.slice(0, 6), { final: false })
    const pings = Buffer.concat(Array<Buffer>(mostDue - 1).fill(frame(ping, '')))
    // Those that wait go out when it turns out to be something else.
    socket.write(Buffer.concat([open, pings.subarray(2), frame(0, '.')]))
    expect(await client.exactly(open.length + pings.length - 2 + 3)).toHaveLength(open.length + pings.length + 1)
    socket.write(Buffer.concat([open, pings, frame(ping, '')]))
    const before = (await client.rest()).toString('latin1')
    expect(before).not.toContain('c')
    await vi.waitFor(() => expect(socket.closed).toBe(true))
    await vi.waitFor(async () => {
      const records = await world.gate.records(1)
      expect(records.at(-1)).toMatchObject({
        response: { status: 101, ended: 'cut' },
        refusal: { reason: 'response_uninspectable' },
      })
    })
  })

  it('whose handshake gives the credential back is refused where the destination says block', async () => {
    await using client = await blocking.open()
    expect((await handshake(client, blocking)).status).toBe(502)
    const [record] = await blocking.gate.records(1)
    expect(record).toMatchObject({ outcome: 'refused', refusal: { reason: 'secret_echoed' } })
    const socket = held.pop()?.socket
    await vi.waitFor(() => expect(socket?.closed).toBe(true))
  })

  it('that gives it back in a frame is cut there where the destination says block', async () => {
    await using client = await blocking.open()
    const { socket } = await connected(client, blocking, '/quiet')
    socket.write(frame(text, 'hello'))
    expect((await nextFrame(client)).payload).toBe('hello')
    socket.write(frame(text, `you said ${canary}`))
    expect(await client.some()).toBeUndefined()
    await vi.waitFor(() => expect(socket.closed).toBe(true))
    const records = await blocking.gate.records(2)
    expect(records.at(-1)).toMatchObject({
      response: { status: 101, ended: 'cut' },
      refusal: { reason: 'secret_echoed' },
      findings: [{ kind: 'secret_echoed', where: 'tunnel', count: 1 }],
    })
  })
})
