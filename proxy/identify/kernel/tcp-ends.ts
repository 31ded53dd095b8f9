// The two ends of a TCP connection as bytes, as the kernel's tables spell them.
import { isIPv4, isIPv6, SocketAddress } from 'node:net'
import type { Connection } from '../../exchange.ts'

export interface TcpEnd {
  /** 4 bytes, or 16; a v4 address mapped into v6 is 4. */
  readonly address: Uint8Array
  readonly port: number
}

/** Seen from the caller: `local` is its own end, `remote` is ours. Both addresses are of one family. */
export interface TcpEnds {
  readonly local: TcpEnd
  readonly remote: TcpEnd
}

/** The ends of an accepted connection, turned round to the caller's view; undefined when it is not TCP, or has gone before it was looked at. */
export function callersEnds(connection: Connection): TcpEnds | undefined {
  if (connection.transport !== 'tcp') return undefined
  const local = end(connection.remoteAddress, connection.remotePort)
  // The caller's own socket knows nothing of being redirected.
  const { address, port } = connection.original ?? { address: connection.localAddress, port: connection.localPort }
  const remote = end(address, port)
  if (local === undefined || remote === undefined || local.address.length !== remote.address.length) return undefined
  return { local, remote }
}

function end(address: string | undefined, port: number | undefined): TcpEnd | undefined {
  if (address === undefined || port === undefined) return undefined
  const bytes = addressBytes(address)
  return bytes === undefined ? undefined : { address: bytes, port }
}

/** An address as Node prints it (inet_ntop(3)); a zone index is left off, since it is not part of the address. */
export function addressBytes(text: string): Uint8Array | undefined {
  if (isIPv4(text)) return Uint8Array.from(text.split('.'), Number)
  const plain = text.replace(/%.*$/, '')
  if (!isIPv6(plain)) return undefined
  const bytes = new Uint8Array(16)
  const [head = '', tail] = plain.split('::')
  write(head, bytes, 0)
  if (tail !== undefined) write(tail, bytes, 16 - length(tail))
  return isV4Mapped(bytes) ? bytes.subarray(12) : bytes
}

/** The shortest form of an address (RFC 5952), as Node prints it; @param bytes 4 or 16 */
export function addressText(bytes: Uint8Array): string {
  if (bytes.length === 4) return bytes.join('.')
  const words: string[] = []
  for (let at = 0; at < 16; at += 2) words.push((((bytes[at] ?? 0) << 8) | (bytes[at + 1] ?? 0)).toString(16))
  return new SocketAddress({ address: words.join(':'), family: 'ipv6' }).address
}

/** The 16 bytes of an address; a v4 one is mapped (RFC 4291 §2.5.5.2). */
export function asV6(address: Uint8Array): Uint8Array {
  if (address.length === 16) return address
  const bytes = new Uint8Array(16).fill(0xff, 10, 12)
  bytes.set(address, 12)
  return bytes
}

const groups = (part: string): string[] => (part === '' ? [] : part.split(':'))

const length = (part: string): number => groups(part).reduce((sum, group) => sum + (group.includes('.') ? 4 : 2), 0)

function write(part: string, into: Uint8Array, at: number): void {
  let offset = at
  for (const group of groups(part)) {
    if (group.includes('.')) {
      into.set(Uint8Array.from(group.split('.'), Number), offset)
      offset += 4
    } else {
      const value = Number.parseInt(group, 16)
      into[offset] = value >> 8
      into[offset + 1] = value & 0xff
      offset += 2
    }
  }
}

function isV4Mapped(bytes: Uint8Array): boolean {
  for (let at = 0; at < 10; at += 1) if (bytes[at] !== 0) return false
  return bytes[10] === 0xff && bytes[11] === 0xff
}
