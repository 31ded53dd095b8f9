// The ports, or the path, on which a listener is called.
import { createServer, type Server, type Socket } from 'node:net'
import type { ListenAddress } from './settings.ts'

/** Connections that the kernel holds until they are accepted; beyond, clients try again after a second (Linux: at most net.core.somaxconn). */
const backlog = 4_096

interface FrontsOptions {
  readonly address: ListenAddress
  /** How many ports there are, from that of the address on. */
  readonly ports: number
  /** Whether a caller that has ended its side may still be answered. */
  readonly allowHalfOpen: boolean
  readonly onSocket: (socket: Socket) => void
}

export class Fronts {
  readonly #address: ListenAddress
  readonly #servers: readonly Server[]

  constructor({ address, ports, allowHalfOpen, onSocket }: FrontsOptions) {
    this.#address = address
    this.#servers = Array.from({ length: ports }, () => createServer({ allowHalfOpen, noDelay: true }, onSocket))
  }

  /**
   * @param handed a server that listens already, whose place is taken
   * @returns the first address listened on, its port chosen by the system where 0 was asked for
   */
  async listen(handed: Server | undefined): Promise<ListenAddress> {
    const address = this.#address
    const [first = address] = await Promise.all(
      this.#servers.map((server, index) =>
        listening(
          server,
          handed ?? (address.kind === 'unix' ? address : { host: address.host, port: address.port + index }),
        ),
      ),
    )
    return first
  }

  /** Ports listened on. */
  get ports(): readonly number[] {
    return this.#servers.flatMap((server) => {
      const bound = server.address()
      return bound !== null && typeof bound === 'object' ? [bound.port] : []
    })
  }

  /** Takes no new connection. Resolves when those that came by here have ended. */
  async close(): Promise<void> {
    await Promise.all(this.#servers.map((server) => new Promise((resolve) => server.close(resolve))))
  }
}

/** @returns the address listened on */
function listening(
  server: Server,
  where: Server | { readonly host: string; readonly port: number } | Extract<ListenAddress, { kind: 'unix' }>,
): Promise<ListenAddress> {
  return new Promise((resolve, reject) => {
    server.once('error', reject)
    const own = 'path' in where ? { path: where.path, backlog } : 'host' in where ? { ...where, backlog } : where
    server.listen(own, () => {
      server.off('error', reject)
      const bound = server.address()
      resolve(
        bound !== null && typeof bound === 'object'
          ? { kind: 'tcp', host: bound.address, port: bound.port }
          : { kind: 'unix', path: bound ?? '' },
      )
    })
  })
}
