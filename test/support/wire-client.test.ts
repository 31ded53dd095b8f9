// The client of the path tests must read what is on the wire and nothing else.
import { once } from 'node:events'
import { type AddressInfo, createServer, type Server } from 'node:net'
import { createServer as createTlsServer } from 'node:tls'
import { afterEach, expect, test } from 'vitest'
import { LeafIssuer } from '../../certs/leaf-issuer.ts'
import { PodAuthority } from '../../certs/pod-authority.ts'
import { ConnectionEnded, WireClient } from './wire-client.ts'

const servers: Server[] = []

afterEach(() => {
  for (const server of servers.splice(0)) server.close()
})

/** Answers the first bytes of each connection with these, and ends it. */
async function answering(bytes: string): Promise<number> {
  const server = createServer((socket) => {
    socket.once('data', () => socket.end(bytes, 'latin1'))
  }).listen(0, '127.0.0.1')
  servers.push(server)
  await once(server, 'listening')
  return (server.address() as AddressInfo).port
}

test('an answer with chunks, extensions of chunks aside, is read with its trailers', async () => {
  const port = await answering(
    'HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2\r\nde\r\n0\r\nX-Sum: 5\r\n\r\n',
  )
  await using client = await WireClient.open({ port })
  const answer = await client.request(['GET / HTTP/1.1', 'Host: a'])
  expect(answer.text).toBe('abcde')
  expect(answer.trailers).toEqual(['X-Sum', '5'])
})

test('two answers in one segment are two answers', async () => {
  const port = await answering(
    'HTTP/1.1 200 OK\r\nContent-Length: 3\r\nA: 1\r\na: 2\r\n\r\noneHTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n',
  )
  await using client = await WireClient.open({ port })
  client.send('x')
  const first = await client.answer()
  expect([first.text, first.field('a')]).toEqual(['one', '1, 2'])
  expect((await client.answer()).status).toBe(404)
})

test('a connection that ends too early says what had come', async () => {
  const port = await answering('HTTP/1.1 2')
  await using client = await WireClient.open({ port })
  client.send('x')
  const error = await client.answer().catch((thrown: unknown) => thrown)
  expect(error).toBeInstanceOf(ConnectionEnded)
  expect(String(error)).toContain('HTTP/1.1 2')
})

test('TLS inside TLS carries bytes both ways', async () => {
  const authority = new PodAuthority({ now: Date.now })
  const issuer = new LeafIssuer(authority, { now: Date.now })
  const inner = createTlsServer({ SNICallback: (name, done) => done(null, issuer.contextFor(name)) }, (socket) =>
    socket.pipe(socket),
  )
  const outer = createTlsServer({ SNICallback: (name, done) => done(null, issuer.contextFor(name)) }, (socket) => {
    socket.once('data', () => {
      socket.write('HTTP/1.1 200 OK\r\n\r\n')
      inner.emit('connection', socket)
    })
  }).listen(0, '127.0.0.1')
  servers.push(outer)
  await once(outer, 'listening')
  const ca = authority.certificatePem
  await using client = await WireClient.open(
    { port: (outer.address() as AddressInfo).port },
    { ca, servername: 'proxy.example' },
  )
  expect((await client.tunnel('api.example:443')).status).toBe(200)
  const inside = await client.secure({ ca, servername: 'api.example' })
  expect(inside.authorized).toBe(true)
  client.send('echo')
  expect((await client.exactly(4)).toString()).toBe('echo')
})
