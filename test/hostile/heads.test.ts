// Heads and framing that two readers could read differently, through CONNECT and TLS to an upstream that keeps its connections: what it saw is what was recorded, no more and no less.
import fc from 'fast-check'
import { afterAll, afterEach, beforeAll, describe, expect, it, vi } from 'vitest'
import type { AuditRecord } from '../../proxy/record/line.ts'
import { type Credentialed, credentialed } from '../support/credentialed.ts'
import { WireClient } from '../support/wire-client.ts'

let world: Credentialed
/** Method and target of each request that the upstream read, with its body. */
let seen: string[] = []

beforeAll(async () => {
  world = await credentialed(async (request, response) => {
    let body = ''
    try {
      for await (const chunk of request) body += chunk
    } catch {
      body += '(broken off)'
    }
    seen.push(`${request.method} ${request.url} ${body}`)
    response.end('seen')
  }, 'canary-93b7e1f04d2a')
})
afterAll(() => world[Symbol.asyncDispose]())
afterEach(() => {
  seen = []
})

/** A request that must not be read out of what another one left. */
const smuggled = () => `GET /smuggled HTTP/1.1\r\nHost: ${world.authority}\r\n\r\n`
const head = (line: string, ...fields: string[]) => [line, `Host: ${world.authority}`, ...fields, '', ''].join('\r\n')

interface Answers {
  /** Statuses and reasons, as they came. */
  readonly said: string[]
  /** Ids of the requests answered. */
  readonly ids: string[]
}

/** All the answers until the connection ends. */
async function answersOn(client: WireClient): Promise<Answers> {
  const got = (await client.rest()).toString('latin1')
  const said = [...got.matchAll(/HTTP\/1\.1 (\d{3}) |"reason":"([a-z_]+)"/g)]
  const ids = [...got.matchAll(/Postern-Request-Id: (\S+)/gi)]
  return { said: said.map(([, status, reason]) => status ?? reason ?? ''), ids: ids.map(([, id = '']) => id) }
}

describe('a request inside a tunnel', () => {
  it.each<[string, () => string, string[]]>([
    [
      'with both Content-Length and Transfer-Encoding',
      () => head('POST /a HTTP/1.1', 'Content-Length: 4', 'Transfer-Encoding: chunked'),
      ['400', 'bad_request'],
    ],
    [
      'with two lengths',
      () => head('POST /a HTTP/1.1', 'Content-Length: 4', 'Content-Length: 5'),
      ['400', 'bad_request'],
    ],
    ['with a length in another notation', () => head('POST /a HTTP/1.1', 'Content-Length: +4'), ['400', 'bad_request']],
    [
      'with a coding that looks like chunked',
      () => head('POST /a HTTP/1.1', 'Transfer-Encoding: xchunked'),
      ['400', 'bad_request'],
    ],
    [
      'with chunked after a tab',
      () => head('POST /a HTTP/1.1', 'Transfer-Encoding:\tchunked, identity'),
      ['400', 'bad_request'],
    ],
    ['with obs-fold', () => head('GET /a HTTP/1.1', 'X-A: b', ' c: d'), ['400', 'bad_request']],
    ['with a NUL', () => head('GET /a HTTP/1.1', 'X-A: b\0c'), ['400', 'bad_request']],
    ['with a bare CR', () => head('GET /a HTTP/1.1', 'X-A: b\rX-B: c'), ['400', 'bad_request']],
    ['with bare LF for line ends', () => head('GET /a HTTP/1.1').replaceAll('\r\n', '\n'), ['400', 'bad_request']],
    ['with a space before the colon', () => head('POST /a HTTP/1.1', 'Content-Length : 4'), ['400', 'bad_request']],
    ['with a head of 40 KB', () => head('GET /a HTTP/1.1', `X-A: ${'b'.repeat(40_000)}`), ['431', 'request_too_large']],
    ['with 201 fields', () => head('GET /a HTTP/1.1', ...new Array(201).fill('X: 1')), ['431', 'request_too_large']],
    ['with two Host', () => head('GET /a HTTP/1.1', 'Host: evil.example'), ['400', 'bad_request']],
    ['for another Host', () => `GET /a HTTP/1.1\r\nHost: evil.example\r\n\r\n`, ['421', 'misdirected']],
    ['for another port', () => `GET /a HTTP/1.1\r\nHost: api.example\r\n\r\n`, ['421', 'misdirected']],
    ['for another place in absolute-form', () => head(`GET https://evil.example/a HTTP/1.1`), ['421', 'misdirected']],
    [
      'with user information in Host',
      () => `GET /a HTTP/1.1\r\nHost: api.example@evil.example\r\n\r\n`,
      ['400', 'ambiguous_target'],
    ],
    ['with dot segments', () => head('GET /a/../b HTTP/1.1'), ['400', 'ambiguous_target']],
    ['with encoded dot segments', () => head('GET /a/%2e%2e/b HTTP/1.1'), ['400', 'ambiguous_target']],
    ['with a backslash', () => head('GET /a\\..\\b HTTP/1.1'), ['400', 'ambiguous_target']],
    ['with an encoded NUL', () => head('GET /a%00b HTTP/1.1'), ['400', 'ambiguous_target']],
    ['with a percent sign alone', () => head('GET /a%zz HTTP/1.1'), ['400', 'ambiguous_target']],
    [
      'that is a CONNECT',
      () => `CONNECT evil.example:443 HTTP/1.1\r\nHost: evil.example:443\r\n\r\n`,
      ['400', 'bad_request'],
    ],
    ['of HTTP/2', () => 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n', ['400', 'bad_request']],
    ['of RTSP', () => head('DESCRIBE /a RTSP/1.0'), ['400', 'bad_request']],
    [
      'with an Upgrade and a body',
      () => head('POST /a HTTP/1.1', 'Connection: Upgrade', 'Upgrade: websocket', 'Content-Length: 5'),
      ['400', 'bad_request'],
    ],
    ['of a protocol of its own', () => head('GET /a HTTQ/1.1'), ['400', 'bad_request']],
  ])('%s is refused by name, and nothing after it is read', async (_what, bytes, expected) => {
    await using client = await world.open()
    client.send(bytes() + smuggled())
    const { said, ids } = await answersOn(client)
    expect(said).toEqual(expected)
    const last = await world.gate.record(ids[0])
    expect(last).toMatchObject({ outcome: expect.stringMatching(/refused|failed/), refusal: { reason: expected[1] } })
    expect(last.destination?.host).toBe('api.example')
    expect(seen).toEqual([])
  })

  it.each<[string, string]>([
    ['a size that is none', 'zz\r\nhello\r\n0\r\n\r\n'],
    ['an endless size', 'fffffffffffffffff\r\nhello\r\n0\r\n\r\n'],
    ['a chunk that is longer than its size', '3\r\nhello\r\n0\r\n\r\n'],
    ['a bare LF after the size', '5\nhello\r\n0\r\n\r\n'],
    ['a bare CR in an extension', '5;a\rb\r\nhello\r\n0\r\n\r\n'],
  ])('whose body has %s does not arrive whole, and nothing after it is read', async (_what, body) => {
    await using client = await world.open()
    client.send(head('POST /body HTTP/1.1', 'Transfer-Encoding: chunked') + body + smuggled())
    const { said } = await answersOn(client)
    expect(said).not.toContain('200')
    await vi.waitFor(async () => expect((await world.gate.records(1)).at(-1)?.refusal).toBeDefined())
    expect(seen.filter((line) => !line.startsWith('POST /body') || !line.endsWith('(broken off)'))).toEqual([])
  })

  it.each([
    ['ambiguous', () => head('GET /a/../b HTTP/1.1'), 'ambiguous_target'],
    ['none', () => 'NONSENSE\r\n\r\n', 'bad_request'],
  ])('that is ordinary, before one that is %s, is answered first', async (_what, bytes, reason) => {
    await using client = await world.open()
    client.send(head('GET /first HTTP/1.1') + bytes() + smuggled())
    const { said, ids } = await answersOn(client)
    expect(said).toEqual(['200', '400', reason])
    expect(seen).toEqual(['GET /first '])
    expect(await world.gate.record(ids[0])).toMatchObject({ response: { status: 200, ended: 'complete' } })
    expect(await world.gate.record(ids[1])).toMatchObject({ refusal: { reason } })
  })

  it.each([
    ['CONNECT', () => 'CONNECT evil.example:443 HTTP/1.1\r\nHost: evil.example:443\r\n\r\n'],
    ['Upgrade', () => head('GET /socket HTTP/1.1', 'Connection: Upgrade', 'Upgrade: websocket')],
  ])('with a %s after it that does not wait for the answer ends the connection', async (_what, bytes) => {
    await using client = await world.open()
    client.send(head('GET /first HTTP/1.1') + bytes() + smuggled())
    expect((await answersOn(client)).said).toEqual([])
    await vi.waitFor(async () => {
      const records = await world.gate.records(2)
      expect(records.slice(-2).map(({ refusal }) => refusal?.reason)).toContain('bad_request')
    })
    expect(seen.filter((line) => !line.startsWith('GET /first'))).toEqual([])
    // The proxy lives.
    await using other = await world.open()
    expect((await other.request([`GET /alive HTTP/1.1`, `Host: ${world.authority}`])).text).toBe('seen')
  })

  it('that follows empty lines, also a bare CR, is what it says', async () => {
    await using client = await world.open()
    client.send(`\r\n\r${head('GET /late HTTP/1.1', 'Connection: close')}`)
    expect((await answersOn(client)).said).toEqual(['200'])
    expect(seen).toEqual(['GET /late '])
  })

  it('that is refused does not keep its connection, whatever the client does with its side', async () => {
    await using client = await WireClient.open({ host: '127.0.0.1', port: world.gate.port(), allowHalfOpen: true })
    client.send('NONSENSE\r\n\r\n')
    expect((await answersOn(client)).said).toEqual(['400', 'bad_request'])
    // Our side is still open; what is written to it meets nobody.
    await vi.waitFor(() => {
      client.send('x')
      expect(client.socket.destroyed).toBe(true)
    }, 5_000)
  })

  it('to change the protocol, with bytes behind it that nobody reads, is recorded when it is declined', async () => {
    await using client = await world.open()
    client.send(head('GET /declined HTTP/1.1', 'Connection: Upgrade', 'Upgrade: websocket') + smuggled())
    const { said, ids } = await answersOn(client)
    expect(said).toEqual(['200'])
    expect(await world.gate.record(ids[0])).toMatchObject({ response: { status: 200, ended: 'complete' } })
    expect(seen).toEqual(['GET /declined '])
  })

  it('that hides another one in its body stays one', async () => {
    await using client = await world.open()
    const inner = smuggled()
    client.send(head('POST /outer HTTP/1.1', `Content-Length: ${inner.length}`, 'Connection: close') + inner)
    expect((await answersOn(client)).said).toEqual(['200'])
    expect(seen).toEqual([`POST /outer ${inner}`])
  })

  it.each([
    ['Connection: close, X-Kept', 'X-Kept: 1'],
    ['Connection: Host, Authorization, close', 'X-Kept: 1'],
    ['Keep-Alive: timeout=5', 'TE: trailers'],
    ['Proxy-Authorization: Basic cnVuOnRva2Vu', 'Proxy-Connection: keep-alive'],
    ['Content-Length: 0', 'Transfer-Encoding: chunked'].slice(0, 1).concat('Trailer: X-A'),
  ])('with %s and %s reaches the upstream once, with its credential', async (...fields) => {
    await using client = await world.open()
    client.send(
      head('GET /fields HTTP/1.1', ...fields, ...(fields.join().includes('close') ? [] : ['Connection: close'])),
    )
    const { said, ids } = await answersOn(client)
    expect(said).toEqual(['200'])
    expect(seen).toEqual(['GET /fields '])
    expect(await world.gate.record(ids[0])).toMatchObject({ credential: { name: 'key' }, response: { status: 200 } })
  })
})

describe('heads that were changed at random', () => {
  const pieces = fc.constantFrom(
    ...[
      '\r',
      '\n',
      '\r\n',
      '\r\n\r\n',
      '\0',
      ' ',
      '\t',
      ':',
      ';',
      ',',
      '\x0b',
      '\x7f',
      '\xff',
      '%',
      '%2e',
      '/../',
      '//',
      '#',
      '?',
      '@',
      '\\',
    ],
    ...[
      'Content-Length: 3\r\n',
      'Transfer-Encoding: chunked\r\n',
      'Host: x\r\n',
      'Connection: close\r\n',
      '0\r\n\r\n',
      'HTTP/1.0',
      'GET /x HTTP/1.1\r\n',
    ],
  )
  const changes = fc.array(fc.record({ at: fc.nat(200), drop: fc.nat(3), put: pieces }), { minLength: 1, maxLength: 4 })

  it('are refused or passed on as they were recorded, and the proxy lives', { timeout: 60_000 }, async () => {
    const before = new Set((await world.gate.records(0)).map(({ id }) => id))
    await fc.assert(
      fc.asyncProperty(changes, fc.boolean(), async (list, posts) => {
        const sound = posts
          ? `${head('POST /fuzz HTTP/1.1', 'Content-Length: 5', 'X-Some: thing')}hello`
          : head('GET /fuzz?a=b HTTP/1.1', 'X-Some: thing', 'Accept: */*')
        let bytes = sound
        for (const { at, drop, put } of list) {
          const where = at % (bytes.length + 1)
          bytes = bytes.slice(0, where) + put + bytes.slice(where + drop)
        }
        await using client = await world.open()
        client.send(bytes)
        client.send(smuggled())
        await quiet(client)
      }),
      { numRuns: 500 },
    )
    await using client = await world.open()
    expect((await client.request([`GET /alive HTTP/1.1`, `Host: ${world.authority}`])).text).toBe('seen')
    await vi.waitFor(async () => {
      const records = (await world.gate.records(0)).filter(({ id }) => !before.has(id))
      const allowed = counted(records.filter(({ decision }) => decision?.verdict === 'allow').map(lineOf))
      const answered = counted(records.filter(({ response }) => response?.status === 200).map(lineOf))
      const reached = counted(seen.map((line) => line.split(' ', 2).join(' ')))
      // Whatever reached the upstream stands in the records as allowed, and what was answered from there reached it.
      for (const [target, count] of reached) expect([target, allowed.get(target)]).toEqual([target, atLeast(count)])
      for (const [target, count] of answered) expect([target, reached.get(target)]).toEqual([target, atLeast(count)])
    }, 5_000)
    expect(seen.length).toBeGreaterThan(20)
    expect(world.gate.log()).not.toMatch(/internal_error|"level":"error"/)
    expect((await world.gate.records(0)).map(({ refusal }) => refusal?.reason)).not.toContain('internal_error')
  })
})

const lineOf = ({ request }: AuditRecord) => `${request?.method} ${request?.path}`

/** How often each stands in a list, without its query, of which records have no values. */
function counted(lines: readonly string[]): Map<string, number> {
  const counts = new Map<string, number>()
  for (const line of lines) {
    const target = line.replace(/\?.*$/, '')
    counts.set(target, (counts.get(target) ?? 0) + 1)
  }
  return counts
}

const atLeast = (count: number) => expect.toSatisfy((found: number | undefined) => (found ?? 0) >= count)

/** Reads until the other side ends the connection, or has said nothing more for a while after it began. */
async function quiet(client: WireClient): Promise<void> {
  for (;;) {
    const timer = Promise.withResolvers<'quiet'>()
    const timeout = setTimeout(() => timer.resolve('quiet'), 40)
    const came = await Promise.race([client.some(), timer.promise])
    clearTimeout(timeout)
    if (came === undefined || came === 'quiet') return
  }
}
