// Requests as bytes, through Node's parser and the reading of the head: what is taken is one request to one reader more, a strict one.
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import { Duplex } from 'node:stream'
import { captureRequest, type Place } from '../../../proxy/capture/request.ts'
import { canonicalHost } from '../../../proxy/capture/target.ts'
import type { Captured, Connection } from '../../../proxy/exchange.ts'
import { Refusal } from '../../../proxy/refusal.ts'
import { Ambiguous, readRequests } from '../../hostile/desync/strict-parser.ts'
import { latin1, must, mustEqual, type Target } from '../target.ts'

const place: Place = { scheme: 'https', host: canonicalHost('api.crm.example'), port: 443 }
const reasons = ['bad_request', 'ambiguous_target', 'misdirected', 'request_too_large']
const connection: Connection = {
  id: 'c1',
  listener: 'agents',
  transport: 'tcp',
  remoteAddress: '127.0.0.1',
  remotePort: 1,
  localAddress: '127.0.0.1',
  localPort: 2,
} as Connection

interface Heard {
  readonly captured: Captured
  body: number
  ended: boolean
}

/** What one connection brought; the server takes each connection to its own. */
class Wire extends Duplex {
  readonly heard: Heard[] = []
  /** Nothing that follows counts: the connection is closed, or speaks something else. */
  over = false
  override _read(): void {}
  override _write(_chunk: Buffer, _encoding: BufferEncoding, done: () => void): void {
    done()
  }
}

const server = createServer({ maxHeaderSize: 65_536, insecureHTTPParser: false, requireHostHeader: false })
server.maxHeadersCount = 0
server
  .on('request', (message, response) => hear(message, response))
  .on('checkContinue', (message, response) => hear(message, response))
  .on('checkExpectation', (message, response) => hear(message, response))
  .on('clientError', (_error, socket) => end(socket))
  .on('connect', (_message, socket) => end(socket))
  .on('upgrade', (_message, socket) => end(socket))

function end(socket: Duplex): void {
  if (socket instanceof Wire) socket.over = true
  socket.destroy()
}

function hear(message: IncomingMessage, response: ServerResponse): void {
  const wire: Duplex = message.socket
  if (!(wire instanceof Wire)) throw new Error('another socket')
  if (wire.over) return
  try {
    const captured = captureRequest(message, connection, place, 1_700_000_000_000, false, () => {})
    const heard: Heard = { captured, body: 0, ended: false }
    wire.heard.push(heard)
    message
      .on('data', (chunk: Buffer) => {
        heard.body += chunk.length
      })
      .on('end', () => {
        heard.ended = true
      })
    response.end()
  } catch (error) {
    // The message is what a listener would answer; the connection is closed after it.
    wire.over = true
    wire.emit('refused', error)
  }
}

const host = 'Host: api.crm.example\r\n'

export const target: Target = {
  name: 'request-head',
  longest: 700,
  seeds: [
    `GET /v1/contacts/7?a=b HTTP/1.1\r\n${host}Accept: */*\r\n\r\n`,
    `POST /v1 HTTP/1.1\r\n${host}Content-Length: 5\r\n\r\nhelloGET /2 HTTP/1.1\r\n${host}\r\n`,
    `PUT /x HTTP/1.1\r\n${host}Transfer-Encoding: chunked\r\n\r\n5;a=b\r\nhello\r\n0\r\nX: y\r\n\r\nGET / HTTP/1.1\r\n${host}\r\n`,
    `GET https://api.crm.example/a HTTP/1.1\r\n${host}Connection: keep-alive\r\nExpect: 100-continue\r\n\r\n`,
    'GET /old HTTP/1.0\r\n\r\n',
  ],
  dictionary: [
    ...[
      '\r\n',
      '\n',
      '\r',
      '\r\n\r\n',
      ' ',
      '\t',
      ':',
      '\0',
      '\x0b',
      'Host: ',
      host,
      'Content-Length: ',
      'Content-Length: 5\r\n',
      'Transfer-Encoding: ',
    ],
    ...[
      'Transfer-Encoding: chunked\r\n',
      'chunked',
      'identity',
      ', ',
      '0\r\n\r\n',
      '5\r\n',
      '1\r\na\r\n',
      ';',
      '+5',
      '0x5',
      '05',
      ' HTTP/1.1',
      ' HTTP/1.0',
    ],
    ...[
      'GET ',
      'POST ',
      'CONNECT ',
      'OPTIONS * ',
      'PRI * HTTP/2.0',
      '/',
      '//',
      '/../',
      'http://',
      'https://api.crm.example:443/',
      'Connection: close\r\n',
    ],
    ...[
      'Connection: upgrade\r\nUpgrade: websocket\r\n',
      'Upgrade: h2c\r\n',
      'X_y: ',
      'content_length: 5\r\n',
      '\x80',
      '\r\n X: folded',
      'Expect: 100-continue\r\n',
    ],
  ],
  async run(input) {
    const wire = new Wire()
    let broken: unknown
    wire.on('error', () => {})
    wire.once('refused', (error: unknown) => {
      if (!(error instanceof Refusal) || !reasons.includes(error.reason)) broken = error
    })
    server.emit('connection', wire)
    wire.push(input)
    await new Promise((resolve) => setImmediate(resolve))
    await new Promise((resolve) => setImmediate(resolve))
    const { heard } = wire
    wire.destroy()
    if (broken !== undefined) throw broken
    for (const { captured } of heard) checkForwarded(captured)
    checkOrder(latin1(input), heard)
  },
}

/** Its head, written as it leaves, is one head to a strict reader. */
function checkForwarded({ method, target: to, headers }: Captured): void {
  const fields: string[] = []
  for (let at = 0; at < headers.length; at += 2) {
    const name = headers[at] ?? ''
    // Fields of framing are the forwarder's own, and their look-alikes do not leave.
    if (/^(?:host|content[-_]length|transfer[-_]encoding)$/i.test(name)) continue
    fields.push(`${name}: ${headers[at + 1]}\r\n`)
  }
  const text = `${method} ${to.path}${to.query} HTTP/1.1\r\n${host}${fields.join('')}\r\n`
  const { requests } = readRequests(text)
  mustEqual(requests.length, 1, `requests in ${JSON.stringify(text)}`)
  const [read] = requests
  mustEqual([read?.method, read?.target], [method, to.path + to.query], 'the strict reader sees another request')
  mustEqual(read?.fields.length, fields.length + 1, 'the strict reader sees other fields')
}

/** What a strict reader can read at all, it reads as the same requests with bodies of the same length. */
function checkOrder(text: string, heard: readonly Heard[]): void {
  let strict: ReturnType<typeof readRequests>
  try {
    strict = readRequests(text)
  } catch (error) {
    if (error instanceof Ambiguous) return
    throw error
  }
  for (const [at, { captured, body, ended }] of heard.entries()) {
    const read = strict.requests[at]
    if (read === undefined) {
      must(
        at === strict.requests.length && !ended,
        `${heard.length} requests, ${strict.requests.length} to the strict reader`,
      )
      return
    }
    mustEqual(captured.method, read.method, 'another method')
    if (ended) mustEqual(body, read.body.length, 'a body of another length')
  }
}
