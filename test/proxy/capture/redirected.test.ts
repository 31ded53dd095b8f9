import { once } from 'node:events'
import { connect as connectTcp, createServer, type Socket } from 'node:net'
import { connect as connectTls } from 'node:tls'
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { LeafIssuer } from '../../../certs/leaf-issuer.ts'
import { PodAuthority } from '../../../certs/pod-authority.ts'
import { parseSpiffeId } from '../../../certs/spiffe-id.ts'
import { type Doors, Listener } from '../../../proxy/capture/listener.ts'
import type { Answer, Captured, FailedConnection, Original } from '../../../proxy/exchange.ts'
import { Refusal } from '../../../proxy/refusal.ts'
import { listenerOptions } from '../../support/listener-options.ts'

const caller = { id: parseSpiffeId('spiffe://acme.example/agent'), proofs: ['kernel'] } as const
const authority = new PodAuthority({ now: Date.now })
const leaves = new LeafIssuer(authority, { now: Date.now })

let captured: Captured[]
let tunnels: Captured[]
let failures: FailedConnection[]
/** What the kernel says of connections to come. */
let original: Original | undefined
let listener: Listener
let port: number
let beyond: ReturnType<typeof createServer>
const sockets: Socket[] = []

const doors: Doors = {
  async handle(exchange, reply) {
    captured.push(exchange)
    await reply.send(answered(JSON.stringify(exchange.target)))
  },
  async tunnel(exchange, reply) {
    tunnels.push(exchange)
    const { port: at } = beyond.address() as { port: number }
    await reply.send({ ...answered(''), tunnel: connectTcp({ port: at, host: '127.0.0.1', allowHalfOpen: true }) })
  },
  room: () => undefined,
  async admit(_connection, host) {
    if (host === 'nobody.example') throw new Refusal('unidentified_caller')
    if (host.startsWith('opaque') || host === '203.0.113.9') return { caller, reach: 'opaque' }
    return { caller, reach: host === 'forbidden.example' || /^[\d:]/.test(host) ? 'none' : 'inspect' }
  },
  failed: (failure) => void failures.push(failure),
}

function answered(text: string): Answer {
  return {
    status: 200,
    statusText: 'OK',
    headers: ['Content-Length', String(text.length)],
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

beforeEach(async () => {
  captured = []
  tunnels = []
  failures = []
  original = { address: '203.0.113.7', port: 443, names: [] }
  // A server that speaks first, as those of mail and of some databases do.
  beyond = createServer((socket) => void socket.on('error', () => {}).end('220 beyond\r\n')).listen(0, '127.0.0.1')
  await once(beyond, 'listening')
  listener = new Listener(
    listenerOptions(doors, leaves, {
      name: 'pod',
      accept: 'redirected',
      redirection: {
        originalDestination: () => original,
        isOwn: (address, at) => address === '127.0.0.1' && at === port,
      },
    }),
  )
  const address = await listener.listen()
  port = address.kind === 'tcp' ? address.port : 0
})

afterEach(async () => {
  for (const socket of sockets.splice(0)) socket.destroy()
  await listener.close(0)
  beyond.close()
})

function dial(): Socket {
  const socket = connectTcp({ port, host: '127.0.0.1' })
  socket.on('error', () => {})
  sockets.push(socket)
  return socket
}

async function all(socket: Socket): Promise<string> {
  let text = ''
  socket.on('data', (chunk) => {
    text += String(chunk)
  })
  await new Promise((resolve) => socket.once('close', resolve))
  return text
}

function tls(servername: string | undefined) {
  const secure = connectTls({
    socket: dial(),
    ca: authority.certificatePem,
    ...(servername === undefined ? { checkServerIdentity: () => undefined } : { servername }),
  })
  secure.on('error', () => {})
  return secure
}

const reasons = () =>
  vi.waitFor(() => expect(failures).not.toEqual([])).then(() => failures.map((f) => f.refusal.reason))

describe('a redirected connection is refused', () => {
  it('when it was made to the proxy itself, before a byte of it is read', async () => {
    original = { address: '127.0.0.1', port, names: [] }
    const socket = dial()
    await all(socket)
    expect(await reasons()).toEqual(['self_request'])
  })

  it('when nothing had redirected it', async () => {
    original = undefined
    await all(dial())
    expect(await reasons()).toEqual(['self_request'])
  })

  it('over TLS with an alert, when its server name is one that no rule could allow', async () => {
    const secure = tls('forbidden.example')
    const [error] = await once(secure, 'error')
    expect(error.code).toBe('ERR_SSL_TLSV1_ALERT_ACCESS_DENIED')
    expect(await reasons()).toEqual(['no_rule'])
    expect(failures[0]).toMatchObject({ host: 'forbidden.example', caller, connection: { original } })
    expect(failures[0]?.refusal.detail).toContain('it had connected to 203.0.113.7')
  })

  it('over TLS, when it names no server', async () => {
    const secure = tls(undefined)
    await once(secure, 'error')
    expect(await reasons()).toEqual(['unnamed_target'])
  })

  it('when neither TLS nor HTTP is spoken', async () => {
    const socket = dial()
    socket.write('\0\0\0\0')
    await all(socket)
    expect(await reasons()).toEqual(['unnamed_target'])
  })

  it('when its caller cannot be told, over TLS in words of TLS', async () => {
    original = { address: '203.0.113.7', port: 443, names: ['nobody.example'] }
    const [error] = await once(tls('api.example'), 'error')
    expect(error.code).toBe('ERR_SSL_TLSV1_ALERT_ACCESS_DENIED')
    expect(await reasons()).toEqual(['unidentified_caller'])
  })

  it('in clear, when it names no host, another port, or a proxy elsewhere', async () => {
    original = { address: '203.0.113.7', port: 80, names: [] }
    for (const [head, status, reason] of [
      ['GET / HTTP/1.0\r\n\r\n', 400, 'unnamed_target'],
      ['GET / HTTP/1.1\r\nHost: api.example:8080\r\n\r\n', 421, 'misdirected'],
      ['GET http://other.example/ HTTP/1.1\r\nHost: api.example\r\n\r\n', 421, 'misdirected'],
      ['CONNECT api.example:443 HTTP/1.1\r\nHost: api.example:443\r\n\r\n', 400, 'bad_request'],
    ] as const) {
      const socket = dial()
      socket.end(head)
      expect(await all(socket)).toMatch(new RegExp(`^HTTP/1.1 ${status} .*"reason":"${reason}"`, 's'))
      expect(failures.at(-1)?.refusal.reason).toBe(reason)
    }
    expect(captured).toEqual([])
  })
})

describe('a redirected connection is taken', () => {
  it('over TLS for the host of its server name, at the port that it connected to', async () => {
    original = { address: '203.0.113.7', port: 8_443, names: [] }
    const secure = tls('api.example')
    secure.end('GET /v1?a=b HTTP/1.1\r\nHost: api.example:8443\r\nConnection: close\r\n\r\n')
    expect(await all(secure)).toMatch(/^HTTP\/1\.1 200 /)
    const target = { scheme: 'https', host: 'api.example', port: 8_443, path: '/v1', query: '?a=b' }
    expect(captured).toMatchObject([{ target, connection: { original, accept: 'redirected' } }])
  })

  it('over TLS, and a Host that is not the server name is refused', async () => {
    const secure = tls('api.example')
    secure.end('GET / HTTP/1.1\r\nHost: other.example\r\nConnection: close\r\n\r\n')
    expect(await all(secure)).toContain('"reason":"misdirected"')
  })

  it('over TLS, though the ClientHello comes byte by byte', async () => {
    // Bytes of a real hello, held back and let through one by one.
    const relay = createServer((near) => {
      const far = dial()
      near
        .on('error', () => far.destroy())
        .on('data', (bytes) => {
          for (const byte of Buffer.from(bytes)) far.write(Uint8Array.of(byte))
        })
      far.setNoDelay(true).pipe(near)
    }).listen(0, '127.0.0.1')
    await once(relay, 'listening')
    const near = connectTcp({ port: (relay.address() as { port: number }).port, host: '127.0.0.1' })
    const secure = connectTls({ socket: near, servername: 'api.example', ca: authority.certificatePem })
    sockets.push(secure)
    secure.write('GET / HTTP/1.1\r\nHost: api.example\r\nConnection: close\r\n\r\n')
    expect(await all(secure)).toMatch(/^HTTP\/1\.1 200 /)
    relay.close()
  })

  it('in clear for the host that each request names, and a body in pieces comes whole', async () => {
    original = { address: '203.0.113.7', port: 80, names: [] }
    const socket = dial()
    socket.write('GET /a HTTP/1.1\r\nHost: one.example\r\n\r\n')
    await once(socket, 'data')
    socket.end('GET /b HTTP/1.1\r\nHost: two.example\r\nConnection: close\r\n\r\n')
    await all(socket)
    expect(captured.map(({ target }) => `${target.scheme}://${target.host}:${target.port}${target.path}`)).toEqual([
      'http://one.example:80/a',
      'http://two.example:80/b',
    ])
  })

  it('unseen, when its address and port are listed as opaque, before it has said anything', async () => {
    original = { address: '203.0.113.9', port: 25, names: [] }
    expect(await all(dial())).toBe('220 beyond\r\n')
    expect(tunnels).toMatchObject([{ method: 'CONNECT', target: { host: '203.0.113.9', port: 25 } }])
  })

  it('unseen, when its address was given out for one host, which is opaque', async () => {
    original = { address: '203.0.113.7', port: 25, names: ['opaque.example', 'forbidden.example'] }
    expect(await all(dial())).toBe('220 beyond\r\n')
    expect(tunnels).toMatchObject([{ target: { host: 'opaque.example', port: 25 } }])
  })

  it('and looked into, when its address was given out for an opaque host and another one', async () => {
    original = { address: '203.0.113.7', port: 443, names: ['opaque.example', 'api.example'] }
    const secure = tls('api.example')
    secure.end('GET / HTTP/1.1\r\nHost: api.example\r\nConnection: close\r\n\r\n')
    expect(await all(secure)).toMatch(/^HTTP\/1\.1 200 /)
    expect(tunnels).toEqual([])
  })
})
