// Puts the guarded connector under undici's dispatchers, so that no connection is made past it.
import { Agent, type buildConnector, type Dispatcher } from 'undici'
import { Connector, type IsOwn, type Place, type Reachable } from './connector.ts'
import type { Resolve } from './resolver.ts'

/** The origin of a place, as undici and RFC 6454 §6.2 write it. */
export function originOf({ scheme, host, port }: Place): string {
  const standard = port === (scheme === 'https' ? 443 : 80)
  const name = host.includes(':') ? `[${host}]` : host
  return standard ? `${scheme}://${name}` : `${scheme}://${name}:${port}`
}

/** @param onConnected told the address of each connection made */
export function connectBy(
  connector: Connector,
  onConnected: (place: Place, address: string) => void,
): buildConnector.connector {
  return ({ protocol, hostname, port }, callback) => {
    const scheme = protocol === 'https:' ? 'https' : 'http'
    const host = hostname.startsWith('[') ? hostname.slice(1, -1) : hostname
    const place = { scheme, host, port: port === '' ? (scheme === 'https' ? 443 : 80) : Number(port) } as const
    connector.connect(place).then(
      (socket) => {
        if (socket.remoteAddress !== undefined) onConnected(place, socket.remoteAddress)
        callback(null, socket)
      },
      (error: Error) => callback(error, null),
    )
  }
}

/** A dispatcher for calls of our own, such as those to token servers: the same guard, no redirects, few connections. */
export function guardedDispatcher(reachable: Reachable, resolve: Resolve, isOwn: IsOwn): Dispatcher {
  const connector = new Connector(reachable, resolve, isOwn)
  return new Agent({ connect: connectBy(connector, () => {}), pipelining: 1, connections: 16 })
}
