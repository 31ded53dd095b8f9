// Bodies and their ends, as HTTP/1.1 has them: each form reaches the other side as it was sent, and nothing follows that was not.
import { once } from 'node:events'
import type { IncomingMessage, ServerResponse } from 'node:http'
import { afterAll, beforeAll, beforeEach, describe, expect, it, vi } from 'vitest'
import { type Credentialed, credentialed } from '../support/credentialed.ts'
import { reasonOf } from '../support/through.ts'

const canary = 'canary-5d2a90c4be11'

interface Exchange {
  readonly request: IncomingMessage
  readonly response: ServerResponse
}

let world: Credentialed
let seen: Exchange[] = []
const last = (count = seen.length): Exchange => {
  const exchange = seen[count - 1]
  if (exchange === undefined) throw new Error('nothing has reached the upstream')
  return exchange
}
/** The next request that reaches the upstream. */
const next = (count = seen.length + 1) => vi.waitFor(() => last(count))

/** What a request does at the upstream, by its path. */
const at: Readonly<Record<string, (exchange: Exchange) => unknown>> = {
  '/hello': ({ response }) => response.end('hello'),
  '/echo': ({ request, response }) => request.pipe(response),
  '/chunked': ({ response }) => {
    response.write('one,')
    response.write('two,')
    response.end('three')
  },
  '/trailers': ({ request, response }) => {
    response.writeHead(200, { Trailer: 'X-Sum' })
    response.write('body')
    response.addTrailers({ 'X-Sum': '42', 'X-Debug': request.headers.authorization ?? '' })
    response.end()
  },
  '/empty': ({ response }) => response.writeHead(204).end(),
  '/unchanged': ({ response }) => response.writeHead(304, { ETag: '"1"' }).end(),
  '/length': ({ response }) => response.writeHead(200, { 'Content-Length': '5' }).end('hello'),
  '/until-closed': ({ response }) => {
    response.socket?.end('HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\n\r\nuntil the end')
  },
  '/early': ({ response }) => response.writeHead(413, { Connection: 'close' }).end('too much'),
  '/hold': () => undefined,
}

beforeAll(async () => {
  world = await credentialed((request, response) => {
    const exchange = { request, response }
    seen.push(exchange)
    at[request.url ?? '']?.(exchange)
  }, canary)
  world.upstream.server.on('checkContinue', (request: IncomingMessage, response: ServerResponse) => {
    seen.push({ request, response })
    if (request.url !== '/echo') return response.writeHead(417).end()
    response.writeContinue()
    return request.pipe(response)
  })
})
afterAll(() => world[Symbol.asyncDispose]())
beforeEach(() => {
  seen = []
})

const get = (path: string, ...fields: string[]) => [`GET ${path} HTTP/1.1`, `Host: ${world.authority}`, ...fields]
const post = (path: string, ...fields: string[]) => [`POST ${path} HTTP/1.1`, `Host: ${world.authority}`, ...fields]
const written = (...lines: string[]) => [...lines, '', ''].join('\r\n')

describe('an answer', () => {
  it.each([
    ['/length', { 'content-length': '5', 'transfer-encoding': undefined }, 'hello'],
    ['/chunked', { 'content-length': undefined, 'transfer-encoding': 'chunked' }, 'one,two,three'],
    ['/until-closed', { 'content-length': undefined, 'transfer-encoding': 'chunked' }, 'until the end'],
    ['/empty', { 'content-length': undefined, 'transfer-encoding': undefined }, ''],
    ['/unchanged', { 'content-length': undefined, 'transfer-encoding': undefined }, ''],
  ] as const)('of %s keeps its body, and the connection is good for another', async (path, fields, text) => {
    await using client = await world.open()
    const answer = await client.request(get(path))
    expect(answer.text).toBe(text)
    for (const [name, value] of Object.entries(fields)) expect(answer.field(name)).toBe(value)
    expect((await client.request(get('/hello'))).text).toBe('hello')
  })

  it('to HEAD has the fields of the answer and no body', async () => {
    await using client = await world.open()
    const lines = [`HEAD /length HTTP/1.1`, `Host: ${world.authority}`]
    const answer = await client.request(lines)
    expect(answer.field('content-length')).toBe('5')
    expect((await client.request(get('/hello'))).text).toBe('hello')
    expect(seen.map(({ request }) => request.method)).toEqual(['HEAD', 'GET'])
  })

  it('keeps its trailers, without what they give back of the credential', async () => {
    await using client = await world.open()
    const answer = await client.request(get('/trailers', 'TE: trailers'))
    expect(answer.text).toBe('body')
    expect(answer.trailers).toEqual(['X-Sum', '42', 'X-Debug', `Bearer ${'*'.repeat(canary.length)}`])
  })
})

describe('a body', () => {
  it('of a known length arrives with that length', async () => {
    await using client = await world.open()
    const answer = await client.request(post('/echo', 'Content-Length: 11'), 'hello there')
    expect(answer.text).toBe('hello there')
    expect(last().request.headers).toMatchObject({ 'content-length': '11' })
    expect(last().request.headers['transfer-encoding']).toBeUndefined()
  })

  it('in chunks arrives in chunks, and comes back in them, each at once', async () => {
    await using client = await world.open()
    client.send(written(...post('/echo', 'Transfer-Encoding: chunked')))
    for (const word of ['one', 'three', 'eleven']) {
      client.send(`${word.length.toString(16)};note=x\r\n${word}\r\n`)
      if (word === 'one') expect((await client.head()).field('transfer-encoding')).toBe('chunked')
      expect((await client.through(`${word}\r\n`)).toString()).toBe(`${word.length.toString(16)}\r\n${word}\r\n`)
    }
    client.send('0\r\nX-Trailer: of the agent\r\n\r\n')
    expect((await client.through('0\r\n\r\n')).toString()).toBe('0\r\n\r\n')
    expect(last().request.headers['transfer-encoding']).toBe('chunked')
  })

  it('of nothing is none', async () => {
    await using client = await world.open()
    expect((await client.request(post('/echo', 'Content-Length: 0'))).text).toBe('')
    expect((await client.request(post('/echo', 'Transfer-Encoding: chunked'), '0\r\n\r\n')).text).toBe('')
    expect((await client.request(get('/hello'))).text).toBe('hello')
  })

  it('that waits for 100 Continue gets it when it is wanted', async () => {
    await using client = await world.open()
    client.send(written(...post('/echo', 'Content-Length: 5', 'Expect: 100-continue')))
    expect((await client.head()).status).toBe(100)
    client.send('hello')
    expect((await client.answer()).text).toBe('hello')
  })

  it('that waits for 100 Continue is refused without one, and is not sent', async () => {
    await using client = await world.open()
    client.send(written(`DELETE /x HTTP/1.1`, `Host: ${world.authority}`, 'Content-Length: 5', 'Expect: 100-continue'))
    const head = await client.head()
    expect(head.status).toBe(403)
    expect(seen).toEqual([])
  })

  it('that nobody wants does not keep its refusal from the agent', async () => {
    await using client = await world.open()
    const size = 64 << 20
    client.send(written(`DELETE /x HTTP/1.1`, `Host: ${world.authority}`, `Content-Length: ${size}`))
    const piece = Buffer.alloc(1 << 16)
    let sent = 0
    const { socket } = client
    const pump = () => {
      while (sent < size && socket.writable) {
        sent += piece.length
        if (!socket.write(piece)) return void socket.once('drain', pump)
      }
    }
    pump()
    const answer = await client.answer()
    expect(answer.status).toBe(403)
    expect(reasonOf(answer)).toBe('denied_by_rule')
    expect(answer.field('connection')).toBe('close')
    await client.rest()
    expect(sent).toBeLessThan(size)
    expect(seen).toEqual([])
  })

  it('that the upstream cuts short with its answer gets that answer', async () => {
    await using client = await world.open()
    client.send(written(...post('/early', `Content-Length: ${64 << 20}`)))
    client.send(Buffer.alloc(1 << 20))
    const answer = await client.answer()
    expect(answer.status).toBe(413)
    expect(answer.text).toBe('too much')
  })
})

describe('a connection', () => {
  it('is good for the next request after a refused one', async () => {
    await using client = await world.open()
    for (const round of [1, 2, 3]) {
      const refused = await client.request([`DELETE /${round} HTTP/1.1`, `Host: ${world.authority}`])
      expect(reasonOf(refused)).toBe('denied_by_rule')
      expect((await client.request(get('/hello'))).text).toBe('hello')
    }
    const withBody = await client.request(
      [`DELETE /x HTTP/1.1`, `Host: ${world.authority}`, 'Content-Length: 5'],
      'hello',
    )
    expect(reasonOf(withBody)).toBe('denied_by_rule')
    expect(seen).toHaveLength(3)
  })

  it('answers requests in the order in which they were sent, all at once', async () => {
    await using client = await world.open()
    const lines = [get('/hold'), get('/hello'), [`DELETE /x HTTP/1.1`, `Host: ${world.authority}`], get('/length')]
    client.send(lines.map((each) => written(...each)).join(''))
    const held = await vi.waitFor(() => {
      const found = seen.find(({ request }) => request.url === '/hold')
      if (found === undefined) throw new Error('not yet')
      return found
    })
    held.response.end('held')
    const texts = [await client.answer(), await client.answer(), await client.answer(), await client.answer()]
    expect(texts.map(({ status }) => status)).toEqual([200, 200, 403, 200])
    expect(texts.map(({ text }) => text).toSpliced(2, 1)).toEqual(['held', 'hello', 'hello'])
  })

  it('that the agent asks to close is closed after the answer', async () => {
    await using client = await world.open()
    const answer = await client.request(get('/hello', 'Connection: close'))
    expect(answer.text).toBe('hello')
    expect(answer.field('connection')).toBe('close')
    expect(await client.some()).toBeUndefined()
  })

  it('of HTTP/1.0 gets an answer that it understands', async () => {
    await using client = await world.open()
    client.send('GET /chunked HTTP/1.0\r\n\r\n')
    const answer = (await client.rest()).toString()
    expect(answer).toMatch(/^HTTP\/1\.1 200 OK\r\n/)
    expect(answer).not.toMatch(/transfer-encoding/i)
    expect(answer).toMatch(/\r\n\r\none,two,three$/)
  })
})

describe('whoever goes away', () => {
  it('takes the exchange with the upstream along: an agent before the answer', async () => {
    const client = await world.open()
    client.send(written(...get('/hold')))
    const gone = closing((await next()).request)
    await client[Symbol.asyncDispose]()
    await gone
    await recorded({ response: { ended: 'client_gone' }, outcome: 'failed' })
  })

  it('takes the exchange with the upstream along: an agent that has ended its side, as clients do who give up', async () => {
    await using client = await world.open()
    client.send(written(...get('/hold')))
    const gone = closing((await next()).request)
    client.socket.end()
    await gone
    await recorded({ response: { ended: 'client_gone' }, outcome: 'failed' })
  })

  it('takes the exchange with the upstream along: an agent in the middle of the answer', async () => {
    const client = await world.open()
    client.send(written(...get('/hold')))
    const { response } = await next()
    response.write('beginning')
    await client.through('beginning')
    const gone = once(response, 'close')
    await client[Symbol.asyncDispose]()
    await gone
    await recorded({ response: { ended: 'client_gone', bytes: 9 } })
  })

  it('takes the exchange with the upstream along: an agent in the middle of its upload', async () => {
    const client = await world.open()
    client.send(written(...post('/hold', 'Content-Length: 100')))
    client.send('some of it')
    const { request } = await next()
    const gone = closing(request)
    await client[Symbol.asyncDispose]()
    await gone
    expect(request.complete).toBe(false)
    await recorded({ response: { ended: 'client_gone' } })
  })

  it('is noticed by the agent: an upstream before its answer', async () => {
    await using client = await world.open()
    client.send(written(...post('/hold', 'Content-Length: 2')))
    client.send('{}')
    const { response } = await next()
    response.socket?.destroy()
    const answer = await client.answer()
    expect(answer.status).toBe(502)
    expect(reasonOf(answer)).toBe('upstream_closed')
    expect((await client.request(get('/hello'))).text).toBe('hello')
  })

  it('is noticed by the agent: an upstream in the middle of its answer, which then is not whole', async () => {
    await using client = await world.open()
    client.send(written(...get('/hold')))
    const { response } = await next()
    response.write('beginning')
    await client.through('beginning\r\n')
    response.socket?.destroy()
    expect((await client.rest()).toString()).toBe('')
    await recorded({ response: { ended: 'upstream_gone' }, refusal: { reason: 'upstream_closed' } })
  })
})

/** The end of a request at the upstream, whole or not. */
function closing(request: IncomingMessage): Promise<void> {
  request.on('error', () => {})
  return new Promise((resolve) => request.once('close', resolve))
}

/** Waits until the newest record looks like this. */
async function recorded(expected: object): Promise<void> {
  await vi.waitFor(async () => {
    const records = await world.gate.records(1)
    expect(records.at(-1)).toMatchObject(expected)
  })
}
