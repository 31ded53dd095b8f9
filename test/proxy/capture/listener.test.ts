import { once } from 'node:events'
import { connect as connectTcp, createServer as createTcpServer, type Socket } from 'node:net'
import { connect as connectTls } from 'node:tls'
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { LeafIssuer } from '../../../certs/leaf-issuer.ts'
import { PodAuthority } from '../../../certs/pod-authority.ts'
import type { SpiffeId } from '../../../certs/spiffe-id.ts'
import { type Doors, Listener } from '../../../proxy/capture/listener.ts'
import type { Answer, Captured, FailedConnection } from '../../../proxy/exchange.ts'
import { Refusal } from '../../../proxy/refusal.ts'
import { listenerOptions } from '../../support/listener-options.ts'

const caller = { id: 'spiffe://acme.example/agent' as SpiffeId, proofs: ['kernel'] } as const
const authority = new PodAuthority({ now: Date.now })
const leaves = new LeafIssuer(authority, { now: Date.now })

/** Answers every captured request with what was captured of it. */
class Recorder implements Doors {
  readonly captured: Captured[] = []
  readonly failures: FailedConnection[] = []
  readonly uploads: string[] = []

  handle: Doors['handle'] = async (captured, reply) => {
    this.captured.push(captured)
    let upload = ''
    if (captured.body !== undefined) {
      try {
        for await (const chunk of captured.body) upload += String(chunk)
      } catch (error) {
        await reply.refuse(Refusal.from(error))
        return
      }
    }
    this.uploads.push(upload)
    await reply.send(answer(JSON.stringify({ method: captured.method, ...captured.target })))
  }
  tunnel: Doors['tunnel'] = async (_captured, reply) => {
    await reply.refuse(new Refusal('upstream_unreachable'))
  }
  room: Doors['room'] = () => undefined

  admit: Doors['admit'] = async (_connection, host) => {
    if (host === 'forbidden.example') return { caller, reach: 'none' }
    return { caller, reach: host === 'opaque.example' ? 'opaque' : 'inspect' }
  }
  failed: Doors['failed'] = (failure) => {
    this.failures.push(failure)
  }
}

function answer(text: string): Answer {
  return {
    status: 200,
    statusText: 'OK',
    headers: ['Content-Length', String(Buffer.byteLength(text))],
    tunnel: undefined,
    address: undefined,
    findings: [],
    body: {
      deliver(sink) {
        sink.data(Buffer.from(text))
        sink.end([])
        return { resume: () => {}, cancel: () => {} }
      },
    },
  }
}

let doors: Recorder
let listener: Listener
let port: number
const sockets: Socket[] = []

const options = () => listenerOptions(doors, leaves)

beforeEach(async () => {
  doors = new Recorder()
  listener = new Listener(options())
  const address = await listener.listen()
  port = address.kind === 'tcp' ? address.port : 0
})

afterEach(async () => {
  for (const socket of sockets.splice(0)) socket.destroy()
  await listener.close(0)
})

async function open(): Promise<Socket> {
  const socket = connectTcp({ host: '127.0.0.1', port })
  socket.on('error', () => {})
  sockets.push(socket)
  await once(socket, 'connect')
  return socket
}

/** Sends bytes and reads until the other side closes. */
async function exchange(bytes: string | Buffer): Promise<string> {
  const socket = await open()
  let got = ''
  socket.on('data', (chunk) => {
    got += chunk.toString('latin1')
  })
  socket.write(bytes)
  await once(socket, 'close')
  return got
}

async function tunnelTo(authority: string): Promise<{ socket: Socket; head: string }> {
  const socket = await open()
  socket.write(`CONNECT ${authority} HTTP/1.1\r\nHost: ${authority}\r\n\r\n`)
  const [chunk] = (await once(socket, 'data')) as [Buffer]
  return { socket, head: chunk.toString('latin1') }
}

const reasonIn = (text: string) => /"reason":"([a-z_]+)"/.exec(text)?.[1]

describe('a malformed head gets a named refusal and a record, and the connection ends', () => {
  const get = (fields: string, line = 'GET http://api.example/ HTTP/1.1') =>
    `${line}\r\nHost: api.example\r\n${fields}\r\n`
  it.each<[string, string, string]>([
    ['a request line that is none', 'HELLO\r\n\r\n', 'bad_request'],
    ['a method with a space before it', get('', ' GET http://api.example/ HTTP/1.1'), 'bad_request'],
    ['an unknown protocol', get('', 'GET http://api.example/ HTTQ/1.1'), 'bad_request'],
    ['HTTP/2.0 in a request line', get('', 'GET http://api.example/ HTTP/2.0'), 'bad_request'],
    ['no version', get('', 'GET http://api.example/'), 'bad_request'],
    ['a NUL in the target', get('', 'GET http://api.example/\0 HTTP/1.1'), 'bad_request'],
    ['a NUL in a field value', get('X-A: a\0b\r\n'), 'bad_request'],
    ['a bare CR in a field value', get('X-A: a\rb\r\n'), 'bad_request'],
    ['a bare CR in place of a line end', 'GET http://api.example/ HTTP/1.1\rHost: api.example\r\n\r\n', 'bad_request'],
    ['obs-fold', get('X-A: a\r\n b\r\n'), 'bad_request'],
    ['a space before the colon', get('X-A : a\r\n'), 'bad_request'],
    ['a field without a colon', get('X-A\r\n'), 'bad_request'],
    ['a field name with a space', get('X A: a\r\n'), 'bad_request'],
    ['an empty field name', get(': a\r\n'), 'bad_request'],
    [
      'both Content-Length and Transfer-Encoding',
      get('Content-Length: 5\r\nTransfer-Encoding: chunked\r\n'),
      'bad_request',
    ],
    [
      'Transfer-Encoding before Content-Length',
      get('Transfer-Encoding: chunked\r\nContent-Length: 5\r\n'),
      'bad_request',
    ],
    ['two Content-Length that differ', get('Content-Length: 5\r\nContent-Length: 6\r\n'), 'bad_request'],
    ['two Content-Length that agree', get('Content-Length: 5\r\nContent-Length: 5\r\n'), 'bad_request'],
    ['a list in Content-Length', get('Content-Length: 5, 5\r\n'), 'bad_request'],
    ['a signed Content-Length', get('Content-Length: +5\r\n'), 'bad_request'],
    ['a hexadecimal Content-Length', get('Content-Length: 0x5\r\n'), 'bad_request'],
    ['a negative Content-Length', get('Content-Length: -1\r\n'), 'bad_request'],
    ['an endless Content-Length', get('Content-Length: 99999999999999999999\r\n'), 'bad_request'],
    ['a coding that is not chunked', get('Transfer-Encoding: gzip\r\n'), 'bad_request'],
    ['a coding besides chunked', get('Transfer-Encoding: gzip, chunked\r\n'), 'bad_request'],
    ['chunked twice', get('Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n'), 'bad_request'],
    ['a vertical tab before chunked', get('Transfer-Encoding: \x0bchunked\r\n'), 'bad_request'],
    ['chunked in HTTP/1.0', get('Transfer-Encoding: chunked\r\n', 'POST http://api.example/ HTTP/1.0'), 'bad_request'],
    ['two Host', get('Host: api.example\r\n'), 'bad_request'],
    ['no Host', 'GET http://api.example/ HTTP/1.1\r\n\r\n', 'bad_request'],
    ['asterisk-form', get('', 'OPTIONS * HTTP/1.1'), 'bad_request'],
    ['a fragment', get('', 'GET http://api.example/#x HTTP/1.1'), 'bad_request'],
    ['user information', 'GET http://u:p@api.example/ HTTP/1.1\r\nHost: api.example\r\n\r\n', 'ambiguous_target'],
    ['an octal address', 'GET http://0177.0.0.1/ HTTP/1.1\r\nHost: 0177.0.0.1\r\n\r\n', 'ambiguous_target'],
    [
      'a mapped address',
      'GET http://[::ffff:127.0.0.1]/ HTTP/1.1\r\nHost: [::ffff:127.0.0.1]\r\n\r\n',
      'ambiguous_target',
    ],
    [
      'a port out of range',
      'GET http://api.example:70000/ HTTP/1.1\r\nHost: api.example:70000\r\n\r\n',
      'ambiguous_target',
    ],
    ['dot segments', get('', 'GET http://api.example/a/../b HTTP/1.1'), 'ambiguous_target'],
    ['another Host than the target', 'GET http://api.example/ HTTP/1.1\r\nHost: evil.example\r\n\r\n', 'misdirected'],
    ['a request to the proxy itself', 'GET / HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n', 'self_request'],
    ['a head of 40 KB', get(`X-A: ${'a'.repeat(40_000)}\r\n`), 'request_too_large'],
    ['a target of 40 KB', get('', `GET http://api.example/${'a'.repeat(40_000)} HTTP/1.1`), 'request_too_large'],
    ['more than 200 fields', get('X: 1\r\n'.repeat(201)), 'request_too_large'],
    ['CONNECT without a port', 'CONNECT api.example HTTP/1.1\r\nHost: api.example\r\n\r\n', 'bad_request'],
    ['CONNECT with a path', 'CONNECT api.example:443/x HTTP/1.1\r\nHost: api.example\r\n\r\n', 'ambiguous_target'],
    [
      'CONNECT in absolute-form',
      'CONNECT http://api.example:443 HTTP/1.1\r\nHost: api.example\r\n\r\n',
      'ambiguous_target',
    ],
    ['CONNECT with another Host', 'CONNECT api.example:443 HTTP/1.1\r\nHost: evil.example:443\r\n\r\n', 'misdirected'],
    [
      'CONNECT with another port in Host',
      'CONNECT api.example:443 HTTP/1.1\r\nHost: api.example:444\r\n\r\n',
      'misdirected',
    ],
    [
      'CONNECT where nothing could be allowed',
      'CONNECT forbidden.example:443 HTTP/1.1\r\nHost: forbidden.example:443\r\n\r\n',
      'no_rule',
    ],
  ])('%s', async (_name, bytes, reason) => {
    // What follows in the same write must not be read as a request.
    const got = await exchange(
      `${bytes}GET http://smuggled.example/ HTTP/1.1\r\nHost: smuggled.example\r\nConnection: close\r\n\r\n`,
    )
    expect(got).toMatch(/^HTTP\/1\.1 4\d\d /)
    expect(got).toContain('application/problem+json')
    expect(reasonIn(got)).toBe(reason)
    expect(doors.failures.map((failure) => failure.refusal.reason)[0]).toBe(reason)
    expect(doors.captured).toEqual([])
  })

  it.each<[string, string]>([
    ['a size that is none', 'zz\r\nhello\r\n0\r\n\r\n'],
    ['a negative size', '-5\r\nhello\r\n0\r\n\r\n'],
    ['an endless size', 'ffffffffffffffffff\r\nhello\r\n0\r\n\r\n'],
    ['a chunk without its line end', '5\r\nhelloX0\r\n\r\n'],
    ['a bare LF after the size', '5\nhello\r\n0\r\n\r\n'],
  ])('a chunked body with %s', async (_name, body) => {
    const got = await exchange(
      `POST http://api.example/ HTTP/1.1\r\nHost: api.example\r\nTransfer-Encoding: chunked\r\n\r\n${body}`,
    )
    expect(got).not.toContain('HTTP/1.1 200')
    expect(doors.uploads).toEqual([])
  })
})

describe('a well-formed request', () => {
  it('is captured with its target, and its answer carries its id', async () => {
    const got = await exchange(
      'GET http://API.example:8080/a/%62?q=1 HTTP/1.1\r\nHost: api.example:8080\r\nConnection: close\r\n\r\n',
    )
    expect(got).toContain('HTTP/1.1 200 OK')
    expect(got).toContain(
      '{"method":"GET","scheme":"http","host":"api.example","port":8080,"path":"/a/b","query":"?q=1"}',
    )
    expect(got).toContain(`Postern-Request-Id: ${doors.captured[0]?.id}`)
  })

  it('may follow another on the same connection, sent before the first is answered', async () => {
    const one = (path: string, fields = '') =>
      `GET http://api.example${path} HTTP/1.1\r\nHost: api.example\r\n${fields}\r\n`
    const got = await exchange(one('/1') + one('/2') + one('/3', 'Connection: close\r\n'))
    expect(doors.captured.map(({ target }) => target.path)).toEqual(['/1', '/2', '/3'])
    expect([...got.matchAll(/"path":"(\/\d)"/g)].map((match) => match[1])).toEqual(['/1', '/2', '/3'])
  })

  it('with a chunked body is read to its end, trailers left out', async () => {
    await exchange(
      'POST http://api.example/ HTTP/1.1\r\nHost: api.example\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n5\r\nhello\r\n6;x=y\r\n world\r\n0\r\nX-T: 1\r\n\r\n',
    )
    expect(doors.uploads).toEqual(['hello world'])
    expect(doors.captured[0]?.body?.passed).toBe(11)
  })

  it('is answered on a server that somebody else opened', async () => {
    await listener.close(0)
    const handed = createTcpServer(() => expect.unreachable('the server of before')).listen(0, '127.0.0.1')
    await once(handed, 'listening')
    listener = new Listener({ ...options(), address: { kind: 'tcp', host: '127.0.0.1', port: 1 } })
    const address = await listener.listen(handed)
    port = address.kind === 'tcp' ? address.port : 0
    expect(port).toBeGreaterThan(1)
    expect(
      await exchange('GET http://api.example/ HTTP/1.1\r\nHost: api.example\r\nConnection: close\r\n\r\n'),
    ).toMatch(/^HTTP\/1\.1 200 /)
    await listener.close(0)
    const [error] = await once(connectTcp(port, '127.0.0.1'), 'error')
    expect(error).toMatchObject({ code: 'ECONNREFUSED' })
  })

  it('that expects 100 Continue gets it when its body is wanted', async () => {
    const socket = await open()
    socket.write(
      'POST http://api.example/ HTTP/1.1\r\nHost: api.example\r\nContent-Length: 2\r\nExpect: 100-continue\r\n\r\n',
    )
    const [first] = (await once(socket, 'data')) as [Buffer]
    expect(first.toString()).toBe('HTTP/1.1 100 Continue\r\n\r\n')
    socket.write('ok')
    const [second] = (await once(socket, 'data')) as [Buffer]
    expect(second.toString()).toContain('HTTP/1.1 200 OK')
    expect(doors.uploads).toEqual(['ok'])
  })

  it('that asks for h2c is answered in HTTP/1.1', async () => {
    const got = await exchange(
      'GET http://api.example/ HTTP/1.1\r\nHost: api.example\r\nConnection: Upgrade, HTTP2-Settings, close\r\nUpgrade: h2c\r\nHTTP2-Settings: AAAA\r\n\r\n',
    )
    expect(got).toContain('HTTP/1.1 200 OK')
    expect(doors.captured[0]?.upgrade).toBeUndefined()
  })

  it('whose upload breaks off ends without an answer', async () => {
    const socket = await open()
    socket.write('POST http://api.example/ HTTP/1.1\r\nHost: api.example\r\nContent-Length: 10\r\n\r\nhal')
    await vi.waitFor(() => expect(doors.captured).toHaveLength(1))
    socket.destroy()
    await vi.waitFor(() => expect(doors.captured[0]?.body?.destroyed).toBe(true))
    expect(doors.uploads).toEqual([])
  })
})

describe('a tunnel', () => {
  const trusting = (socket: Socket, servername: string | undefined, ALPNProtocols: string[] = []) =>
    connectTls({
      socket,
      ca: authority.certificatePem,
      ALPNProtocols,
      ...(servername === undefined ? {} : { servername }),
    })

  it('with TLS for the same host is read with a leaf for exactly that host', async () => {
    const { socket, head } = await tunnelTo('api.example:443')
    expect(head).toBe('HTTP/1.1 200 Connection Established\r\n\r\n')
    const secured = trusting(socket, 'api.example', ['h2', 'http/1.1'])
    await once(secured, 'secureConnect')
    expect(secured.alpnProtocol).toBe('http/1.1')
    expect(secured.getPeerCertificate().subjectaltname).toBe('DNS:api.example')
    secured.write('GET /inside HTTP/1.1\r\nHost: api.example\r\n\r\n')
    const [chunk] = (await once(secured, 'data')) as [Buffer]
    expect(chunk.toString()).toContain('"scheme":"https","host":"api.example","port":443,"path":"/inside"')
  })

  it('to an IP literal is read with a leaf for that address', async () => {
    const { socket } = await tunnelTo('192.0.2.7:8443')
    const secured = connectTls({ socket, ca: authority.certificatePem, host: '192.0.2.7' })
    await once(secured, 'secureConnect')
    expect(secured.getPeerCertificate().subjectaltname).toBe('IP Address:192.0.2.7')
  })

  it('with plain HTTP is read as http', async () => {
    const { socket } = await tunnelTo('api.example:8080')
    socket.write('GET /plain HTTP/1.1\r\nHost: api.example:8080\r\n\r\n')
    const [chunk] = (await once(socket, 'data')) as [Buffer]
    expect(chunk.toString()).toContain('"scheme":"http","host":"api.example","port":8080,"path":"/plain"')
  })

  it.each<[string, string, string, string]>([
    ['another Host', 'GET / HTTP/1.1\r\nHost: evil.example\r\n\r\n', 'misdirected', '421'],
    ['another port in Host', 'GET / HTTP/1.1\r\nHost: api.example:8443\r\n\r\n', 'misdirected', '421'],
    [
      'absolute-form for another host',
      'GET https://evil.example/ HTTP/1.1\r\nHost: api.example\r\n\r\n',
      'misdirected',
      '421',
    ],
    [
      'absolute-form in another scheme',
      'GET http://api.example:443/ HTTP/1.1\r\nHost: api.example\r\n\r\n',
      'misdirected',
      '421',
    ],
    ['CONNECT inside', 'CONNECT evil.example:443 HTTP/1.1\r\nHost: evil.example:443\r\n\r\n', 'bad_request', '400'],
    ['a malformed head', 'GET / HTTP/1.1\r\nHost: api.example\r\nX : y\r\n\r\n', 'bad_request', '400'],
  ])('in which the request has %s is refused', async (_name, bytes, reason, status) => {
    const { socket } = await tunnelTo('api.example:443')
    const secured = trusting(socket, 'api.example')
    await once(secured, 'secureConnect')
    secured.write(bytes)
    const [chunk] = (await once(secured, 'data')) as [Buffer]
    expect(chunk.toString()).toContain(`HTTP/1.1 ${status} `)
    expect(reasonIn(chunk.toString())).toBe(reason)
    expect(doors.failures[0]).toMatchObject({ host: 'api.example', refusal: { reason } })
  })

  it.each<[string, string | undefined, string[], string, RegExp]>([
    ['another server name', 'evil.example', [], 'misdirected', /unrecognized.name/i],
    ['no server name', undefined, [], 'misdirected', /unrecognized.name/i],
    ['no HTTP/1.1 by ALPN', 'api.example', ['h2'], 'unsupported_protocol', /no.application.protocol/i],
  ])('whose TLS has %s ends with an alert', async (_name, servername, alpn, reason, alert) => {
    const { socket } = await tunnelTo('api.example:443')
    const secured = trusting(socket, servername, alpn)
    const [error] = (await once(secured, 'error')) as [NodeJS.ErrnoException]
    expect(`${error.code} ${error.message}`).toMatch(alert)
    expect(doors.failures[0]).toMatchObject({ host: 'api.example', caller, refusal: { reason } })
  })

  it('whose client does not trust the leaf is recorded as that', async () => {
    const { socket } = await tunnelTo('api.example:443')
    const secured = connectTls({ socket, servername: 'api.example' })
    await once(secured, 'error')
    socket.destroy()
    await vi.waitFor(() => expect(doors.failures).toHaveLength(1))
    expect(doors.failures[0]).toMatchObject({
      host: 'api.example',
      caller,
      refusal: { reason: 'client_rejected_certificate' },
    })
  })

  it('whose client leaves after the handshake without a request is recorded, with a hint', async () => {
    const { socket } = await tunnelTo('api.example:443')
    const secured = trusting(socket, 'api.example')
    await once(secured, 'secureConnect')
    secured.end()
    await vi.waitFor(() => expect(doors.failures).toHaveLength(1))
    expect(doors.failures[0]).toMatchObject({ host: 'api.example', caller, refusal: { reason: 'client_gone' } })
    expect(doors.failures[0]?.refusal.detail).toContain('does not trust the certificate')
  })

  it.each<[string, Buffer, string]>([
    ['neither TLS nor HTTP', Buffer.from('SSH-2.0-OpenSSH_9.2\r\n'), 'unsupported_protocol'],
    ['garbage in a TLS record', Buffer.concat([Buffer.from([22, 3, 1, 0, 50]), Buffer.alloc(50, 0xaa)]), 'bad_request'],
    ['an SSL 2 hello', Buffer.from([0x80, 0x2e, 0x01, 0x03, 0x01, 0, 0, 0]), 'unsupported_protocol'],
  ])('with %s is refused by name', async (_name, bytes, reason) => {
    const { socket } = await tunnelTo('api.example:443')
    socket.write(bytes)
    await once(socket, 'close')
    expect(doors.failures[0]).toMatchObject({ host: 'api.example', refusal: { reason } })
  })

  it('that the client closes without a word is recorded', async () => {
    const { socket } = await tunnelTo('api.example:443')
    socket.end()
    await vi.waitFor(() => expect(doors.failures[0]).toMatchObject({ refusal: { reason: 'client_gone' } }))
  })

  it('to an opaque destination is handed over whole', async () => {
    const { head } = await tunnelTo('opaque.example:22')
    expect(reasonIn(head)).toBe('upstream_unreachable')
  })
})
