import { once } from 'node:events'
import { createServer, type Socket } from 'node:net'
import { connect } from 'node:tls'
import fc from 'fast-check'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { readClientHello } from '../../../proxy/capture/client-hello.ts'

/** What this Node's own TLS client sends. */
async function helloOf(options: {
  servername?: string
  ALPNProtocols?: string[]
  maxVersion?: 'TLSv1.2' | 'TLSv1.3'
}): Promise<Buffer> {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const address = server.address()
  if (address === null || typeof address === 'string') throw new Error('no port')
  const client = connect({ host: '127.0.0.1', port: address.port, rejectUnauthorized: false, ...options })
  client.on('error', () => {})
  const [socket] = (await once(server, 'connection')) as [Socket]
  let bytes = Buffer.alloc(0)
  while (readClientHello(bytes).state === 'more') {
    const [chunk] = (await once(socket, 'data')) as [Buffer]
    bytes = Buffer.concat([bytes, chunk])
  }
  client.destroy()
  socket.destroy()
  server.close()
  return bytes
}

const record = (payload: Uint8Array, minor = 1) =>
  Buffer.concat([Buffer.from([22, 3, minor, payload.length >> 8, payload.length & 0xff]), payload])

/** The handshake message inside the records of `bytes`. */
function messageOf(bytes: Buffer): Buffer {
  const parts: Buffer[] = []
  for (let at = 0; at < bytes.length; ) {
    const length = bytes.readUInt16BE(at + 3)
    parts.push(bytes.subarray(at + 5, at + 5 + length))
    at += 5 + length
  }
  return Buffer.concat(parts)
}

describe('the ClientHello', () => {
  let hello: Buffer
  beforeAll(async () => {
    hello = await helloOf({ servername: 'api.example', ALPNProtocols: ['h2', 'http/1.1'] })
  })

  it('of a real client tells server name and ALPN', () => {
    expect(readClientHello(hello)).toEqual({
      state: 'hello',
      hello: { serverName: 'api.example', alpn: ['h2', 'http/1.1'] },
    })
  })

  it('of TLS 1.2, without server name and ALPN, is read too', async () => {
    expect(readClientHello(await helloOf({ maxVersion: 'TLSv1.2' }))).toEqual({
      state: 'hello',
      hello: { serverName: undefined, alpn: [] },
    })
  })

  it('asks for more at every point before its end', () => {
    for (let length = 0; length < hello.length; length += 1)
      expect(readClientHello(hello.subarray(0, length)).state).toBe('more')
  })

  it('is read when it is spread over records of any size', () => {
    const message = messageOf(hello)
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 700 }), (size) => {
        const records: Buffer[] = []
        for (let at = 0; at < message.length; at += size) records.push(record(message.subarray(at, at + size)))
        expect(readClientHello(Buffer.concat(records))).toMatchObject({
          state: 'hello',
          hello: { serverName: 'api.example' },
        })
      }),
      { numRuns: 60 },
    )
  })

  it('is not looked for in what is not TLS', () => {
    expect(readClientHello(Buffer.from('GET / HTTP/1.1\r\n')).state).toBe('not-tls')
    expect(readClientHello(Buffer.from([0x80, 0x2e, 1, 3, 1])).state).toBe('not-tls')
    expect(readClientHello(Buffer.from([22, 2])).state).toBe('not-tls')
  })

  const corrupted = (change: (message: Buffer) => void) => {
    const message = Buffer.from(messageOf(hello))
    change(message)
    return readClientHello(record(message))
  }
  const serverNameAt = () => messageOf(hello).indexOf(Buffer.from('api.example')) - 9

  it.each<[string, () => unknown]>([
    ['another handshake message', () => corrupted((message) => message.writeUInt8(2, 0))],
    ['SSL 3', () => corrupted((message) => message.writeUInt16BE(0x0300, 4))],
    ['a session id beyond 32 bytes', () => corrupted((message) => message.writeUInt8(33, 38))],
    ['an empty record', () => readClientHello(Buffer.from([22, 3, 1, 0, 0]))],
    ['a record beyond 16 KiB', () => readClientHello(Buffer.from([22, 3, 1, 0x40, 1]))],
    ['a message of 64 KB and a byte', () => readClientHello(record(Buffer.from([1, 1, 0, 1])))],
    ['a message of 16 MB', () => readClientHello(record(Buffer.from([1, 0xff, 0xff, 0xff])))],
    [
      'another record in between',
      () =>
        readClientHello(
          Buffer.concat([record(messageOf(hello).subarray(0, 100)), Buffer.from([21, 3, 1, 0, 2, 2, 40])]),
        ),
    ],
    [
      'extensions longer than the message',
      () => corrupted((message) => message.writeUInt16BE(0xffff, serverNameAt() + 2)),
    ],
    ['a server name of another type', () => corrupted((message) => message.writeUInt8(1, serverNameAt() + 6))],
    ['a server name longer than its list', () => corrupted((message) => message.writeUInt16BE(12, serverNameAt() + 7))],
    [
      'a server name shorter than its list',
      () => corrupted((message) => message.writeUInt16BE(10, serverNameAt() + 7)),
    ],
    ['a NUL in the server name', () => corrupted((message) => message.writeUInt8(0, serverNameAt() + 12))],
  ])('with %s is malformed', (_name, read) => {
    expect(read()).toMatchObject({ state: 'malformed' })
  })

  it('with the same extension twice is malformed', () => {
    const body = Buffer.concat([Buffer.from([3, 3]), Buffer.alloc(32), Buffer.from([0, 0, 2, 0x13, 1, 1, 0])])
    const extension = Buffer.from([0, 23, 0, 0])
    const extensions = Buffer.concat([Buffer.from([0, 8]), extension, extension])
    const message = Buffer.concat([Buffer.from([1, 0, 0, body.length + extensions.length]), body, extensions])
    expect(readClientHello(record(message))).toEqual({ state: 'malformed', why: 'an extension twice' })
  })

  it('made of anything is read, asked more of or refused, and never throws', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 600 }), (bytes) => {
        expect(['hello', 'more', 'not-tls', 'malformed']).toContain(readClientHello(bytes).state)
        expect(['hello', 'more', 'malformed']).toContain(
          readClientHello(Buffer.concat([Buffer.from([22, 3, 1]), bytes])).state,
        )
      }),
      { numRuns: 5000 },
    )
  })

  it('with any one byte changed never throws', () => {
    fc.assert(
      fc.property(fc.nat({ max: 2000 }), fc.integer({ min: 1, max: 255 }), (at, change) => {
        const bytes = Buffer.from(hello)
        const index = at % bytes.length
        bytes.writeUInt8((bytes[index] ?? 0) ^ change, index)
        expect(['hello', 'more', 'not-tls', 'malformed']).toContain(readClientHello(bytes).state)
      }),
      { numRuns: 5000 },
    )
  })

  afterAll(() => {
    hello = Buffer.alloc(0)
  })
})
