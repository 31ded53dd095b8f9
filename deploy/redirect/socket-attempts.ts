// Ways out that need sockets which Node does not offer: raw and packet sockets, and protocols besides TCP and UDP.
import { endianness } from 'node:os'
import type { Native } from '../../proxy/identify/kernel/native.ts'
import { nowhere } from './escapes.ts'

export type SocketWay = 'raw-socket' | 'packet-socket' | 'other-protocols'

type Sockets = Pick<Native, 'trySocket'>

export interface SocketAttempt {
  readonly name: string
  readonly held: boolean
  readonly got: string
}

const AF_INET = 2
const AF_INET6 = 10
const AF_PACKET = 17
const SOCK_DGRAM = 2
const SOCK_RAW = 3
const protocols = { icmp: 1, tcp: 6, icmp6: 58, udplite: 136 } as const
/** ETH_P_ALL (packet(7)), in network order. */
const everything = 0x0300

/** An echo request (RFC 792): type, code, checksum, identifier, sequence. */
const ping = Uint8Array.of(8, 0, 0xf7, 0xff, 0, 0, 0, 0)

export function trySockets({ trySocket }: Sockets, way: SocketWay): readonly SocketAttempt[] {
  /** Nothing is sent: what such a socket sends, no rule sees. */
  const opening = (name: string, family: number, protocol: number): SocketAttempt => {
    const got = trySocket(family, SOCK_RAW, protocol)
    return { name, held: got === 'no socket', got: got === 'no socket' ? 'refused' : got }
  }
  const sending = (name: string, protocol: number, port: number, bytes: Uint8Array): SocketAttempt => {
    const got = trySocket(AF_INET, SOCK_DGRAM, protocol, { to: socketAddress(nowhere.v4, port), bytes })
    return { name, held: got !== 'sent', got }
  }
  switch (way) {
    case 'raw-socket':
      return [opening('a raw socket', AF_INET, protocols.tcp), opening('a raw IPv6 socket', AF_INET6, protocols.icmp6)]
    case 'packet-socket':
      return [opening('a packet socket', AF_PACKET, everything)]
    case 'other-protocols':
      return [
        sending('ping', protocols.icmp, 0, ping),
        sending('UDP-Lite', protocols.udplite, 9_999, Uint8Array.of(0x78)),
      ]
  }
}

/** sockaddr_in (ip(7)). */
function socketAddress(address: string, port: number): Uint8Array {
  const bytes = new Uint8Array(16)
  const view = new DataView(bytes.buffer)
  view.setUint16(0, AF_INET, endianness() === 'LE')
  view.setUint16(2, port)
  bytes.set(address.split('.').map(Number), 4)
  return bytes
}
