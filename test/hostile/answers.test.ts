// Upstreams that answer with what is no HTTP, or with too much of it: the agent gets a named refusal or an answer that breaks off, the next request is not touched by it, and the proxy lives.
import type { Socket } from 'node:net'
import { gzipSync } from 'node:zlib'
import fc from 'fast-check'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { agentId, agentsListener, openGate, type TestGate } from '../support/gate.ts'
import { rawUpstream, type Upstream } from '../support/upstream.ts'
import { WireClient } from '../support/wire-client.ts'

const ok = 'HTTP/1.1 200 OK\r\n'
const latin1 = (text: string) => Buffer.from(text, 'latin1')

interface Case {
  readonly bytes: Buffer
  /** The upstream ends the connection then. */
  readonly ends?: true
}

/** Answered with a refusal: what, and by which reason. */
const refused: Readonly<Record<string, Case & { readonly reason: string }>> = {
  'a control character in a field': {
    bytes: latin1(`${ok}X: a\x01b\r\nContent-Length: 0\r\n\r\n`),
    reason: 'upstream_protocol',
  },
  'a NUL in a field': { bytes: latin1(`${ok}X: a\0b\r\nContent-Length: 0\r\n\r\n`), reason: 'upstream_protocol' },
  'a bare CR in a field': {
    bytes: latin1(`${ok}X: a\rSet-Cookie: b\r\nContent-Length: 0\r\n\r\n`),
    reason: 'upstream_protocol',
  },
  'a bare LF for line ends': { bytes: latin1('HTTP/1.1 200 OK\nContent-Length: 2\n\nok'), reason: 'upstream_protocol' },
  'obs-fold': { bytes: latin1(`${ok}X: a\r\n b\r\nContent-Length: 2\r\n\r\nok`), reason: 'upstream_protocol' },
  'a space before a colon': { bytes: latin1(`${ok}X : a\r\nContent-Length: 2\r\n\r\nok`), reason: 'upstream_protocol' },
  'a field name that is none': {
    bytes: latin1(`${ok}X(y): a\r\nContent-Length: 2\r\n\r\nok`),
    reason: 'upstream_protocol',
  },
  'a status of four digits': {
    bytes: latin1('HTTP/1.1 1000 X\r\nContent-Length: 0\r\n\r\n'),
    reason: 'upstream_protocol',
  },
  'a status below 100': { bytes: latin1('HTTP/1.1 099 X\r\nContent-Length: 0\r\n\r\n'), reason: 'upstream_protocol' },
  'both lengths': {
    bytes: latin1(`${ok}Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n`),
    reason: 'upstream_protocol',
  },
  'two lengths': {
    bytes: latin1(`${ok}Content-Length: 5\r\nContent-Length: 6\r\n\r\nhello!`),
    reason: 'upstream_protocol',
  },
  'a length below zero': { bytes: latin1(`${ok}Content-Length: -1\r\n\r\nok`), reason: 'upstream_protocol' },
  'a coding besides chunked': {
    bytes: latin1(`${ok}Transfer-Encoding: gzip\r\n\r\nhello`),
    ends: true,
    reason: 'upstream_protocol',
  },
  'a page without a head': { bytes: latin1('<html>hello</html>'), ends: true, reason: 'upstream_protocol' },
  'frames of HTTP/2': { bytes: Buffer.from('000012040000000000', 'hex'), ends: true, reason: 'upstream_protocol' },
  'a head of 70 KB': {
    bytes: latin1(`${ok}X: ${'a'.repeat(70_000)}\r\nContent-Length: 0\r\n\r\n`),
    reason: 'upstream_protocol',
  },
  'an upgrade that nobody asked for': {
    bytes: latin1('HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: Upgrade\r\n\r\nhello'),
    reason: 'upstream_closed',
  },
  'an interim answer and the end': {
    bytes: latin1('HTTP/1.1 100 Continue\r\n\r\n'),
    ends: true,
    reason: 'upstream_closed',
  },
  nothing: { bytes: Buffer.alloc(0), ends: true, reason: 'upstream_closed' },
  'a coding that nobody knows': {
    bytes: latin1(`${ok}Content-Encoding: lzma\r\nContent-Length: 5\r\n\r\nhello`),
    reason: 'response_uninspectable',
  },
  'a part of a coded body': {
    bytes: latin1(
      'HTTP/1.1 206 Partial Content\r\nContent-Encoding: gzip\r\nContent-Range: bytes 1-5/9\r\nContent-Length: 5\r\n\r\nhello',
    ),
    reason: 'response_uninspectable',
  },
}

/** Begun, and broken off so that the agent can tell. */
const brokenOff: Readonly<Record<string, Case & { readonly reason: string }>> = {
  'a chunk size that is none': {
    bytes: latin1(`${ok}Transfer-Encoding: chunked\r\n\r\n2\r\nok\r\nzz\r\n`),
    reason: 'upstream_protocol',
  },
  'fewer bytes than announced': {
    bytes: latin1(`${ok}Content-Length: 10\r\n\r\nhello`),
    ends: true,
    reason: 'upstream_closed',
  },
  'a control character in a trailer': {
    bytes: latin1(`${ok}Transfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\nX: a\x01b\r\n\r\n`),
    reason: 'upstream_protocol',
  },
  'a length among the trailers': {
    bytes: latin1(`${ok}Transfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\nContent-Length: 55\r\n\r\n`),
    reason: 'upstream_protocol',
  },
  'what is not the coding that it says': {
    bytes: latin1(`${ok}Content-Encoding: gzip\r\nContent-Length: 5\r\n\r\nhello`),
    reason: 'response_uninspectable',
  },
  'half of a coded body': {
    bytes: Buffer.concat([
      latin1(`${ok}Content-Encoding: gzip\r\n\r\n`),
      gzipSync('hello hello hello').subarray(0, 15),
    ]),
    ends: true,
    reason: 'response_uninspectable',
  },
}

/** Odd, but all right: what the agent gets of it, the id of the request left out. */
const passed: Readonly<Record<string, Case & { readonly got: string }>> = {
  'text beyond ASCII in a field': {
    bytes: latin1(`${ok}X: a\xff\xfeb\r\nContent-Length: 0\r\n\r\n`),
    got: `${ok}X: a\xff\xfeb\r\nContent-Length: 0\r\n\r\n`,
  },
  'a control character in the status text': {
    bytes: latin1('HTTP/1.1 200 O\x01K\r\nContent-Length: 0\r\n\r\n'),
    got: `${ok}Content-Length: 0\r\n\r\n`,
  },
  'text beyond Latin 1 in the status text': {
    bytes: Buffer.from('HTTP/1.1 200 →\r\nContent-Length: 0\r\n\r\n'),
    got: `${ok}Content-Length: 0\r\n\r\n`,
  },
  'no status text': {
    bytes: latin1('HTTP/1.1 200\r\nContent-Length: 0\r\n\r\n'),
    got: `${ok}Content-Length: 0\r\n\r\n`,
  },
  'a status that nobody knows': {
    bytes: latin1('HTTP/1.1 999 X\r\nContent-Length: 0\r\n\r\n'),
    got: 'HTTP/1.1 999 X\r\nContent-Length: 0\r\n\r\n',
  },
  'a hundred interim answers': {
    bytes: latin1(`${'HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n'.repeat(100)}${ok}Content-Length: 2\r\n\r\nok`),
    got: `${ok}Content-Length: 2\r\n\r\nok`,
  },
  'fields that end here, and an id of its own': {
    bytes: latin1(
      `${ok}Alt-Svc: h3=":443"\r\nConnection: X-Hop\r\nX-Hop: 1\r\nProxy-Authenticate: Basic\r\npostern-request-id: forged\r\nContent-Length: 2\r\n\r\nok`,
    ),
    got: `${ok}Content-Length: 2\r\n\r\nok`,
  },
  'a whole answer after the answer': {
    bytes: latin1(`${ok}Content-Length: 2\r\n\r\nok${ok}Content-Length: 6\r\n\r\npoison`),
    got: `${ok}Content-Length: 2\r\n\r\nok`,
  },
  'an answer after one that has no body': {
    bytes: latin1(`HTTP/1.1 204 No Content\r\n\r\n${ok}Content-Length: 6\r\n\r\npoison`),
    got: 'HTTP/1.1 204 No Content\r\n\r\n',
  },
  'a redirect to where nobody may go': {
    bytes: latin1('HTTP/1.1 302 Found\r\nLocation: http://169.254.169.254/\r\nContent-Length: 0\r\n\r\n'),
    got: 'HTTP/1.1 302 Found\r\nLocation: http://169.254.169.254/\r\nContent-Length: 0\r\n\r\n',
  },
}

let upstream: Upstream
let gate: TestGate
let next: Case

function answer(socket: Socket): void {
  let head = ''
  socket.on('data', (chunk: Buffer) => {
    head += chunk.toString('latin1')
    for (;;) {
      const end = head.indexOf('\r\n\r\n')
      if (end === -1) return
      const sound = head.startsWith('GET /sound')
      head = head.slice(end + 4)
      if (sound) socket.write(`${ok}Content-Length: 5\r\n\r\nsound`)
      else if (next.ends) socket.end(next.bytes)
      else socket.write(next.bytes)
    }
  })
}

beforeAll(async () => {
  upstream = await rawUpstream(answer)
  gate = await openGate(
    `${agentsListener}resolve: { localhost: [127.0.0.1] }
destinations:
  api: { hosts: [localhost], protocol: http, ports: [${upstream.port}], addresses: [127.0.0.0/8] }
credentials:
  key: { kind: env, variable: API_KEY, for: [api] }
rules:
  - { name: agent-uses-the-api, allow: { agents: [${agentId}], to: api }, use: key }
`,
    { environment: { API_KEY: 'canary-40c2e89b17da' } },
  )
})
afterAll(async () => {
  await gate[Symbol.asyncDispose]()
  await upstream.close()
})

/** All that comes back, and the id under which it was recorded. */
async function get(path: string): Promise<{ readonly got: string; readonly id: string | undefined }> {
  const authority = `localhost:${upstream.port}`
  await using client = await WireClient.open({ host: '127.0.0.1', port: gate.port() })
  client.send(`GET http://${authority}${path} HTTP/1.1\r\nHost: ${authority}\r\nConnection: close\r\n\r\n`)
  const got = (await client.rest()).toString('latin1')
  const ids = [...got.matchAll(/Postern-Request-Id: (\S+)\r\n/gi)].map(([, id]) => id)
  expect(ids.length).toBeLessThan(2)
  return { got: got.replace(/Postern-Request-Id: .*\r\nConnection: close\r\n/, ''), id: ids[0] }
}

const sound = async () => expect((await get('/sound')).got).toBe(`${ok}Content-Length: 5\r\n\r\nsound`)

describe('an upstream that answers with', () => {
  it.each(Object.entries(refused))('%s is refused by name', async (_what, each) => {
    next = each
    const { got, id } = await get('/')
    expect(got).toMatch(/^HTTP\/1\.1 502 Bad Gateway\r\n/)
    expect(got).toContain(`"reason":"${each.reason}"`)
    expect(await gate.record(id)).toMatchObject({ refusal: { reason: each.reason }, response: { status: 502 } })
    await sound()
  })

  it.each(Object.entries(brokenOff))('%s is broken off', async (_what, each) => {
    next = each
    const { got, id } = await get('/')
    expect(got).toMatch(/^HTTP\/1\.1 200 OK\r\n/)
    expect(got).not.toMatch(/\r\n0\r\n\r\n$/)
    expect(await gate.record(id)).toMatchObject({
      refusal: { reason: each.reason },
      response: { ended: each.reason.startsWith('upstream') ? 'upstream_gone' : 'cut' },
    })
    await sound()
  })

  it.each(Object.entries(passed))('%s is given to the agent as far as it is an answer', async (_what, each) => {
    next = each
    const { got, id } = await get('/')
    expect(got).toBe(each.got)
    expect(await gate.record(id)).toMatchObject({ outcome: 'allowed', response: { ended: 'complete' } })
    await sound()
  })

  it('bytes changed at random is told from an answer, and never costs more than that one', {
    timeout: 60_000,
  }, async () => {
    const coded = gzipSync('hello hello hello')
    const answers = fc.constantFrom(
      latin1(`${ok}Content-Type: text/plain\r\nContent-Length: 5\r\n\r\nhello`),
      latin1(`${ok}Transfer-Encoding: chunked\r\nTrailer: X\r\n\r\n5\r\nhello\r\n0\r\nX: a\r\n\r\n`),
      Buffer.concat([latin1(`${ok}Content-Encoding: gzip\r\nContent-Length: ${coded.length}\r\n\r\n`), coded]),
    )
    const pieces = fc.oneof(
      fc
        .constantFrom('\r', '\n', '\r\n', '\r\n\r\n', '\0', ' ', ':', ';', '\x7f', '\xff', '0', '9', 'f', ok)
        .map(latin1),
      fc.constantFrom('Content-Length: 3\r\n', 'Transfer-Encoding: chunked\r\n', 'Connection: upgrade\r\n').map(latin1),
      fc.uint8Array({ minLength: 1, maxLength: 3 }).map((bytes) => Buffer.from(bytes)),
    )
    const changes = fc.array(fc.record({ at: fc.nat(200), drop: fc.nat(3), put: pieces }), {
      minLength: 1,
      maxLength: 4,
    })
    await fc.assert(
      fc.asyncProperty(answers, changes, async (whole, list) => {
        let bytes = whole
        for (const { at, drop, put } of list) {
          const where = at % (bytes.length + 1)
          bytes = Buffer.concat([bytes.subarray(0, where), put, bytes.subarray(where + drop)])
        }
        next = { bytes, ends: true }
        await get('/')
        await sound()
      }),
      { numRuns: 300 },
    )
  })

  it('none of these is taken for a mistake of the proxy', async () => {
    const reasons = (await gate.records(1)).map(({ refusal }) => refusal?.reason)
    expect(reasons).not.toContain('internal_error')
    expect(gate.log()).not.toContain('"level":"error"')
  })
})
