// Ports for a program that cannot choose them itself, or for a connection that nobody takes.
import { once } from 'node:events'
import { createServer, type Server } from 'node:net'

/** A port of 127.0.0.1 that was free a moment ago. */
export async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const address = server.address()
  server.close()
  await once(server, 'close')
  if (address === null || typeof address === 'string') throw new Error('no port')
  return address.port
}

/** The first of so many ports of 127.0.0.1, one behind the other, that were all free a moment ago. */
export async function freePorts(count: number): Promise<number> {
  for (let left = 50; left > 0; left--) {
    const first = await freePort()
    const servers = await Promise.all(Array.from({ length: count }, (_, at) => listening(first + at)))
    const opened = servers.filter((server) => server !== undefined)
    for (const server of opened) server.close()
    await Promise.all(opened.map((server) => once(server, 'close')))
    if (opened.length === count) return first
  }
  throw new Error(`no ${count} ports in a row`)
}

/** Undefined where somebody else has it. */
async function listening(port: number): Promise<Server | undefined> {
  if (port > 65_535) return undefined
  const server = createServer().listen(port, '127.0.0.1')
  try {
    await once(server, 'listening')
    return server
  } catch {
    return undefined
  }
}
