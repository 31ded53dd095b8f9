// Whose socket stands at one end of a TCP connection, read from /proc/net/tcp and tcp6 (proc_pid_net(5)): milliseconds where sock_diag takes microseconds.
import { endianness } from 'node:os'
import type { SocketOwner } from './sock-diag.ts'
import { asV6, type TcpEnd, type TcpEnds } from './tcp-ends.ts'

/** Which tables may hold the caller's socket. A v4 connection can be that of a v6 socket, whose ends are then mapped addresses. */
export function tablesFor(ends: TcpEnds): readonly ('tcp' | 'tcp6')[] {
  return ends.local.address.length === 4 ? ['tcp', 'tcp6'] : ['tcp6']
}

/**
 * @param table the whole text of /proc/net/tcp or tcp6
 * @returns undefined when no row has these ends, or no process holds the socket any more (inode 0)
 */
export function ownerInTable(table: string, name: 'tcp' | 'tcp6', ends: TcpEnds): SocketOwner | undefined {
  const wanted = ` ${spell(ends.local, name)} ${spell(ends.remote, name)} `
  const start = table.indexOf(wanted)
  if (start === -1) return undefined
  const stop = table.indexOf('\n', start)
  const row = table.slice(start + wanted.length, stop === -1 ? undefined : stop)
  // st tx_queue:rx_queue tr:tm->when retrnsmt uid timeout inode …
  const found =
    /^[0-9A-F]{2} [0-9A-F]+:[0-9A-F]+ [0-9A-F]+:[0-9A-F]+ [0-9A-F]+ +(\d{1,10}) +\d+ +(\d{1,10})(?: |$)/.exec(row)
  if (found === null) return undefined
  const inode = Number(found[2])
  return inode === 0 ? undefined : { uid: Number(found[1]), inode }
}

/** `0100007F:1F90`: the address in words of the machine's own byte order, the port as a number, both in capital hex. */
function spell({ address, port }: TcpEnd, table: 'tcp' | 'tcp6'): string {
  const bytes = table === 'tcp6' ? asV6(address) : address
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length)
  let text = ''
  for (let at = 0; at < bytes.length; at += 4) text += hex(view.getUint32(at, endianness() === 'LE'), 8)
  return `${text}:${hex(port, 4)}`
}

const hex = (value: number, digits: number): string => value.toString(16).toUpperCase().padStart(digits, '0')
