// The admin socket: whatever changes or reveals anything, for the user of the proxy and root alone.
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { Socket } from 'node:net'
import { listenPrivately } from '../../certs/private-socket.ts'
import { type Answers, answer } from './admin-answers.ts'

export interface AdminOptions extends Answers {
  /** Path of the socket; its folder is made with mode 0700 where it is missing. */
  readonly socket: string
  /** The kernel's word on who is at the other end; undefined: it says nothing, and nothing is answered. */
  readonly peerUid: (socket: Socket) => number | undefined
  /** Users that may ask, besides root. */
  readonly uids: readonly number[]
  /** Told of each caller that was turned away. */
  readonly turnedAway: (uid: number | undefined) => void
}

export interface AdminServer {
  close(): Promise<void>
}

/** @throws when the socket is in use, or others could reach or replace it */
export async function adminServer(options: AdminOptions): Promise<AdminServer> {
  const { socket: path, peerUid, uids, turnedAway } = options
  /** Whom the kernel named, by connection. */
  const askers = new WeakMap<Socket, number>()
  const server = createServer(
    { requestTimeout: 5_000, headersTimeout: 5_000, maxHeaderSize: 8_192 },
    (request, response) => reply(request, response, askers.get(request.socket), options),
  )
  server.maxConnections = 32
  // Asked once for each connection, before a byte of it is read.
  server.prependListener('connection', (socket: Socket) => {
    const uid = peerUid(socket)
    if (uid !== undefined && (uid === 0 || uids.includes(uid))) {
      askers.set(socket, uid)
      return
    }
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

async function reply(
  request: IncomingMessage,
  response: ServerResponse,
  uid: number | undefined,
  answers: Answers,
): Promise<void> {
  if (uid === undefined) return void response.destroy()
  const { status, body } = await answer(request, uid, answers).catch((error: unknown) => ({
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
