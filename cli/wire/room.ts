// A network namespace besides our own: sockets of ours that were opened in there, and what the kernel says of others in there.
import type { Socket as DatagramSocket } from 'node:dgram'
import type { Server } from 'node:net'
import type { KernelFacts } from '../../proxy/identify/kernel/facts.ts'

export interface Room {
  /** Servers that listen already, by the name of the listener that takes them over. */
  readonly servers: ReadonlyMap<string, Server>
  /** Where DNS is answered, on each address by datagram and by stream. */
  readonly dns: readonly { readonly datagrams: DatagramSocket; readonly streams: Server }[]
  /** Whether an address and port in there are ours. */
  isOwn(address: string, port: number): boolean
  readonly facts: KernelFacts
}
