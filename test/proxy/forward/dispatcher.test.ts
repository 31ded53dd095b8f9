import { once } from 'node:events'
import type { RequestListener } from 'node:http'
import { Readable } from 'node:stream'
import { setImmediate as turn } from 'node:timers/promises'
import { afterEach, describe, expect, it, vi } from 'vitest'
import { parseSpiffeId } from '../../../certs/spiffe-id.ts'
import { canonicalHost } from '../../../proxy/capture/target.ts'
import { type Answer, type Destination, type Injected, OutgoingHead } from '../../../proxy/exchange.ts'
import { PooledForwarder } from '../../../proxy/forward/dispatcher.ts'
import { ownPorts } from '../../../proxy/forward/own.ts'
import { createResolver } from '../../../proxy/forward/resolver.ts'
import { Refusal } from '../../../proxy/refusal.ts'
import { makeAuthority, makeServerCertificate } from '../../support/pki.ts'
import { type HttpsUpstream, httpsUpstream, rawUpstream, type Upstream } from '../../support/upstream.ts'

const closing: (() => Promise<unknown>)[] = []
afterEach(async () => {
  for (const close of closing.splice(0).reverse()) await close()
})

interface Setting {
  readonly host?: string
  readonly port: number
  readonly scheme?: 'http' | 'https'
  readonly destination?: Partial<Destination>
  readonly resolve?: Record<string, readonly string[]>
  readonly own?: readonly number[]
}

/** A forwarder, and one request after another through it. */
function forwarding({ host = 'api.example', port, scheme = 'https', destination = {}, resolve, own = [] }: Setting) {
  const forwarder = new PooledForwarder(
    createResolver(() => resolve ?? { [host]: ['127.0.0.1'] }),
    ownPorts(new Set(own), () => []),
  )
  closing.push(() => forwarder.close(new Error('test over')))
  const there: Destination = {
    name: 'api',
    hosts: [host],
    protocol: scheme,
    ports: [port],
    addresses: ['127.0.0.0/8'],
    ca: [],
    echo: 'redact',
    timeouts: { connect: 2_000, headers: 2_000, idle: 2_000 },
    ...destination,
  }
  const id = parseSpiffeId('spiffe://acme.example/agent')
  const request = (
    method: string,
    path: string,
    more: Partial<Injected> = {},
    headers: readonly string[] = [],
  ): Injected => ({
    id: 'request',
    receivedAt: 0,
    connection: {
      id: 'connection',
      listener: 'test',
      accept: 'http-proxy',
      transport: 'tcp',
      remoteAddress: '127.0.0.1',
      remotePort: 1,
      localAddress: '127.0.0.1',
      localPort: 2,
      peerCertificates: [],
      proxyAuthorization: undefined,
    },
    method,
    target: { scheme, host: canonicalHost(host), port, path, query: '' },
    headers: [],
    body: undefined,
    upgrade: undefined,
    caller: { id, proofs: ['kernel'] },
    principal: { kind: 'agent', id },
    chain: { depth: 0, hops: [] },
    grant: { verdict: 'allow', rule: 'r', destination: 'api', credential: undefined, shadows: [] },
    destination: there,
    lease: undefined,
    outgoing: new OutgoingHead(method, path, ['host', `${host}:${port}`, ...headers]),
    emitted: [],
    findings: [],
    ...more,
  })
  const send = (
    method = 'GET',
    path = '/',
    more: Partial<Injected> = {},
    headers: readonly string[] = [],
    signal = new AbortController().signal,
  ) => forwarder.forward(request(method, path, more, headers), signal)
  return { forwarder, send, request }
}

const reasonOf = async (answer: Promise<unknown>): Promise<string> => {
  try {
    await answer
  } catch (error) {
    if (error instanceof Refusal) return error.reason
    throw error
  }
  return 'answered'
}

/** Reads a body to its end. */
function bodyOf(answer: Answer): Promise<{ text: string; trailers: readonly string[] }> {
  return new Promise((resolve, reject) => {
    let text = ''
    answer.body.deliver({
      data(chunk) {
        text += Buffer.from(chunk).toString()
        return true
      },
      end: (trailers) => resolve({ text, trailers }),
      fail: reject,
    })
  })
}

async function https(listener: RequestListener, names = ['api.example'], options = {}): Promise<HttpsUpstream> {
  const upstream = await httpsUpstream(names, listener, options)
  closing.push(() => upstream.close())
  return upstream
}

async function raw(...args: Parameters<typeof rawUpstream>): Promise<Upstream> {
  const upstream = await rawUpstream(...args)
  closing.push(() => upstream.close())
  return upstream
}

const trusting = ({ port, ca }: Upstream, more: Partial<Destination> = {}) => ({
  port,
  destination: { ca: [ca], ...more },
})

describe('an address', () => {
  it('of a range that the destination does not mean is refused, and nothing is connected to', async () => {
    const upstream = await https((_request, response) => response.end('reached'))
    const { send } = forwarding({ ...trusting(upstream), destination: { ca: [upstream.ca], addresses: [] } })
    expect(await reasonOf(send())).toBe('blocked_address')
    expect(upstream.connections()).toBe(0)
  })

  it('that is fine beside one that is not is refused with it', async () => {
    const upstream = await https((_request, response) => response.end('reached'))
    const { send } = forwarding({ ...trusting(upstream), resolve: { 'api.example': ['127.0.0.1', '169.254.169.254'] } })
    expect(await reasonOf(send())).toBe('blocked_address')
    expect(upstream.connections()).toBe(0)
  })

  it.each(['127.0.0.1', '::1', '::ffff:127.0.0.1', '127.8.8.8'])(
    '%s with the port of a listener of ours is refused',
    async (address) => {
      const { send } = forwarding({
        port: 15_001,
        own: [15_001],
        destination: { addresses: ['127.0.0.0/8', '::/96'] },
        resolve: { 'api.example': [address] },
      })
      expect(await reasonOf(send())).toBe('self_request')
    },
  )

  it('is looked up for each connection, so that a name which moves is judged again', async () => {
    const upstream = await https((_request, response) => {
      response.setHeader('Connection', 'close')
      response.end('reached')
    })
    const answers = { 'api.example': ['127.0.0.1'] }
    const { send } = forwarding({ ...trusting(upstream), resolve: answers })
    expect((await bodyOf(await send())).text).toBe('reached')
    answers['api.example'] = ['10.0.0.1']
    expect(await reasonOf(send())).toBe('blocked_address')
  })

  it('is part of the answer', async () => {
    const upstream = await https((_request, response) => response.end())
    const answer = await forwarding(trusting(upstream)).send()
    expect(answer.address).toBe('127.0.0.1')
  })

  it('that a name does not have is a reason of its own', async () => {
    const { send } = forwarding({ host: 'nowhere.invalid', port: 443, resolve: {} })
    expect(await reasonOf(send())).toBe('upstream_unresolved')
  })
})

describe('an upstream', () => {
  it('whose authority is not trusted is refused', async () => {
    const upstream = await https((_request, response) => response.end())
    expect(await reasonOf(forwarding({ port: upstream.port }).send())).toBe('upstream_untrusted')
  })

  it('whose certificate is for another name is refused', async () => {
    const upstream = await https((_request, response) => response.end(), ['other.example'])
    expect(await reasonOf(forwarding(trusting(upstream)).send())).toBe('upstream_untrusted')
  })

  it('whose certificate has expired is refused', async () => {
    const authority = makeAuthority()
    const expired = makeServerCertificate(authority, ['api.example'], { notAfter: Date.now() - 1_000 })
    const upstream = await https((_request, response) => response.end(), ['api.example'], { authority, tls: expired })
    expect(await reasonOf(forwarding(trusting(upstream)).send())).toBe('upstream_untrusted')
  })

  it('that speaks TLS 1.1 at most is refused', async () => {
    const tls = { minVersion: 'TLSv1', maxVersion: 'TLSv1.1', ciphers: 'DEFAULT:@SECLEVEL=0' }
    const upstream = await https((_request, response) => response.end(), ['api.example'], { tls })
    expect(await reasonOf(forwarding(trusting(upstream)).send())).toMatch(/^upstream_un(trusted|reachable)$/)
  })

  it('that speaks no TLS gets nothing in clear', async () => {
    let got = Buffer.alloc(0)
    const upstream = await raw((socket) => {
      socket.on('data', (chunk: Buffer) => {
        got = Buffer.concat([got, chunk])
        socket.end('HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n')
      })
    })
    expect(await reasonOf(forwarding({ port: upstream.port }).send('GET', '/in-clear'))).toMatch(/^upstream_/)
    expect(got.toString('latin1')).not.toContain('/in-clear')
  })

  it('that nobody listens for is unreachable', async () => {
    const upstream = await rawUpstream(() => {})
    await upstream.close()
    expect(await reasonOf(forwarding({ port: upstream.port }).send())).toBe('upstream_unreachable')
  })

  it('that accepts and says nothing in the handshake times out', async () => {
    const upstream = await raw(() => {})
    const timeouts = { connect: 100, headers: 1_000, idle: 1_000 }
    expect(await reasonOf(forwarding({ port: upstream.port, destination: { timeouts } }).send())).toBe(
      'upstream_timeout',
    )
  })

  it('that never answers times out', async () => {
    const upstream = await https(() => {})
    const timeouts = { connect: 1_000, headers: 100, idle: 1_000 }
    expect(await reasonOf(forwarding(trusting(upstream, { timeouts })).send())).toBe('upstream_timeout')
  })

  it('that stops in the middle of its body times out', async () => {
    const upstream = await https((_request, response) => {
      response.writeHead(200, { 'Content-Length': '10' })
      response.write('half')
    })
    const timeouts = { connect: 1_000, headers: 1_000, idle: 100 }
    const answer = await forwarding(trusting(upstream, { timeouts })).send()
    expect(await reasonOf(bodyOf(answer))).toBe('upstream_timeout')
  })

  it.each<[string, string, string]>([
    ['closes without a word', '', 'upstream_closed'],
    [
      'codes its message besides chunking it, which nobody here decodes',
      'HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n',
      'upstream_protocol',
    ],
    [
      'codes its message in a field of its own',
      'HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n',
      'upstream_protocol',
    ],
    ['answers in something else', 'SSH-2.0-OpenSSH\r\n', 'upstream_protocol'],
    [
      'answers with both lengths',
      'HTTP/1.1 200 OK\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n',
      'upstream_protocol',
    ],
    [
      'answers with two lengths',
      'HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\na',
      'upstream_protocol',
    ],
    ['answers with a head of 100 KB', `HTTP/1.1 200 OK\r\nX: ${'a'.repeat(100_000)}\r\n\r\n`, 'upstream_protocol'],
  ])('that %s is refused by name', async (_name, bytes, reason) => {
    const upstream = await raw((socket) =>
      socket.once('data', () => (bytes === '' ? socket.end() : socket.write(bytes))),
    )
    expect(await reasonOf(forwarding({ port: upstream.port, scheme: 'http' }).send('POST'))).toBe(reason)
  })

  it('that closes in the middle of its body fails the body', async () => {
    const upstream = await raw((socket) =>
      socket.once('data', () => socket.end('HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf')),
    )
    const answer = await forwarding({ port: upstream.port, scheme: 'http' }).send()
    expect(await reasonOf(bodyOf(answer))).toBe('upstream_closed')
  })
})

describe('an answer', () => {
  it('keeps its fields, but for those that end at a proxy and those that lead past it', async () => {
    const upstream = await raw((socket) =>
      socket.once('data', () =>
        socket.end(
          'HTTP/1.1 200 Fine\r\nX-One: 1\r\nset-cookie: a\r\nSet-Cookie: b\r\nAlt-Svc: h3=":443"\r\nConnection: X-Hop\r\nX-Hop: 1\r\nKeep-Alive: timeout=9\r\nProxy-Authenticate: Basic\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n',
        ),
      ),
    )
    const answer = await forwarding({ port: upstream.port, scheme: 'http' }).send()
    expect(answer.statusText).toBe('Fine')
    expect(answer.headers).toEqual(['X-One', '1', 'set-cookie', 'a', 'Set-Cookie', 'b'])
  })

  it('that is informational is left out', async () => {
    const upstream = await https((_request, response) => {
      response.writeEarlyHints({ link: '</x>; rel=preload' })
      response.end('final')
    })
    const answer = await forwarding(trusting(upstream)).send()
    expect(answer.status).toBe(200)
    expect((await bodyOf(answer)).text).toBe('final')
  })

  it('that redirects is given as it is', async () => {
    const upstream = await https((_request, response) => {
      response.writeHead(302, { Location: 'https://elsewhere.example/' })
      response.end()
    })
    const answer = await forwarding(trusting(upstream)).send()
    expect(answer.status).toBe(302)
    expect(answer.headers).toContain('https://elsewhere.example/')
    expect(upstream.connections()).toBe(1)
  })

  it('has its trailers', async () => {
    const upstream = await https((_request, response) => {
      response.writeHead(200, { Trailer: 'X-Sum' })
      response.write('a')
      response.addTrailers({ 'X-Sum': '1' })
      response.end()
    })
    const { text, trailers } = await bodyOf(await forwarding(trusting(upstream)).send())
    expect(text).toBe('a')
    expect(trailers).toEqual(['X-Sum', '1'])
  })

  it('comes piece by piece, each as soon as it was sent', async () => {
    let next = () => {}
    const upstream = await https((_request, response) => {
      response.writeHead(200, { 'Content-Type': 'text/event-stream' })
      let count = 0
      next = () => {
        count += 1
        if (count > 3) response.end()
        else response.write(`data: ${count}\n\n`)
      }
      next()
    })
    const answer = await forwarding(trusting(upstream)).send()
    const got: string[] = []
    await new Promise<void>((resolve, reject) => {
      answer.body.deliver({
        data(chunk) {
          got.push(Buffer.from(chunk).toString())
          // The upstream sends the next one only when this one has come through.
          next()
          return true
        },
        end: () => resolve(),
        fail: reject,
      })
    })
    expect(got).toEqual(['data: 1\n\n', 'data: 2\n\n', 'data: 3\n\n'])
  })

  it('is not taken from the upstream faster than the agent takes it', async () => {
    let written = 0
    const upstream = await https((_request, response) => {
      response.writeHead(200)
      const chunk = Buffer.alloc(65_536)
      const write = () => {
        while (written < 64_000_000) {
          written += chunk.length
          if (!response.write(chunk)) return
        }
        response.end()
      }
      response.on('drain', write)
      write()
    })
    const answer = await forwarding(trusting(upstream)).send()
    let got = 0
    let flow = { resume: () => {} }
    const ended = new Promise<void>((resolve, reject) => {
      flow = answer.body.deliver({
        data(chunk) {
          got += chunk.length
          return got > 1_000_000
        },
        end: () => resolve(),
        fail: reject,
      })
    })
    let before = -1
    while (before !== got) {
      before = got
      for (let count = 0; count < 50; count += 1) await turn()
    }
    expect(got).toBeLessThan(1_000_000)
    expect(written).toBeLessThan(32_000_000)
    while (got <= 1_000_000) {
      flow.resume()
      await turn()
    }
    await ended
    expect(got).toBe(written)
  })

  it('that the agent does not want any more ends at the upstream', async () => {
    const gone = vi.fn()
    const upstream = await https((_request, response) => {
      response.on('close', gone)
      response.writeHead(200)
      response.write('a')
    })
    const aborting = new AbortController()
    const answer = await forwarding(trusting(upstream)).send('GET', '/', {}, [], aborting.signal)
    const body = bodyOf(answer)
    aborting.abort(new Refusal('client_gone'))
    expect(await reasonOf(body)).toBe('client_gone')
    await vi.waitFor(() => expect(gone).toHaveBeenCalled())
  })

  it('that the agent does not wait for is not waited for', async () => {
    const upstream = await https(() => {})
    const aborting = new AbortController()
    const answer = forwarding(trusting(upstream)).send('GET', '/', {}, [], aborting.signal)
    await once(upstream.server, 'request')
    aborting.abort(new Refusal('client_gone'))
    expect(await reasonOf(answer)).toBe('client_gone')
  })
})

describe('a kept connection', () => {
  it('is used again', async () => {
    const upstream = await https((_request, response) => response.end('ok'))
    const { send } = forwarding(trusting(upstream))
    for (let count = 0; count < 5; count += 1) {
      await bodyOf(await send())
      await turn()
    }
    expect(upstream.connections()).toBe(1)
  })

  /** Answers the first request on its first connection, and hangs up on the second. */
  const fickle = () => {
    let connections = 0
    return raw((socket) => {
      connections += 1
      let requests = 0
      const first = connections === 1
      socket.on('data', () => {
        requests += 1
        if (first && requests > 1) socket.destroy()
        else socket.write('HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok')
      })
    })
  }

  it('that turns out dead costs a GET nothing', async () => {
    const upstream = await fickle()
    const { send } = forwarding({ port: upstream.port, scheme: 'http' })
    await bodyOf(await send())
    await turn()
    expect((await bodyOf(await send())).text).toBe('ok')
    expect(upstream.connections()).toBe(2)
  })

  it('that turns out dead fails a POST, which may have had its effect', async () => {
    const upstream = await fickle()
    const { send } = forwarding({ port: upstream.port, scheme: 'http' })
    await bodyOf(await send())
    await turn()
    expect(await reasonOf(send('POST'))).toBe('upstream_closed')
    expect(upstream.connections()).toBe(1)
  })
})

describe('a request', () => {
  it('with a body is sent whole', async () => {
    const upstream = await https(async (request, response) => {
      let length = 0
      for await (const chunk of request) length += chunk.length
      response.end(String(length))
    })
    const body = Object.assign(Readable.from([Buffer.alloc(70_000), Buffer.alloc(30_000)]), { passed: 0 })
    const answer = await forwarding(trusting(upstream)).send('POST', '/', { body })
    expect((await bodyOf(answer)).text).toBe('100000')
  })

  it('whose body breaks off is broken off', async () => {
    const aborted = vi.fn()
    const upstream = await https((request) => {
      request.on('error', aborted)
      request.resume()
    })
    const broken = async function* () {
      yield Buffer.alloc(10)
      await once(upstream.server, 'request')
      throw new Refusal('client_gone')
    }
    const body = Object.assign(Readable.from(broken()), { passed: 0 })
    expect(await reasonOf(forwarding(trusting(upstream)).send('POST', '/', { body }))).toBe('client_gone')
    await vi.waitFor(() => expect(aborted).toHaveBeenCalled())
  })

  it('to upgrade gets the raw connection', async () => {
    const upstream = await https(() => {})
    upstream.server.on('upgrade', (request, socket) => {
      socket.write(
        `HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nX-Key: ${request.headers['sec-websocket-key']}\r\n\r\n`,
      )
      socket.pipe(socket)
    })
    const answer = await forwarding(trusting(upstream)).send('GET', '/', { upgrade: 'websocket' }, [
      'sec-websocket-key',
      'abc',
    ])
    expect(answer.status).toBe(101)
    expect(answer.headers).toEqual(['Connection', 'Upgrade', 'Upgrade', 'websocket', 'X-Key', 'abc'])
    answer.tunnel?.write('ping')
    expect(String(await once(answer.tunnel ?? new Readable(), 'data'))).toBe('ping')
    answer.tunnel?.destroy()
  })

  it('to upgrade may be answered otherwise', async () => {
    const upstream = await https((_request, response) => {
      response.statusCode = 403
      response.end('no')
    })
    const answer = await forwarding(trusting(upstream)).send('GET', '/', { upgrade: 'websocket' })
    expect(answer.status).toBe(403)
    expect(answer.tunnel).toBeUndefined()
    expect((await bodyOf(answer)).text).toBe('no')
  })
})
