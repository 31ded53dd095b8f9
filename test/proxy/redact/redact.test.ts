import { once } from 'node:events'
import { createServer, type IncomingMessage, type RequestListener, type ServerResponse } from 'node:http'
import { duplexPair } from 'node:stream'
import { brotliCompressSync, gzipSync } from 'node:zlib'
import { Agent } from 'undici'
import { afterEach, describe, expect, it, vi } from 'vitest'
import type { Answer, Destination } from '../../../proxy/exchange.ts'
import { AnswerHandler } from '../../../proxy/forward/answer.ts'
import { redact, type Sent } from '../../../proxy/redact/redact.ts'
import { Refusal } from '../../../proxy/refusal.ts'
import { Secret } from '../../../proxy/secret.ts'
import { Source, Taker } from './bodies.ts'
import { token } from './encoders.ts'

const secret = new Secret('canary', token)
const blank = '*'.repeat(token.length)

function injected(echo: Destination['echo'], { method = 'GET' }: { readonly method?: string } = {}): Sent {
  return { method, upgrade: undefined, destination: { echo }, emitted: [secret] }
}

function answer(given: Partial<Answer> = {}): Answer & { readonly source: Source } {
  const source = new Source()
  return {
    status: 200,
    statusText: 'OK',
    headers: [],
    body: source,
    tunnel: undefined,
    address: '127.0.0.1',
    findings: [],
    ...given,
    source,
  }
}

function refusal(run: () => unknown): Refusal {
  try {
    run()
  } catch (error) {
    if (error instanceof Refusal) return error
    throw error
  }
  throw new Error('nothing was refused')
}

describe('an answer to a request without a credential', () => {
  it('is the very same answer', () => {
    const given = answer({ headers: ['X', token] })
    expect(redact(given, { ...injected('redact'), emitted: [] })).toBe(given)
  })
})

describe('a clean answer', () => {
  it('keeps its fields and its chunks', () => {
    const headers = ['Content-Type', 'application/json', 'Content-Length', '12', 'Set-Cookie', 'a=1']
    const given = answer({ headers })
    const result = redact(given, injected('redact'))
    expect(result.headers).toBe(headers)
    expect(result).toMatchObject({ status: 200, statusText: 'OK', address: '127.0.0.1', findings: [] })
    const taker = new Taker()
    result.body.deliver(taker)
    given.source.send('{"a":')
    expect(taker.text).toBe('{"a":')
    given.source.send('"bcd"}')
    given.source.end(['T', '1'])
    expect(taker).toMatchObject({ text: '{"a":"bcd"}', trailers: ['T', '1'], endings: 1 })
    expect(result.findings).toEqual([])
  })

  it('hands on that no more is wanted', () => {
    const given = answer()
    const taker = new Taker()
    redact(given, injected('redact')).body.deliver(taker)
    taker.wanting = false
    expect(given.source.send('x\n')).toBe(false)
    // Held back: nothing was given on, so nothing speaks against more.
    expect(given.source.send('sk-')).toBe(true)
  })

  it('that breaks off gives nothing more of what is held', () => {
    const given = answer()
    const taker = new Taker()
    redact(given, injected('redact')).body.deliver(taker)
    given.source.send(`x ${token.slice(0, 9)}`)
    given.source.fail(new Refusal('upstream_closed'))
    expect(taker).toMatchObject({ text: 'x ', failure: { reason: 'upstream_closed' }, endings: 1 })
  })
})

describe('an echo, where the destination says redact', () => {
  it.each<[string, Partial<Answer>, Partial<Answer>, string]>([
    ['the status text', { statusText: `No ${token}` }, { statusText: `No ${blank}` }, 'status'],
    [
      'a header field',
      { headers: ['X-Debug', `k=${token};`] },
      { headers: ['X-Debug', `k=${blank};`] },
      'header:x-debug',
    ],
    ['the name of a field', { headers: [`X-${Buffer.from(token).toString('hex')}`, '1'] }, {}, 'header:(name)'],
    [
      'Location',
      { status: 302, headers: ['Location', `https://x.example/?t=${encodeURIComponent(token)}`] },
      { headers: ['Location', `https://x.example/?t=${'*'.repeat(encodeURIComponent(token).length)}`] },
      'header:location',
    ],
    [
      'Set-Cookie, in base64',
      { headers: ['Set-Cookie', 'a=1', 'Set-Cookie', `s=${Buffer.from(token).toString('base64')}`] },
      {},
      'header:set-cookie',
    ],
  ])('is blanked in %s', (_, given, expected, where) => {
    const result = redact(answer(given), injected('redact'))
    expect(result).toMatchObject(expected)
    expect(JSON.stringify([result.statusText, result.headers])).not.toMatch(/Zq8|WnE4|VpxOC|5a7138/)
    expect(result.findings).toEqual([{ kind: 'secret_echoed', where, count: 1 }])
  })

  it('is blanked in a body of the same length, and counted while it passes', () => {
    const given = answer({ headers: ['Content-Length', '999'] })
    const result = redact(given, injected('redact'))
    const taker = new Taker()
    result.body.deliver(taker)
    given.source.send(`a ${token} b ${token.slice(0, 12)}`)
    expect(taker.text).toBe(`a ${blank} b `)
    expect(result.findings).toEqual([{ kind: 'secret_echoed', where: 'body', count: 1 }])
    given.source.send(`${token.slice(12)}.`)
    given.source.end()
    expect(taker.text).toBe(`a ${blank} b ${blank}.`)
    expect(result.findings).toEqual([{ kind: 'secret_echoed', where: 'body', count: 2 }])
    expect(result.headers).toEqual(['Content-Length', '999'])
  })

  it('is blanked in trailers', () => {
    const given = answer()
    const result = redact(given, injected('redact'))
    const taker = new Taker()
    result.body.deliver(taker)
    given.source.end(['X-Sum', token])
    expect(taker.trailers).toEqual(['X-Sum', blank])
    expect(result.findings).toEqual([{ kind: 'secret_echoed', where: 'trailer:x-sum', count: 1 }])
  })

  it('adds to what was found before', () => {
    const before = { kind: 'credential_refused', where: 'status' } as const
    const result = redact(answer({ statusText: token, findings: [before] }), injected('redact'))
    expect(result.findings.map(({ kind }) => kind)).toEqual(['credential_refused', 'secret_echoed'])
  })
})

describe('an echo, where the destination says block', () => {
  it('in the head refuses the answer, and lets go of the upstream', () => {
    const given = answer({ headers: ['X-Debug', token, 'X-Copy', token] })
    const refused = refusal(() => redact(given, injected('block')))
    expect(refused.reason).toBe('secret_echoed')
    expect(refused.detail).toBe('found in header:x-debug, header:x-copy')
    expect(refused.findings).toHaveLength(2)
    expect(given.source.cancelled).toBe(refused)
  })

  it('in the body ends it there', () => {
    const given = answer()
    const result = redact(given, injected('block'))
    const taker = new Taker()
    result.body.deliver(taker)
    given.source.send('first\n')
    given.source.send(`then ${token} and more`)
    given.source.send('still more')
    given.source.end()
    expect(taker).toMatchObject({ text: 'first\n', failure: { reason: 'secret_echoed' }, endings: 1 })
    expect(given.source.cancelled).toBe(taker.failure)
    expect(result.findings).toEqual([{ kind: 'secret_echoed', where: 'body', count: 1 }])
  })

  it('that was there before the body was asked for ends it too', () => {
    const source = new Source([Buffer.from(`x ${token}`)])
    const taker = new Taker()
    redact(answer({ body: source }), injected('block')).body.deliver(taker)
    expect(taker).toMatchObject({ text: '', failure: { reason: 'secret_echoed' }, endings: 1 })
    expect(source.cancelled).toMatchObject({ reason: 'secret_echoed' })
  })

  it('in the trailers, or at the very end, ends it', () => {
    for (const [last, trailers] of [
      ['', ['X-Sum', token]],
      [token.slice(0, -1), []],
    ] as const) {
      const given = answer()
      const taker = new Taker()
      redact(given, injected('block')).body.deliver(taker)
      given.source.send(`x ${last}`)
      given.source.end(trailers)
      expect(taker).toMatchObject({ failure: { reason: 'secret_echoed' }, trailers: undefined, endings: 1 })
    }
  })
})

describe('an echo, where the destination is trusted with it', () => {
  it('passes, and is found', () => {
    const given = answer({ statusText: token, headers: ['X', token] })
    const result = redact(given, injected('trusted-echo'))
    expect(result).toMatchObject({ statusText: token, headers: ['X', token] })
    const taker = new Taker()
    result.body.deliver(taker)
    given.source.send(token.slice(0, 9))
    expect(taker.text).toBe(token.slice(0, 9))
    given.source.send(token.slice(9))
    given.source.end(['T', token])
    expect(taker).toMatchObject({ text: token, trailers: ['T', token] })
    expect(result.findings.map(({ where, count }) => [where, count])).toEqual([
      ['status', 1],
      ['header:x', 1],
      ['body', 1],
      ['trailer:t', 1],
    ])
  })

  it('passes in a coding that nobody can read', () => {
    const given = answer({ headers: ['Content-Encoding', 'compress'] })
    const result = redact(given, injected('trusted-echo'))
    expect(result.body).toBe(given.body)
    expect(result.headers).toEqual(['Content-Encoding', 'compress'])
  })
})

describe('what cannot be looked into', () => {
  it.each<[string, Partial<Answer>]>([
    ['an unknown coding', { headers: ['Content-Encoding', 'compress'] }],
    ['a part of a coded body', { status: 206, headers: ['Content-Encoding', 'gzip', 'Content-Range', 'bytes 0-1/2'] }],
  ])('is refused: %s', (_, given) => {
    for (const echo of ['redact', 'block'] as const) {
      const full = answer(given)
      expect(refusal(() => redact(full, injected(echo))).reason).toBe('response_uninspectable')
      expect(full.source.cancelled).toMatchObject({ reason: 'response_uninspectable' })
    }
  })

  it.each<[string, Partial<Answer>, { readonly method?: string }]>([
    ['HEAD', { headers: ['Content-Encoding', 'compress', 'Content-Length', '5'] }, { method: 'HEAD' }],
    ['204', { status: 204, headers: ['Content-Encoding', 'gzip'] }, {}],
    ['304', { status: 304, headers: ['Content-Encoding', 'br', 'Content-Length', '5'] }, {}],
  ])('is nothing where there is no body (%s), and the fields are those of a plain one', (_, given, request) => {
    const full = answer({ ...given, headers: [...(given.headers ?? []), 'X', '1'] })
    const result = redact(full, injected('redact', request))
    expect(result.headers).toEqual(['X', '1'])
    const taker = new Taker()
    result.body.deliver(taker)
    full.source.end()
    expect(taker.endings).toBe(1)
  })

  it('is no part of a plain body', () => {
    const given = answer({ status: 206, headers: ['Content-Range', 'bytes 0-99/200'] })
    const taker = new Taker()
    redact(given, injected('redact')).body.deliver(taker)
    given.source.send(`${token}\n`)
    expect(taker.text).toBe(`${blank}\n`)
  })
})

describe('an upgraded connection', () => {
  const switched = (protocol: string, echo: Destination['echo'] = 'redact', headers: readonly string[] = []) => {
    const [proxySide, upstream] = duplexPair()
    const given = answer({ status: 101, headers, tunnel: proxySide })
    const request = { ...injected(echo), upgrade: protocol }
    return { given, request, upstream, proxySide }
  }
  const text = (payload: string) => Buffer.concat([Buffer.from([0x81, payload.length]), Buffer.from(payload)])

  it('gives the messages of the server without the secret, and those of the agent as they are', async () => {
    const { given, request, upstream } = switched('websocket')
    const result = redact(given, request)
    const tunnel = result.tunnel
    if (tunnel === undefined) throw new Error('no tunnel')
    const heard: Buffer[] = []
    tunnel.on('data', (chunk: Buffer) => heard.push(chunk))
    upstream.write(text(`hello ${token}!`))
    await vi.waitFor(() => expect(Buffer.concat(heard).equals(text(`hello ${blank}!`))).toBe(true))
    expect(result.findings).toEqual([{ kind: 'secret_echoed', where: 'tunnel', count: 1 }])
    tunnel.write(`from agent ${token}`)
    const [sent] = await once(upstream, 'data')
    expect(String(sent)).toBe(`from agent ${token}`)
    upstream.end()
    await once(tunnel, 'end')
    tunnel.end()
    await once(tunnel, 'close')
  })

  it('of another protocol is looked through as bytes, to its end', async () => {
    const { given, request, upstream } = switched('custom')
    const tunnel = redact(given, request).tunnel
    if (tunnel === undefined) throw new Error('no tunnel')
    const heard: Buffer[] = []
    tunnel.on('data', (chunk: Buffer) => heard.push(chunk))
    upstream.write(`a${token}b sk-`)
    upstream.end()
    await once(tunnel, 'end')
    expect(Buffer.concat(heard).toString()).toBe(`a${blank}b sk-`)
    tunnel.destroy()
  })

  it('is cut where an echo is blocked', async () => {
    const { given, request, upstream, proxySide } = switched('websocket', 'block')
    const tunnel = redact(given, request).tunnel
    if (tunnel === undefined) throw new Error('no tunnel')
    tunnel.resume()
    upstream.on('error', () => {})
    upstream.write(text(token))
    const [error] = await once(tunnel, 'error')
    expect(error).toMatchObject({ reason: 'secret_echoed' })
    expect(proxySide.destroyed).toBe(true)
  })

  it('is cut when frames come that cannot be looked into', async () => {
    const { given, request, upstream } = switched('websocket')
    const tunnel = redact(given, request).tunnel
    if (tunnel === undefined) throw new Error('no tunnel')
    tunnel.resume()
    upstream.on('error', () => {})
    upstream.write(Buffer.from([0xc1, 0x01, 0x00]))
    const [error] = await once(tunnel, 'error')
    expect(error).toMatchObject({ reason: 'response_uninspectable' })
  })

  it('is refused where the server turned on an extension', () => {
    const { given, request, proxySide } = switched('websocket', 'redact', [
      'Sec-WebSocket-Extensions',
      'permessage-deflate',
    ])
    expect(refusal(() => redact(given, request)).reason).toBe('response_uninspectable')
    expect(proxySide.destroyed).toBe(true)
  })

  it('is left alone where the destination is trusted', () => {
    const { given, request, proxySide } = switched('websocket', 'trusted-echo', ['Sec-WebSocket-Extensions', 'x'])
    expect(redact(given, request).tunnel).toBe(proxySide)
  })

  it('waits while nobody reads, and closes with the upstream', async () => {
    const { given, request, upstream, proxySide } = switched('custom')
    const tunnel = redact(given, request).tunnel
    if (tunnel === undefined) throw new Error('no tunnel')
    let sent = 0
    while (upstream.write(Buffer.alloc(65_536)) && sent < 100) sent++
    expect(sent).toBeLessThan(100)
    proxySide.destroy()
    await once(tunnel.resume(), 'close')
  })
})

describe('with a real upstream', () => {
  const closing: (() => Promise<unknown> | unknown)[] = []
  afterEach(async () => {
    for (const close of closing.splice(0)) await close()
  })

  async function ask(listener: RequestListener): Promise<Answer> {
    const server = createServer(listener)
    server.listen(0, '127.0.0.1')
    await once(server, 'listening')
    const address = server.address()
    if (address === null || typeof address === 'string') throw new Error('no port')
    const agent = new Agent()
    closing.push(
      () => agent.destroy(),
      () => server.close(),
    )
    return new Promise((resolve, reject) => {
      const handler = new AnswerHandler({ resolve, reject }, new AbortController().signal, () => undefined)
      agent.dispatch({ origin: `http://127.0.0.1:${address.port}`, path: '/', method: 'GET' }, handler)
    })
  }

  it.each([
    ['plain', (body: string) => Buffer.from(body), {}],
    ['gzip', (body: string) => gzipSync(body), { 'Content-Encoding': 'gzip' }],
    ['gzip in br', (body: string) => brotliCompressSync(gzipSync(body)), { 'Content-Encoding': 'gzip, br' }],
  ] as const)('a %s body comes without the secret', async (_, code, fields) => {
    const body = JSON.stringify({ headers: { authorization: `Bearer ${token}` }, filler: 'x'.repeat(200_000) })
    const given = await ask((_request: IncomingMessage, response: ServerResponse) => {
      response.writeHead(200, { ...fields, Trailer: 'X-Sum' })
      response.write(code(body))
      response.addTrailers({ 'X-Sum': token })
      response.end()
    })
    const result = redact(given, injected('redact'))
    const taker = new Taker()
    result.body.deliver(taker)
    await taker.over
    expect(taker.text).toBe(body.replace(token, blank))
    expect(taker.trailers).toEqual(['X-Sum', blank])
    expect(result.headers.some((name) => /content-encoding/i.test(name))).toBe(false)
  })

  it('events leave one by one', async () => {
    let next: () => void = () => {}
    const given = await ask((_request, response) => {
      response.writeHead(200, { 'Content-Type': 'text/event-stream' })
      let count = 0
      next = () => response.write(`data: ${++count}\n\n`)
      next()
    })
    const taker = new Taker()
    redact(given, injected('redact')).body.deliver(taker)
    for (let count = 1; count <= 3; count++) {
      await taker.until(count * 9)
      expect(taker.text.length).toBe(count * 9)
      next()
    }
  })
})
