// The admin socket: whatever changes or reveals anything, for the user of the proxy and root alone.
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { Socket } from 'node:net'
import { listenPrivately } from '../../certs/private-socket.ts'
import type { AdminReload, AdminStatus } from './admin-protocol.ts'

export interface AdminOptions {
  /** Path of the socket; its folder is made with mode 0700 where it is missing. */
  readonly socket: string
  /** The kernel's word on who is at the other end; undefined: it says nothing, and nothing is answered. */
  readonly peerUid: (socket: Socket) => number | undefined
  /** Users that may ask, besides root. */
  readonly uids: readonly number[]
  readonly status: () => AdminStatus
  readonly reload: () => Promise<AdminReload>
  /** Told of each caller that was turned away. */
  readonly turnedAway: (uid: number | undefined) => void
}

export interface AdminServer {
  close(): Promise<void>
}

interface Reply {
  readonly status: number
  readonly body: unknown
}

/** @throws when the socket is in use, or others could reach or replace it */
export async function adminServer(options: AdminOptions): Promise<AdminServer> {
  const { socket: path, peerUid, uids, turnedAway } = options
  const server = createServer(
    { requestTimeout: 5_000, headersTimeout: 5_000, maxHeaderSize: 8_192 },
    (request, response) => reply(request, response, options),
  )
  server.maxConnections = 32
  // Asked once for each connection, before a byte of it is read.
  server.prependListener('connection', (socket: Socket) => {
    const uid = peerUid(socket)
    if (uid !== undefined && (uid === 0 || uids.includes(uid))) return
    turnedAway(uid)
    socket.destroy()
  })
  await listenPrivately(server, path, 0o600)
  return {
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve())
        server.closeAllConnections()
      }),
  }
}

async function reply(request: IncomingMessage, response: ServerResponse, options: AdminOptions): Promise<void> {
  const { status, body } = await answer(request, options).catch((error: unknown) => ({
    status: 500,
    body: { error: error instanceof Error ? error.message : String(error) },
  }))
  const text = `${JSON.stringify(body)}\n`
  response.writeHead(status, {
    'content-type': 'application/json',
    'content-length': Buffer.byteLength(text),
    connection: 'close',
  })
  response.end(text)
}

async function answer({ method, url, headers }: IncomingMessage, { status, reload }: AdminOptions): Promise<Reply> {
  // None of the questions has a body, and a browser has no business here.
  if (headers.origin !== undefined) return { status: 403, body: { error: 'Not for pages of a browser.' } }
  if (headers['transfer-encoding'] !== undefined || (headers['content-length'] ?? '0') !== '0') {
    return { status: 400, body: { error: 'No body is expected.' } }
  }
  switch (`${method} ${url}`) {
    case 'GET /v1/status':
      return { status: 200, body: status() }
    case 'POST /v1/reload': {
      const result = await reload()
      return { status: result.reloaded ? 200 : 422, body: result }
    }
    default:
      return { status: 404, body: { error: 'There is GET /v1/status and POST /v1/reload.' } }
  }
}
