// An HTTPS server on loopback whose certificate a private authority made, as services inside a company have them.
import { once } from 'node:events'
import type { IncomingMessage, ServerResponse } from 'node:http'
import { createServer, type Server } from 'node:https'
import type { LeafIssuer } from '../../certs/leaf-issuer.ts'

export interface Listening {
  readonly port: number
  close(): Promise<void>
}

/** @param wanted the port if it is free, for the sake of readable addresses; else any */
export async function serveHttps(
  issuer: LeafIssuer,
  wanted: number,
  handle: (request: IncomingMessage, answer: ServerResponse) => void,
): Promise<Listening> {
  const server = createServer({ SNICallback: (name, done) => done(null, issuer.contextFor(name)) }, handle)
  const port = (await listen(server, wanted)) ?? (await listen(server, 0))
  if (port === undefined) throw new Error('no port of 127.0.0.1 is free')
  return {
    port,
    async close() {
      server.close()
      server.closeAllConnections()
      await once(server, 'close')
    },
  }
}

/** @returns undefined when the port is taken */
function listen(server: Server, wanted: number): Promise<number | undefined> {
  return new Promise((resolve, reject) => {
    const failed = (error: NodeJS.ErrnoException): void => {
      server.off('listening', done)
      if (error.code === 'EADDRINUSE') resolve(undefined)
      else reject(error)
    }
    const done = (): void => {
      server.off('error', failed)
      const address = server.address()
      resolve(address === null || typeof address === 'string' ? undefined : address.port)
    }
    server.once('error', failed)
    server.once('listening', done)
    server.listen(wanted, '127.0.0.1')
  })
}
