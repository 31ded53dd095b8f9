// What the kernel says of a socket: who is at the other end of a UNIX one, where a redirected one was going. The listener asks when it accepts, while it still holds the socket.
import { isIPv4, type Socket } from 'node:net'
import { nativeCalls, type PeerCredentials } from './native.ts'
import { readStat } from './process-stat.ts'
import { addressText } from './tcp-ends.ts'

/** Pid, uid and gid of the peer when it connected; undefined for TCP, a socket already closed, or where they cannot be had. */
export function peerCredentials(socket: Socket): PeerCredentials | undefined {
  const fd = descriptor(socket)
  return fd === undefined ? undefined : nativeCalls()?.peerCredentials(fd)
}

/** The same, and when the process began: asked at once, so that whoever gets its number later is not taken for it. */
export function peerProcess(socket: Socket): (PeerCredentials & { readonly start?: number }) | undefined {
  const peer = peerCredentials(socket)
  const start = peer === undefined || peer.pid === 0 ? undefined : readStat(peer.pid)?.start
  return peer === undefined || start === undefined ? peer : { ...peer, start }
}

/** The uid of the peer on a UNIX socket. Undefined means that nothing is known, so that nothing may be granted. */
export function peerUid(socket: Socket): number | undefined {
  return peerCredentials(socket)?.uid
}

/** Where a redirected connection was going, as the kernel remembers it; undefined where it was not redirected, or has gone. */
export function originalDestination(socket: Socket): { readonly address: string; readonly port: number } | undefined {
  const fd = descriptor(socket)
  const { remoteAddress = '' } = socket
  if (fd === undefined || remoteAddress === '') return undefined
  // A v4 connection keeps its v4 destination, also where the listener is of both families.
  const family = isIPv4(remoteAddress) || remoteAddress.startsWith('::ffff:') ? 4 : 6
  const found = nativeCalls()?.originalDestination(fd, family)
  return found === undefined ? undefined : { address: addressText(found.address), port: found.port }
}

/** Node keeps the number on the handle, undocumented; a release that moves it makes this undefined, never wrong. */
function descriptor(socket: Socket): number | undefined {
  const handle: unknown = Reflect.get(socket, '_handle')
  if (typeof handle !== 'object' || handle === null) return undefined
  const fd: unknown = Reflect.get(handle, 'fd')
  return typeof fd === 'number' && fd >= 0 ? fd : undefined
}
