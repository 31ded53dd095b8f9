import { once } from 'node:events'
import { createServer as createHttpServer, type Server as HttpServer } from 'node:http'
import { connect, createServer, type Server, type Socket } from 'node:net'
import { connect as connectTls, createServer as createTlsServer } from 'node:tls'
import { afterEach, beforeEach, expect, it, vi } from 'vitest'
import { Reading, readingLimits } from '../../../proxy/capture/reading.ts'
import { makeAuthority, makeServerCertificate } from '../../support/pki.ts'

const request = 'GET / HTTP/1.1\r\nHost: a\r\n\r\n'

let http: HttpServer
let server: Server
/** The ends that are read, in the order in which they came, with what was asked on each. */
let read: { readonly socket: Socket; readonly requests: { underWay: number; asked: number } }[]
const clients: Socket[] = []

beforeEach(() => {
  read = []
})

afterEach(() => {
  for (const client of clients.splice(0)) client.destroy()
  server.close()
  http.closeAllConnections()
})

async function serve(limits: Partial<typeof readingLimits>): Promise<Reading> {
  const reading = new Reading({ ...readingLimits, ...limits })
  http = createHttpServer((message, response) => {
    const found = read.find(({ socket }) => socket === message.socket)
    if (found !== undefined) found.requests.asked += 1
    response.end('ok')
  })
  server = createServer((socket) => {
    const requests = { underWay: 0, asked: 0 }
    read.push({ socket, requests })
    socket.on('error', () => {})
    http.emit('connection', socket)
    reading.watch(socket, requests)
  }).listen(0, '127.0.0.1')
  await once(server, 'listening')
  return reading
}

async function inClear(take: (socket: Socket) => void): Promise<Socket> {
  server.removeAllListeners('connection').on('connection', take)
  const client = connect({ port: portOf(server), host: '127.0.0.1' })
  clients.push(client)
  await once(client, 'connect')
  return client
}

async function insideTls(take: (socket: Socket) => void): Promise<Socket> {
  server.close()
  server = createTlsServer(makeServerCertificate(makeAuthority(), ['a.example']), take).listen(0, '127.0.0.1')
  await once(server, 'listening')
  const client = connectTls({ port: portOf(server), host: '127.0.0.1', rejectUnauthorized: false })
  clients.push(client)
  await once(client, 'secureConnect')
  return client
}

function portOf(server: Server): number {
  const address = server.address()
  return address !== null && typeof address === 'object' ? address.port : 0
}

async function connected(count: number): Promise<Socket[]> {
  const port = portOf(server)
  const all = await Promise.all(
    Array.from({ length: count }, async () => {
      const client = connect({ host: '127.0.0.1', port })
      clients.push(client)
      client.on('error', () => {})
      await once(client, 'connect')
      return client
    }),
  )
  await vi.waitFor(() => expect(read).toHaveLength(clients.length))
  return all
}

async function answered(client: Socket): Promise<string> {
  let seen = ''
  client.on('data', (chunk) => {
    seen += chunk.toString()
  })
  await vi.waitFor(() => expect(seen).toContain('ok'))
  return seen
}

const bytes = () => read.map(({ socket }) => socket.bytesRead)
/** Two looks, by the same clock that the one looked at goes by. */
const looked = (limits: { lookEvery: number }) =>
  new Promise((resolve) => setTimeout(resolve, 2 * limits.lookEvery + 5))

it('of heads that come in pieces, few are read at once where there are many connections', async () => {
  const limits = { few: 4, lookEvery: 20, newcomers: 1_000, turn: 20, longest: 20 }
  const reading = await serve(limits)
  const all = await connected(40)
  for (const client of all) client.write('GET')
  await vi.waitFor(() => expect(bytes()).toEqual(all.map(() => 3)))
  await vi.waitFor(() => expect(reading.waiting).toBeGreaterThanOrEqual(all.length - 1))
  // All at once, as whoever wants to be felt would have it.
  for (const client of all) client.write(' / HTTP/1.1\r\nHo')
  await new Promise((resolve) => setTimeout(resolve, 5 * limits.turn))
  const read = bytes().filter((count) => count > 3).length
  expect(read).toBeGreaterThan(0)
  expect(read).toBeLessThan(all.length / 2)
})

it('a head that comes in pieces is answered when it is whole, and its connection read like any other from then on', async () => {
  const limits = { few: 4, lookEvery: 10, newcomers: 1_000 }
  const reading = await serve(limits)
  const [first, ...others] = await connected(20)
  for (const client of others) client.write('GET')
  await vi.waitFor(() => expect(reading.waiting).toBeGreaterThanOrEqual(others.length - 1))
  for (const piece of ['GET / HT', 'TP/1.1\r\nHo', 'st: a\r\n', '\r\n']) {
    first?.write(piece)
    await looked(limits)
  }
  expect(await answered(first as Socket)).toMatch(/^HTTP\/1.1 200/)
  await looked(limits)
  first?.write(request)
  expect(await answered(first as Socket)).toMatch(/^HTTP\/1.1 200/)
  expect(reading.waiting).toBeLessThan(20)
})

it('of many that come at once a few are read at once, and all are answered', async () => {
  const reading = await serve({ newcomers: 2, newcomersIn: 1_000, turn: 5, longest: 5 })
  const all = await connected(30)
  expect(reading.waiting).toBeGreaterThan(20)
  for (const client of all) client.write(request)
  await Promise.all(all.map(answered))
  await vi.waitFor(() => expect(reading.waiting).toBe(0))
  // They have asked, so they are newcomers no longer.
  for (const client of all) client.write(request)
  await vi.waitFor(() => expect(read.map(({ requests }) => requests.asked)).toEqual(all.map(() => 2)))
})

it('a newcomer whose request had been read already is not made to wait for the rest of it', async () => {
  const reading = await serve({ newcomers: 0, turn: 1_000 })
  server.removeAllListeners('connection')
  server.on('connection', async (socket: Socket) => {
    await once(socket, 'readable')
    const requests = { underWay: 0, asked: 0 }
    read.push({ socket, requests })
    http.emit('connection', socket)
    reading.watch(socket, requests)
  })
  const client = connect(portOf(server), '127.0.0.1')
  clients.push(client)
  client.write(request)
  expect(await answered(client)).toMatch(/^HTTP\/1.1 200/)
  expect(reading.waiting).toBe(0)
})

it('inside TLS nobody is paused for being new: a handshake has been waited for already', async () => {
  const reading = await serve({ newcomers: 0, turn: 1_000 })
  const client = await insideTls((socket) => {
    http.emit('connection', socket)
    reading.watch(socket, { underWay: 0, asked: 0 })
  })
  client.write(request)
  expect(await answered(client)).toMatch(/^HTTP\/1.1 200/)
  expect(reading.waiting).toBe(0)
})

const changes = {
  Upgrade: 'GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n',
  CONNECT: 'CONNECT a:443 HTTP/1.1\r\nHost: a:443\r\n\r\n',
}
for (const [name, change] of Object.entries(changes))
  for (const inside of ['in clear', 'inside TLS'])
    it(`${name} ${inside} that had come before its connection was held is read on from: HTTP, which alone would have begun again, has let go of it`, async () => {
      const reading = await serve({ few: 1_000 })
      const { promise: never } = Promise.withResolvers<void>()
      const take = (socket: Socket) => {
        http.emit('connection', socket)
        reading.watch(socket, { underWay: 0, asked: 0 })
      }
      http.on('request', ({ socket }) => reading.hold(socket, never))
      http.on(name.toLowerCase(), (_message, socket: Socket) => {
        reading.handOver(socket)
        socket.on('error', () => {}).on('data', (chunk) => socket.write(chunk))
        socket.write('changed')
      })
      const client = await (inside === 'in clear' ? inClear(take) : insideTls(take))
      let seen = ''
      client.on('data', (chunk) => {
        seen += chunk.toString()
      })
      client.write(request + change)
      await vi.waitFor(() => expect(seen).toContain('changed'))
      client.write('what is said then')
      await vi.waitFor(() => expect(seen).toContain('what is said then'))
    })

it('what is held is not read before it may be, though its turn comes meanwhile', async () => {
  const limits = { few: 4, lookEvery: 10, newcomers: 1_000 }
  const reading = await serve(limits)
  const all = await connected(20)
  for (const client of all) client.write('GET')
  await vi.waitFor(() => expect(reading.waiting).toBeGreaterThan(15))
  const room = Promise.withResolvers<void>()
  reading.hold(read[0]?.socket as Socket, room.promise)
  for (const client of all) client.write(' / HTTP/1.1\r\nHost: a\r\n\r\n')
  await vi.waitFor(() =>
    expect(read.map(({ requests }) => requests.asked)).toEqual(all.map((_, at) => (at === 0 ? 0 : 1))),
  )
  await looked(limits)
  expect(bytes()[0]).toBe(3)
  room.resolve()
  await vi.waitFor(() => expect(read[0]?.requests.asked).toBe(1))
})

it('what is held twice is read when both have ended', async () => {
  const reading = await serve({})
  const [client] = await connected(1)
  const socket = read[0]?.socket as Socket
  const first = Promise.withResolvers<void>()
  const second = Promise.withResolvers<void>()
  reading.hold(socket, first.promise)
  reading.hold(socket, second.promise)
  first.resolve()
  client?.write(request)
  await looked({ lookEvery: 20 })
  expect(bytes()).toEqual([0])
  second.resolve()
  expect(await answered(client as Socket)).toMatch(/^HTTP\/1.1 200/)
})

it('those who come and say nothing are not waited for', async () => {
  const limits = { lookEvery: 10, newcomers: 2, newcomersIn: 1_000 }
  const reading = await serve(limits)
  const all = await connected(40)
  await vi.waitFor(() => expect(reading.waiting).toBe(0))
  for (const client of all) client.write(request)
  await Promise.all(all.map(answered))
})

it('who asks whole requests is never made to wait, however many there are', async () => {
  const limits = { few: 4, lookEvery: 10, newcomers: 1_000 }
  const reading = await serve(limits)
  const all = await connected(20)
  for (let round = 0; round < 5; round++) {
    for (const client of all) client.write(request)
    await vi.waitFor(() => expect(read.map(({ requests }) => requests.asked)).toEqual(all.map(() => round + 1)))
    await looked(limits)
    expect(reading.waiting).toBe(0)
  }
})

it('what is no longer HTTP is not looked at, and a connection that closes is forgotten', async () => {
  const limits = { few: 0, lookEvery: 10, newcomers: 0, turn: 5, longest: 5, silent: 1_000 }
  const reading = await serve(limits)
  const [one, other] = await connected(2)
  await vi.waitFor(() => expect(reading.waiting).toBeGreaterThan(0))
  for (const { socket } of read) {
    reading.handOver(socket)
    socket.resume()
  }
  one?.write('GET')
  other?.write('GET')
  await vi.waitFor(() => expect(bytes()).toEqual([3, 3]))
  await looked(limits)
  one?.write(' / HTTP')
  await vi.waitFor(() => expect(read[0]?.socket.bytesRead).toBe(10))
  expect(reading.waiting).toBe(0)
})
