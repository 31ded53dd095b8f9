// Tables as the kernel prints them, rows that look alike, and rubbish.
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { ownerInTable, tablesFor } from '../../../../proxy/identify/kernel/proc-net.ts'
import { addressBytes, type TcpEnds } from '../../../../proxy/identify/kernel/tcp-ends.ts'

const ends = (local: string, localPort: number, remote: string, remotePort: number): TcpEnds => ({
  local: { address: addressBytes(local) ?? new Uint8Array(), port: localPort },
  remote: { address: addressBytes(remote) ?? new Uint8Array(), port: remotePort },
})

const heading = '  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode'

const tcp = [
  heading,
  '   0: 0100007F:3A99 00000000:0000 0A 00000000:00000000 00:00000000 00000000  1337        0 20001 1 0000000015d56daf 100 0 0 10 0',
  '   1: 0100007F:80D3 0100007F:3A99 01 00000000:00000000 02:000A7D8C 00000000  1000        0 28898 2 0000000015d56daf 20 4 28 10 -1',
  '   2: 0100007F:3A99 0100007F:80D3 01 00000000:00000000 00:00000000 00000000  1337        0 28899 1 00000000eb46fd85 20 0 0 12 -1',
  '   3: 0100007F:80D4 0100007F:3A99 05 00000000:00000000 00:00000000 00000000     0        0 0 1 00000000eb46fd85 20 0 0 12 -1',
  '   4: 0100007F:80D5 0100007F:3A99 06 00000000:00000000 03:000016E4 00000000     0        0 0 3 00000000e5b0e7b2',
  '',
].join('\n')

const tcp6 = [
  heading,
  '   0: 00000000000000000000000001000000:80D6 00000000000000000000000001000000:3A99 01 00000000:00000000 00:00000000 00000000 4294967294        0 4294967295 1 0 20 4 28 10 -1',
  '   1: 0000000000000000FFFF00000100007F:80D7 0000000000000000FFFF00000100007F:3A99 01 00000000:00000000 00:00000000 00000000  1001        0 30002 1 0 20 4 28 10 -1',
].join('\n')

describe('ownerInTable', () => {
  test('does not take a listener on the caller’s port for the caller', () => {
    expect(ownerInTable(tcp, 'tcp', ends('127.0.0.1', 15001, '127.0.0.1', 1))).toBeUndefined()
  })

  test.each([0x80d4, 0x80d5])(
    'says nobody for a socket that its process has closed, though its row names uid 0 (port %i)',
    (port) => {
      expect(ownerInTable(tcp, 'tcp', ends('127.0.0.1', port, '127.0.0.1', 15001))).toBeUndefined()
    },
  )

  test('tells the two ends of one connection apart', () => {
    expect(ownerInTable(tcp, 'tcp', ends('127.0.0.1', 0x80d3, '127.0.0.1', 15001))).toEqual({ uid: 1000, inode: 28898 })
    expect(ownerInTable(tcp, 'tcp', ends('127.0.0.1', 15001, '127.0.0.1', 0x80d3))).toEqual({ uid: 1337, inode: 28899 })
  })

  test('reads IPv6 and the largest numbers, from a last line without its end', () => {
    expect(ownerInTable(tcp6, 'tcp6', ends('::1', 0x80d6, '::1', 15001))).toEqual({
      uid: 4294967294,
      inode: 4294967295,
    })
    expect(tablesFor(ends('::1', 1, '::1', 2))).toEqual(['tcp6'])
  })

  test('finds a v4 connection of a v6 socket in tcp6', () => {
    const mapped = ends('::ffff:127.0.0.1', 0x80d7, '::ffff:127.0.0.1', 15001)
    expect(tablesFor(mapped)).toEqual(['tcp', 'tcp6'])
    expect(ownerInTable(tcp6, 'tcp6', mapped)).toEqual({ uid: 1001, inode: 30002 })
  })

  test.each([
    ['cut before the inode', tcp.slice(0, tcp.indexOf('28898'))],
    ['a uid that is no number', tcp.replace('  1000 ', '  root ')],
    ['no table at all', ''],
  ])('says nobody when the row is unreadable: %s', (_what, table) => {
    expect(ownerInTable(table, 'tcp', ends('127.0.0.1', 0x80d3, '127.0.0.1', 15001))).toBeUndefined()
  })

  test('never throws, and never finds what is not there', () => {
    const asked = ends('127.0.0.1', 0x80d3, '127.0.0.1', 15001)
    fc.assert(
      fc.property(
        fc.oneof(
          fc.string(),
          fc.string().map((noise) => tcp.replace('0100007F:80D3', noise)),
        ),
        (table) => {
          fc.pre(!table.includes('0100007F:80D3 '))
          expect(ownerInTable(table, 'tcp', asked)).toBeUndefined()
        },
      ),
    )
  })
})
