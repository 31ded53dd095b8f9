// Upstream servers for tests: real TLS, or raw TCP, on a free port of loopback.
import { once } from 'node:events'
import { createServer as createHttpServer, type Server as HttpServer, type RequestListener } from 'node:http'
import { createServer as createHttpsServer, type Server } from 'node:https'
import { createServer as createTcpServer, type Socket } from 'node:net'
import type { TlsOptions, Server as TlsServer } from 'node:tls'
import { type Authority, makeAuthority, makeServerCertificate } from './pki.ts'

export interface Upstream {
  readonly port: number
  /** PEM of the authority that its certificate is from. */
  readonly ca: string
  /** Connections accepted so far. */
  readonly connections: () => number
  close(): Promise<void>
}

export interface HttpsUpstream extends Upstream {
  readonly server: Server
}

/** A server of HTTP/1.1 over TLS for these names. */
export async function httpsUpstream(
  names: readonly string[],
  listener: RequestListener,
  { authority = makeAuthority(), tls = {} }: { authority?: Authority; tls?: TlsOptions } = {},
): Promise<HttpsUpstream> {
  const server = createHttpsServer({ ...makeServerCertificate(authority, names), ...tls }, listener)
  return { ...(await started(server)), server, ca: authority.pem }
}

/** A server of HTTP/1.1 in clear. */
export async function httpUpstream(listener: RequestListener): Promise<Upstream & { readonly server: HttpServer }> {
  const server = createHttpServer(listener)
  return { ...(await started(server)), server, ca: '' }
}

/** A server that gets each raw connection. */
export async function rawUpstream(
  accept: (socket: Socket) => void,
  options: { readonly allowHalfOpen?: boolean } = {},
): Promise<Upstream> {
  const server = createTcpServer(options, (socket) => {
    socket.on('error', () => {})
    accept(socket)
  })
  return { ...(await started(server)), ca: '' }
}

export async function started(
  server: ReturnType<typeof createTcpServer> | TlsServer | Server | HttpServer,
): Promise<Omit<Upstream, 'ca'>> {
  const open = new Set<Socket>()
  let connections = 0
  server.on('connection', (socket: Socket) => {
    connections += 1
    open.add(socket)
    socket.once('close', () => open.delete(socket))
  })
  server.on('tlsClientError', () => {})
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const address = server.address()
  if (address === null || typeof address === 'string') throw new Error('no port')
  return {
    port: address.port,
    connections: () => connections,
    async close() {
      const closed = once(server, 'close')
      server.close()
      for (const socket of open) socket.destroy()
      await closed
    },
  }
}
