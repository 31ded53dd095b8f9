import { once } from 'node:events'
import { connect, createServer, type Server, type Socket } from 'node:net'
import fc from 'fast-check'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { Crowd, type CrowdLimit, type Member, sourceOf } from '../../../proxy/capture/crowd.ts'

let server: Server
const clients: Socket[] = []

beforeEach(async () => {
  server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
})

afterEach(() => {
  for (const client of clients.splice(0)) client.destroy()
  server.close()
})

/** The accepted end of a connection from that address. */
async function accepted(from = '127.0.0.1'): Promise<Socket> {
  const address = server.address()
  const port = address !== null && typeof address === 'object' ? address.port : 0
  const client = connect({ host: '127.0.0.1', port, localAddress: from })
  client.on('error', () => {})
  clients.push(client)
  const [socket] = await once(server, 'connection')
  return socket
}

function present(member: Member | undefined): Member {
  if (member === undefined) throw new Error('there was no room')
  return member
}

describe('where a limit is reached', () => {
  it('nobody new comes in while all of the source have something under way', async () => {
    const reached: CrowdLimit[] = []
    const crowd = new Crowd((limit) => reached.push(limit), { connections: 10, perSource: 2 })
    for (let at = 0; at < 2; at++) present(crowd.enter(await accepted())).entered()
    expect(crowd.enter(await accepted())).toBeUndefined()
    expect(reached).toEqual(['connections_of_source'])
    expect(crowd.size).toBe(2)
  })

  it('the one of the source that has been idle for longest gives way', async () => {
    const crowd = new Crowd(() => {}, { connections: 10, perSource: 3 })
    const [first, second, third] = [await accepted(), await accepted(), await accepted()]
    const was = present(crowd.enter(first))
    present(crowd.enter(second))
    present(crowd.enter(third))
    // Now the second has been idle for longer than the first.
    was.entered()
    was.left()
    expect(crowd.enter(await accepted())).toBeDefined()
    expect([first, second, third].map(({ destroyed }) => destroyed)).toEqual([false, true, false])
  })

  it('for all together, whoever holds most gives way, and not who has one', async () => {
    const reached: CrowdLimit[] = []
    const crowd = new Crowd((limit) => reached.push(limit), { connections: 4, perSource: 4 })
    const little = await accepted('127.0.0.2')
    crowd.enter(little)
    const many = [await accepted(), await accepted(), await accepted()]
    for (const socket of many) crowd.enter(socket)
    expect(crowd.enter(await accepted('127.0.0.3'))).toBeDefined()
    expect(reached).toEqual(['connections'])
    expect([little, ...many].map(({ destroyed }) => destroyed)).toEqual([false, true, false, false])
  })
})

it('whatever becomes of whom, the one that has been idle for longest gives way', async () => {
  const sockets = await Promise.all(Array.from({ length: 6 }, () => accepted()))
  fc.assert(
    fc.property(fc.array(fc.tuple(fc.nat(5), fc.boolean()), { maxLength: 40 }), (steps) => {
      const crowd = new Crowd(() => {}, { connections: 100, perSource: sockets.length })
      const members = sockets.map((socket) => present(crowd.enter(socket)))
      // Written anew without a chain: when each became idle, or undefined while something is under way on it.
      const idleSince: (number | undefined)[] = members.map((_, at) => at - members.length)
      const underWay = members.map(() => 0)
      for (const [step, [who, enters]] of steps.entries()) {
        const before = underWay[who] ?? 0
        if (!enters && before === 0) continue
        if (enters) members[who]?.entered()
        else members[who]?.left()
        underWay[who] = before + (enters ? 1 : -1)
        idleSince[who] = underWay[who] > 0 ? undefined : before === 0 ? idleSince[who] : step
      }
      const [first] = members
        .map((member, at) => ({ member, since: idleSince[at] }))
        .filter(({ since }) => since !== undefined)
        .toSorted((one, other) => (one.since ?? 0) - (other.since ?? 0))
      expect(first?.member).toBe(first === undefined ? undefined : members[0]?.home.oldestIdle)
      for (const socket of sockets) socket.removeAllListeners('close')
    }),
  )
})

it('a connection that closes while something is under way on it does not come back as idle', async () => {
  const crowd = new Crowd(() => {}, { connections: 10, perSource: 2 })
  const [socket, other] = [await accepted(), await accepted()]
  const member = present(crowd.enter(socket))
  const kept = present(crowd.enter(other))
  member.entered()
  socket.destroy()
  await once(socket, 'close')
  member.left()
  expect(kept.home.oldestIdle).toBe(kept)
  expect(crowd.size).toBe(1)
})

it('forgets a connection that has closed', async () => {
  const crowd = new Crowd(() => {}, { connections: 10, perSource: 1 })
  const socket = await accepted()
  crowd.enter(socket)
  socket.destroy()
  await once(socket, 'close')
  expect(crowd.size).toBe(0)
  expect([...crowd]).toEqual([])
})

it.each([
  [undefined, 'unix'],
  ['192.0.2.7', '192.0.2.7'],
  ['::ffff:192.0.2.7', '192.0.2.7'],
  ['::1', '0:0:0:0::/64'],
  ['2001:db8::1', '2001:db8:0:0::/64'],
  ['2001:db8:1:2:3:4:5:6', '2001:db8:1:2::/64'],
  ['2001:db8:1:2::6', '2001:db8:1:2::/64'],
])('takes %s for %s', (address, source) => {
  expect(sourceOf(address)).toBe(source)
})
