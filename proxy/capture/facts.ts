// What the transport tells of a peer, gathered once when it connects.
import type { Socket } from 'node:net'
import { TLSSocket } from 'node:tls'
import { presentedChain } from '../../certs/x509/presented.ts'
import type { Connection, HeaderList } from '../exchange.ts'
import { Secret } from '../secret.ts'

/** Other end of a UNIX socket, as the kernel knows it (SO_PEERCRED). */
export type PeerCredentials = NonNullable<Connection['peer']>

interface Origin {
  readonly id: string
  readonly listener: string
  readonly accept: Connection['accept']
  readonly peerCredentials: (socket: Socket) => PeerCredentials | undefined
  readonly original: Connection['original'] | undefined
  readonly isolation: Connection['isolation'] | undefined
}

/** The facts of one accepted connection; requests on it may still name different runs in Proxy-Authorization. */
export class Facts {
  readonly #base: Omit<Connection, 'proxyAuthorization'>
  #last: { readonly authorization: string | undefined; readonly connection: Connection } | undefined

  constructor(base: Omit<Connection, 'proxyAuthorization'>) {
    this.#base = base
  }

  /** The same object for the same Proxy-Authorization, so that a proof once given is found again. */
  connection(authorization: string | undefined): Connection {
    if (this.#last !== undefined && this.#last.authorization === authorization) return this.#last.connection
    const proxyAuthorization =
      authorization === undefined ? undefined : new Secret('proxy-authorization', authorization)
    const connection = { ...this.#base, proxyAuthorization }
    this.#last = { authorization, connection }
    return connection
  }
}

export function factsOf(socket: Socket, { id, listener, accept, peerCredentials, original, isolation }: Origin): Facts {
  const unix = socket.remoteAddress === undefined && socket.localAddress === undefined
  const peer = unix ? peerCredentials(socket) : undefined
  return new Facts({
    id,
    listener,
    accept,
    transport: unix ? 'unix' : 'tcp',
    remoteAddress: socket.remoteAddress,
    remotePort: socket.remotePort,
    localAddress: socket.localAddress,
    localPort: socket.localPort,
    peerCertificates: socket instanceof TLSSocket ? presentedChain(socket) : [],
    ...(peer === undefined ? {} : { peer }),
    ...(isolation === undefined ? {} : { isolation }),
    ...(original === undefined ? {} : { original }),
  })
}

/** The value of Proxy-Authorization. */
export function presented(fields: HeaderList): string | undefined {
  for (let at = 0; at < fields.length; at += 2) {
    const name = fields[at]
    if (name?.length === 19 && name.toLowerCase() === 'proxy-authorization') return fields[at + 1]
  }
  return undefined
}
