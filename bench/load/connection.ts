// One connection of the load: through CONNECT where there is a proxy, then TLS, then HTTP/1.1 on the raw socket.
import { once } from 'node:events'
import { connect as connectTcp, type Socket } from 'node:net'
import { connect as connectTls, type TLSSocket } from 'node:tls'
import { HttpReader, type MessageEvents } from '../http-reader.ts'
import type { Route } from './orders.ts'

/** @throws when the proxy refuses or the handshake fails */
export async function open(route: Route): Promise<TLSSocket> {
  const raw = connectTcp({ port: route.proxyPort ?? route.upstreamPort, host: '127.0.0.1', noDelay: true })
  await once(raw, 'connect')
  if (route.proxyPort !== undefined) await askForTunnel(raw, `${route.host}:${route.upstreamPort}`)
  // What is measured is the proxy; whom its certificate comes from is another matter, and checking it is our own time.
  const socket = connectTls({
    socket: raw,
    servername: route.host,
    rejectUnauthorized: false,
    ALPNProtocols: ['http/1.1'],
  })
  await once(socket, 'secureConnect')
  return socket
}

async function askForTunnel(raw: Socket, authority: string): Promise<void> {
  raw.write(`CONNECT ${authority} HTTP/1.1\r\nHost: ${authority}\r\n\r\n`)
  const [answer] = (await once(raw, 'data')) as [Buffer]
  const text = answer.toString('latin1')
  if (!text.startsWith('HTTP/1.1 200') || !text.endsWith('\r\n\r\n')) throw new Error(`no tunnel: ${text}`)
}

/** Opens many, some at a time, so that handshakes do not run into time limits. */
export async function openMany(route: Route, count: number): Promise<TLSSocket[]> {
  const sockets: TLSSocket[] = []
  while (sockets.length < count) {
    const some = Array.from({ length: Math.min(32, count - sockets.length) }, () => open(route))
    sockets.push(...(await Promise.all(some)))
  }
  return sockets
}

/** The head of a request as an SDK would send it. */
export function requestHead(route: Route, method: string, path: string, extra = ''): Buffer {
  const lines = [
    `${method} ${path} HTTP/1.1`,
    `host: ${route.host}:${route.upstreamPort}`,
    'user-agent: bench/1',
    'accept: application/json',
    'accept-language: *',
    'accept-encoding: gzip, deflate',
    'x-request-purpose: bench',
  ]
  return Buffer.from(`${lines.join('\r\n')}\r\n${route.fields}${extra}\r\n`)
}

/** Connections that we end ourselves. */
const ending = new WeakSet<TLSSocket>()

/** Reads answers off the socket. An answer that is not 200, or a connection that ends, fails the run: figures of errors are worthless. */
export function readAnswers(socket: TLSSocket, events: MessageEvents): void {
  socket.on('close', () => {
    if (!ending.has(socket)) throw new Error('a connection ended')
  })
  const reader = new HttpReader({
    ...events,
    head(text) {
      if (!text.startsWith('HTTP/1.1 200')) throw new Error(`an answer that was not wanted: ${text}`)
      events.head?.(text)
    },
  })
  socket.on('data', (chunk: Buffer) => reader.feed(chunk))
}

/** Ends connections and waits until they are gone. */
export async function closeAll(sockets: readonly TLSSocket[]): Promise<void> {
  await Promise.all(
    sockets.map(async (socket) => {
      socket.removeAllListeners('data')
      socket.on('error', () => {})
      ending.add(socket)
      if (socket.closed) return
      const gone = once(socket, 'close')
      socket.destroy()
      await gone
    }),
  )
}
