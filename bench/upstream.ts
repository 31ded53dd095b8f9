// The upstream, a process of its own: a lean HTTPS server that writes ready-made answers on raw TLS sockets, so that the proxy is what is measured.
// It is told in its environment: BENCH_PORT, BENCH_CERT and BENCH_KEY (PEM), BENCH_CREDENTIAL (what `/check` expects).
import { createServer, type TLSSocket } from 'node:tls'
import { HttpReader } from './http-reader.ts'

const piece = Buffer.alloc(65_536, 'postern bench body ')
const small = answer(JSON.stringify({ id: 'c_1024', note: 'x'.repeat(1024 - 26) }), 'application/json')
const large = answer(Buffer.alloc(102_400, 'a line of a large answer\n'), 'application/json')
const eventsHead =
  'HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ncache-control: no-cache\r\ntransfer-encoding: chunked\r\n\r\n'

/** Streams that are open, in a hundred groups of which each gets its event in its own hundredth of a second. */
const streams = Array.from({ length: 100 }, () => new Set<TLSSocket>())
let tick = 0
let opened = 0

function answer(body: string | Buffer, type: string): Buffer {
  const bytes = Buffer.from(body)
  const head = [
    'HTTP/1.1 200 OK',
    'date: Thu, 01 Jan 2026 00:00:00 GMT',
    'server: bench',
    `content-type: ${type}`,
    `content-length: ${bytes.length}`,
    'cache-control: no-store',
    'x-request-id: 0123456789abcdef',
  ]
  return Buffer.concat([Buffer.from(`${head.join('\r\n')}\r\n\r\n`), bytes])
}

function serve(socket: TLSSocket): void {
  socket.setNoDelay(true)
  socket.on('error', () => socket.destroy())
  let head = ''
  const reader = new HttpReader({
    head(text) {
      head = text
    },
    done() {
      respond(socket, head)
    },
  })
  socket.on('data', (chunk: Buffer) => reader.feed(chunk))
}

function respond(socket: TLSSocket, head: string): void {
  const path = head.slice(head.indexOf(' ') + 1, head.indexOf(' HTTP/'))
  if (path === '/1k') socket.write(small)
  else if (path === '/100k') socket.write(large)
  else if (path === '/events') openStream(socket)
  else if (path.startsWith('/bytes/')) void sendBytes(socket, Number(path.slice('/bytes/'.length)))
  else if (path === '/sink') socket.write(answer('{"taken":true}', 'application/json'))
  else if (path === '/check')
    socket.write(answer(JSON.stringify({ credential: carriesCredential(head) }), 'application/json'))
  else socket.write('HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\n\r\n')
}

function carriesCredential(head: string): boolean {
  return head
    .split('\r\n')
    .some((line) => line.toLowerCase() === `authorization: ${process.env.BENCH_CREDENTIAL}`.toLowerCase())
}

function openStream(socket: TLSSocket): void {
  const group = streams[opened++ % streams.length]
  group?.add(socket)
  socket.on('close', () => group?.delete(socket))
  socket.write(eventsHead)
}

/** Each event holds the monotonic clock's reading in the instant of its writing; the clock is the same in all processes. */
function sendEvents(): void {
  for (const socket of streams[tick++ % streams.length] ?? []) {
    const at = process.hrtime.bigint()
    const event = `data: {"choices":[{"index":0,"delta":{"content":"one more word of the answer "}}],"at":"${at}"}\n\n`
    socket.write(`${event.length.toString(16)}\r\n${event}\r\n`)
  }
}

async function sendBytes(socket: TLSSocket, total: number): Promise<void> {
  socket.write(`HTTP/1.1 200 OK\r\ncontent-type: application/octet-stream\r\ncontent-length: ${total}\r\n\r\n`)
  for (let sent = 0; sent < total && !socket.destroyed; sent += piece.length) {
    const more = socket.write(piece.subarray(0, Math.min(piece.length, total - sent)))
    if (!more) await drained(socket)
  }
}

function drained(socket: TLSSocket): Promise<void> {
  return new Promise((resolve) => {
    const go = (): void => {
      socket.off('drain', go)
      socket.off('close', go)
      resolve()
    }
    socket.on('drain', go)
    socket.on('close', go)
  })
}

const server = createServer(
  { cert: process.env.BENCH_CERT, key: process.env.BENCH_KEY, ALPNProtocols: ['http/1.1'] },
  serve,
)
server.on('tlsClientError', () => {})
server.listen(Number(process.env.BENCH_PORT), '127.0.0.1', 4096)
setInterval(sendEvents, 10)
process.on('disconnect', () => process.exit(0))
