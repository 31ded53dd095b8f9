// Knows the proxy's own ports, so that no request is forwarded back into it.
import { isIPv4 } from 'node:net'
import type { IsOwn } from './connector.ts'

/**
 * Whatever is at this machine's addresses on one of our ports is taken to be us: nothing else of ours would be reached
 * under that number, and what is refused too much is refused by name.
 * @param ports asked each time
 * @param localAddresses addresses of this machine's interfaces, asked each time
 */
export function ownPorts(ports: ReadonlySet<number>, localAddresses: () => readonly string[]): IsOwn {
  return (address, port) => {
    if (!ports.has(port)) return false
    const plain = address.startsWith('::ffff:') ? address.slice(7) : address
    if (plain === '::1' || plain === '::' || plain === '0.0.0.0') return true
    return (isIPv4(plain) && plain.startsWith('127.')) || localAddresses().includes(plain)
  }
}
