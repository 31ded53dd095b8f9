// An upstream that keeps its connections and remembers all that came on them: each byte, and what llhttp read in them.
import { createServer, type IncomingMessage } from 'node:http'
import type { Socket } from 'node:net'
import { duplexPair } from 'node:stream'

export interface Watched {
  /** As Latin-1. */
  bytes: string
  /** `GET /path`, of each request whose head llhttp read. */
  readonly heads: string[]
  /** The bodies of those that came whole, in the same order. */
  readonly bodies: string[]
  /** What llhttp found wrong. */
  readonly errors: string[]
}

/** Answers each request on a connection with `seen`. */
export function watch(socket: Socket): Watched {
  const watched: Watched = { bytes: '', heads: [], bodies: [], errors: [] }
  // Longer than the proxy keeps them, so that none is closed under a request, which would be sent again.
  const server = createServer({ keepAliveTimeout: 60_000 }, (request, response) => {
    watched.heads.push(`${request.method} ${request.url}`)
    void wholeBody(request).then((body) => {
      if (body === undefined) return
      watched.bodies.push(body)
      response.end('seen')
    })
  })
  server.on('clientError', (error: NodeJS.ErrnoException, broken) => {
    // A connection that ends early has nothing wrong in what came.
    if (error.code?.startsWith('HPE_') === true && error.code !== 'HPE_INVALID_EOF_STATE')
      watched.errors.push(error.code)
    broken.destroy()
  })
  const [ours, parsed] = duplexPair()
  for (const side of [socket, ours, parsed]) side.on('error', () => side.destroy())
  socket
    .on('data', (chunk) => {
      watched.bytes += chunk.toString('latin1')
      ours.write(chunk)
    })
    .on('end', () => ours.end())
    .on('close', () => ours.destroy())
  ours.on('data', (chunk) => socket.write(chunk)).on('close', () => socket.destroy())
  server.emit('connection', parsed)
  return watched
}

async function wholeBody(request: IncomingMessage): Promise<string | undefined> {
  try {
    return Buffer.concat(await request.toArray()).toString('latin1')
  } catch {
    return undefined
  }
}
