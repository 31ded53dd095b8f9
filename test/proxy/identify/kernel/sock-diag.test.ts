// The kernel's answers about real sockets, and what may not be believed of them.
import { once } from 'node:events'
import { closeSync, fstatSync, readFileSync } from 'node:fs'
import { connect, createServer, type Server, type Socket } from 'node:net'
import fc from 'fast-check'
import { afterEach, describe, expect, test, vi } from 'vitest'
import { kernelFacts } from '../../../../proxy/identify/kernel/facts.ts'
import { native, nativeCalls } from '../../../../proxy/identify/kernel/native.ts'
import { ownerInTable, tablesFor } from '../../../../proxy/identify/kernel/proc-net.ts'
import { diagnosisAnswer, diagnosisRequest, type SocketOwner } from '../../../../proxy/identify/kernel/sock-diag.ts'
import { addressBytes, type TcpEnds } from '../../../../proxy/identify/kernel/tcp-ends.ts'

const loaded = native()
const why = process.platform === 'linux' ? ('missing' in loaded ? loaded.missing : undefined) : 'Linux only'

const bySockDiag = (ends: TcpEnds): SocketOwner | undefined => {
  const answer = nativeCalls()?.socketDiagnosis(diagnosisRequest(ends, 7))
  return answer && diagnosisAnswer(answer, ends, 7)
}

const byTable = (ends: TcpEnds): SocketOwner | undefined =>
  tablesFor(ends)
    .map((name) => ownerInTable(readFileSync(`/proc/net/${name}`, 'latin1'), name, ends))
    .find((owner) => owner !== undefined)

/** Both ends in this process, so that the true inode is at hand. */
async function pair(host: string, listenOn: string): Promise<{ server: Server; client: Socket; accepted: Socket }> {
  const server = createServer({ allowHalfOpen: true }).listen(0, listenOn)
  await once(server, 'listening')
  const address = server.address()
  if (address === null || typeof address === 'string') throw new Error('not TCP')
  const client = connect({ port: address.port, host })
  const [accepted] = await once(server, 'connection')
  if (client.connecting) await once(client, 'connect')
  accepted.on('error', () => undefined)
  open.push(server, client, accepted)
  return { server, client, accepted }
}

const open: (Server | Socket)[] = []
afterEach(() => {
  for (const each of open.splice(0)) 'destroy' in each ? each.destroy() : each.close()
})

function inodeOf(socket: Socket): number {
  const fd: unknown = Reflect.get(Object(Reflect.get(socket, '_handle')), 'fd')
  if (typeof fd !== 'number') throw new Error('no fd')
  return fstatSync(fd).ino
}

function endsOf(accepted: Socket): TcpEnds {
  return {
    local: { address: addressBytes(accepted.remoteAddress ?? '') ?? new Uint8Array(), port: accepted.remotePort ?? 0 },
    remote: { address: addressBytes(accepted.localAddress ?? '') ?? new Uint8Array(), port: accepted.localPort ?? 0 },
  }
}

describe.skipIf(why !== undefined)(`socket owners${why === undefined ? '' : ` (skipped: ${why})`}`, () => {
  describe.each([
    ['sock_diag', bySockDiag],
    ['/proc/net', byTable],
    ['kernelFacts', (ends: TcpEnds) => kernelFacts().socketOwner(ends)],
  ])('by %s', (_name, ownerOf) => {
    test('nobody owns a connection that does not exist', () => {
      const address = Uint8Array.of(127, 0, 0, 1)
      expect(ownerOf({ local: { address, port: 1 }, remote: { address, port: 2 } })).toBeUndefined()
    })

    test('a listener on the caller’s port is not the caller', async () => {
      const { accepted } = await pair('127.0.0.1', '127.0.0.1')
      const listener = endsOf(accepted).remote
      expect(ownerOf({ local: listener, remote: { address: listener.address, port: 9 } })).toBeUndefined()
    })

    test('nobody owns a socket that its process has closed, while the kernel still keeps it', async () => {
      const { client, accepted } = await pair('127.0.0.1', '127.0.0.1')
      const ends = endsOf(accepted)
      expect(ownerOf(ends)?.inode).toBe(inodeOf(client))
      client.destroy()
      // Our end stays half open, so theirs stays in FIN_WAIT2.
      accepted.resume()
      await once(accepted, 'end')
      await vi.waitFor(() => expect(ownerOf(ends)).toBeUndefined(), { timeout: 10_000 })
    })

    test.each([
      ['v4', '127.0.0.1', '127.0.0.1'],
      ['v6', '::1', '::1'],
      ['v4 on a dual-stack listener', '127.0.0.1', '::'],
      ['a v4-mapped v6 socket', '::ffff:127.0.0.1', '127.0.0.1'],
      ['a v4-mapped v6 socket on a dual-stack listener', '::ffff:127.0.0.1', '::'],
    ])('names the socket of the caller: %s', async (_what, host, listenOn) => {
      const { client, accepted } = await pair(host, listenOn)
      const owner = ownerOf(endsOf(accepted))
      expect(owner).toEqual({ uid: process.getuid?.(), inode: inodeOf(client) })
      expect(owner?.inode).not.toBe(inodeOf(accepted))
    })

    test('still knows a caller that has sent all it had and waits', async () => {
      const { client, accepted } = await pair('127.0.0.1', '127.0.0.1')
      client.end()
      accepted.resume()
      await once(accepted, 'end')
      expect(ownerOf(endsOf(accepted))?.inode).toBe(inodeOf(client))
    })
  })
})

test.skipIf(why !== undefined)(
  'once the kernel has told by diagnosis, its tables are not read for sockets that are gone',
  async () => {
    let looks = 0
    const pid = () => {
      looks += 1
      return process.pid
    }
    const diagnosis = nativeCalls()?.openDiagnosis()
    const facts = kernelFacts(undefined, { diagnosis, pid })
    const address = Uint8Array.of(127, 0, 0, 1)
    const gone = { local: { address, port: 1 }, remote: { address, port: 2 } }
    expect(facts.socketOwner(gone)).toBeUndefined()
    expect(looks).toBe(1)
    const { client, accepted } = await pair('127.0.0.1', '127.0.0.1')
    expect(facts.socketOwner(endsOf(accepted))?.inode).toBe(inodeOf(client))
    expect(facts.socketOwner(gone)).toBeUndefined()
    expect(looks).toBe(1)
    if (diagnosis !== undefined) closeSync(diagnosis)
  },
)

describe('diagnosisAnswer', () => {
  const address = Uint8Array.of(127, 0, 0, 1)
  const ends = { local: { address, port: 40000 }, remote: { address, port: 15001 } }
  const request = diagnosisRequest(ends, 3)

  /** What the kernel would send back, in this machine's byte order. */
  function answer(uid: number, inode: number): Uint8Array {
    const bytes = new Uint8Array(88)
    const words = new Uint32Array(bytes.buffer)
    const halves = new Uint16Array(bytes.buffer)
    words[0] = 88
    halves[2] = 20
    words[2] = 3
    bytes[16] = 2
    bytes.set(request.subarray(24, 72), 20)
    words[20] = uid
    words[21] = inode
    return bytes
  }

  /** The same of a v6 socket with mapped addresses. */
  function mapped(bytes: Uint8Array): Uint8Array {
    bytes[16] = 10
    for (const at of [24, 40]) bytes.set([0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, ...address], at)
    return bytes
  }

  test('is the owner when it is about the same ends', () => {
    expect(diagnosisAnswer(answer(1000, 77), ends, 3)).toEqual({ uid: 1000, inode: 77 })
    expect(diagnosisAnswer(mapped(answer(1000, 77)), ends, 3)).toEqual({ uid: 1000, inode: 77 })
  })

  test('is nobody for uid 0 without an inode', () => {
    expect(diagnosisAnswer(answer(0, 0), ends, 3)).toBeUndefined()
  })

  test('is nobody when it is an error, an answer to another question, or cut short', () => {
    const error = answer(1000, 77)
    error[4] = 2
    expect(diagnosisAnswer(error, ends, 3)).toBeUndefined()
    expect(diagnosisAnswer(answer(1000, 77), ends, 4)).toBeUndefined()
    for (let length = 0; length < 88; length += 1)
      expect(diagnosisAnswer(answer(1000, 77).subarray(0, length), ends, 3)).toBeUndefined()
  })

  test('is nobody when it is v4 and the question was v6', () => {
    const v6 = new Uint8Array(16).fill(0x20)
    const asked = { local: { address: v6, port: 40000 }, remote: { address: v6, port: 15001 } }
    expect(diagnosisAnswer(answer(1000, 77), asked, 3)).toBeUndefined()
  })

  test('is nobody when one bit of either end differs', () => {
    const bit = fc.integer({ min: 0, max: 7 })
    fc.assert(
      fc.property(fc.constantFrom(20, 21, 22, 23, 24, 25, 26, 27, 40, 41, 42, 43), bit, (at, shift) => {
        const other = answer(1000, 77)
        other[at] = (other[at] ?? 0) ^ (1 << shift)
        expect(diagnosisAnswer(other, ends, 3)).toBeUndefined()
      }),
    )
    fc.assert(
      fc.property(fc.integer({ min: 20, max: 55 }), bit, (at, shift) => {
        const other = mapped(answer(1000, 77))
        other[at] = (other[at] ?? 0) ^ (1 << shift)
        expect(diagnosisAnswer(other, ends, 3)).toBeUndefined()
      }),
    )
  })

  test('never throws', () => {
    fc.assert(fc.property(fc.uint8Array({ maxLength: 200 }), (bytes) => void diagnosisAnswer(bytes, ends, 3)))
  })
})
