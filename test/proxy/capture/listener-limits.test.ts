import { once } from 'node:events'
import { connect, type Socket } from 'node:net'
import { text } from 'node:stream/consumers'
import { type ConnectionOptions, connect as connectTls } from 'node:tls'
import { afterEach, expect, it, vi } from 'vitest'
import { LeafIssuer } from '../../../certs/leaf-issuer.ts'
import { PodAuthority } from '../../../certs/pod-authority.ts'
import { parseSpiffeId } from '../../../certs/spiffe-id.ts'
import { type Doors, Listener, type ListenerOptions, limits } from '../../../proxy/capture/listener.ts'
import { rateLimits } from '../../../proxy/capture/rates.ts'
import type { FailedConnection } from '../../../proxy/exchange.ts'
import { Refusal } from '../../../proxy/refusal.ts'
import { perTurn } from '../../../proxy/turns.ts'
import { listenerOptions } from '../../support/listener-options.ts'
import { makeAuthority, makeServerCertificate } from '../../support/pki.ts'

const leaves = new LeafIssuer(new PodAuthority({ now: Date.now }), { now: Date.now })
const caller = { id: parseSpiffeId('spiffe://acme.example/agent'), proofs: ['kernel'] } as const

const failures: FailedConnection[] = []
const reached: string[] = []
const sockets: Socket[] = []
let listener: Listener

const doors: Doors = {
  handle: async (_, reply) => void (await reply.refuse(new Refusal('no_rule'))),
  tunnel: async (_, reply) => void (await reply.refuse(new Refusal('no_rule'))),
  admit: async () => ({ caller, reach: 'inspect' }),
  room: () => undefined,
  failed: (failure) => void failures.push(failure),
}

afterEach(async () => {
  for (const socket of sockets.splice(0)) socket.destroy()
  await listener.close(0)
  failures.length = 0
  reached.length = 0
})

async function open(changes: Partial<ListenerOptions>): Promise<number> {
  listener = new Listener(listenerOptions(doors, leaves, { onLimit: (limit) => void reached.push(limit), ...changes }))
  const address = await listener.listen()
  return address.kind === 'tcp' ? address.port : 0
}

async function connected(port: number, localAddress = '127.0.0.1'): Promise<Socket> {
  const socket = connect({ host: '127.0.0.1', port, localAddress })
  socket.on('error', () => {})
  sockets.push(socket)
  await once(socket, 'connect')
  return socket
}

const mutual = () => ({
  accept: 'https-proxy' as const,
  tls: makeServerCertificate(makeAuthority(), ['proxy.example']),
})
const reasons = () => failures.map(({ refusal }) => refusal.reason)

it('a head that is not complete in time ends with its reason', async () => {
  const port = await open({ limits: { ...limits, headMilliseconds: 50, lookEvery: 20 } })
  const socket = await connected(port)
  socket.write('GET http://api.example/ HTTP/1.1\r\nHost: a')
  expect(await text(socket)).toMatch(/^HTTP\/1.1 408 [\s\S]*"reason":"request_timeout"/)
  expect(reasons()).toEqual(['request_timeout'])
})

it('of heads that are late together a few are refused in each turn of the event loop', async () => {
  let turn = 0
  const refusedIn = new Map<number, number>()
  const failed: Doors['failed'] = (failure) => {
    failures.push(failure)
    refusedIn.set(turn, (refusedIn.get(turn) ?? 0) + 1)
  }
  const port = await open({ doors: { ...doors, failed }, limits: { ...limits, headMilliseconds: 300, lookEvery: 400 } })
  const all = await Promise.all(Array.from({ length: 100 }, () => connected(port)))
  for (const socket of all) socket.write('GET http://api.example/ HTTP/1.1\r\nHost: a')
  const count = () => {
    turn += 1
    if (failures.length < all.length) setImmediate(count)
  }
  count()
  const answers = await Promise.all(all.map((socket) => text(socket)))
  for (const answer of answers) expect(answer).toMatch(/^HTTP\/1.1 408 /)
  expect(reasons()).toEqual(all.map(() => 'request_timeout'))
  expect(Math.max(...refusedIn.values())).toBeLessThanOrEqual(perTurn.late.alone)
})

it('a connection on which nothing more is asked is closed', async () => {
  const port = await open({ limits: { ...limits, idleMilliseconds: 50 } })
  const socket = await connected(port)
  socket.write('GET http://api.example/ HTTP/1.1\r\nHost: api.example\r\n\r\n')
  expect(await text(socket)).toMatch(/^HTTP\/1.1 403 /)
  expect(listener.connections).toBeLessThanOrEqual(1)
})

it('a tunnel in which nothing is said ends with its reason', async () => {
  const port = await open({ limits: { ...limits, firstBytesMilliseconds: 50 } })
  const socket = await connected(port)
  socket.write('CONNECT api.example:443 HTTP/1.1\r\nHost: api.example:443\r\n\r\n')
  await text(socket)
  expect(reasons()).toEqual(['request_timeout'])
})

it('a caller who says nothing to a listener of TLS is not waited for', async () => {
  const port = await open({ ...mutual(), limits: { ...limits, headMilliseconds: 50 } })
  const socket = await connected(port)
  await once(socket.resume(), 'close')
  expect(reasons()).toEqual(['request_timeout'])
})

it('handshakes beyond what an address may have are reset, and those of another go on', async () => {
  const port = await open({ ...mutual(), rates: { ...rateLimits, handshakes: { count: 2, seconds: 100 } } })
  const shake = async (localAddress: string) => {
    const inside = connectTls({ host: '127.0.0.1', port, localAddress, rejectUnauthorized: false } as ConnectionOptions)
    sockets.push(inside)
    await once(inside, 'secureConnect')
  }
  await shake('127.0.0.1')
  await shake('127.0.0.1')
  await expect(shake('127.0.0.1')).rejects.toThrow(/ECONNRESET|disconnected/)
  expect(reached).toEqual(['handshakes'])
  await shake('127.0.0.2')
})

it('hosts that are new are refused beyond the rate, those that are known are not', async () => {
  leaves.contextFor('known.example')
  const port = await open({ rates: { ...rateLimits, leaves: { count: 2, seconds: 100 } } })
  const ask = async (host: string) => {
    const socket = await connected(port)
    socket.write(`CONNECT ${host}:443 HTTP/1.1\r\nHost: ${host}:443\r\n\r\n`)
    const [answer] = await once(socket, 'data')
    return String(answer)
  }
  expect(await ask('one.example')).toMatch(/^HTTP\/1.1 200 /)
  expect(await ask('two.example')).toMatch(/^HTTP\/1.1 200 /)
  const refused = await ask('three.example')
  expect(refused).toMatch(/^HTTP\/1.1 429 [\s\S]*retry-after: \d+[\s\S]*"reason":"too_many_hosts"/i)
  expect(await ask('known.example')).toMatch(/^HTTP\/1.1 200 /)
  expect(reached).toEqual(['leaves'])
  await vi.waitFor(() => expect(reasons()).toContain('too_many_hosts'))
})
