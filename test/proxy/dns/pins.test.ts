// What is forgotten of addresses given out costs a connection nothing but that it is looked into.
import { createSocket } from 'node:dgram'
import { once } from 'node:events'
import { connect, type Socket } from 'node:net'
import { connect as connectTls } from 'node:tls'
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { LeafIssuer } from '../../../certs/leaf-issuer.ts'
import { PodAuthority } from '../../../certs/pod-authority.ts'
import { parseSpiffeId } from '../../../certs/spiffe-id.ts'
import { type Doors, Listener } from '../../../proxy/capture/listener.ts'
import { Answerer } from '../../../proxy/dns/answer.ts'
import { mostPins, Pins } from '../../../proxy/dns/pins.ts'
import { DnsStub } from '../../../proxy/dns/stub.ts'
import { NewNames } from '../../../proxy/dns/tunnels.ts'
import type { Captured } from '../../../proxy/exchange.ts'
import { addressBytes } from '../../../proxy/identify/kernel/tcp-ends.ts'
import { Refusal } from '../../../proxy/refusal.ts'
import { listenerOptions } from '../../support/listener-options.ts'
import { answerIn, query } from './queries.ts'

const opaque = '203.0.113.7'
const caller = { id: parseSpiffeId('spiffe://acme.example/agent'), proofs: ['kernel'] } as const
const authority = new PodAuthority({ now: Date.now })
const leaves = new LeafIssuer(authority, { now: Date.now })

let pins: Pins
let stub: DnsStub
let listener: Listener
let port: number
let captured: Captured[]
let tunnels: Captured[]
const sockets: Socket[] = []

const doors: Doors = {
  async handle(exchange, reply) {
    captured.push(exchange)
    await reply.refuse(new Refusal('no_rule'))
  },
  async tunnel(exchange, reply) {
    tunnels.push(exchange)
    await reply.refuse(new Refusal('no_rule'))
  },
  room: () => undefined,
  async admit(_connection, host) {
    if (host === 'opaque.example') return { caller, reach: 'opaque' }
    return { caller, reach: /^\d/.test(host) ? 'none' : 'inspect' }
  },
  failed: () => {},
}

/** So many that a few names have them all. */
const addressesOf = (name: string) =>
  Array.from({ length: 512 }, (_, at) => `10.${Number.parseInt(name, 10)}.${at >> 8}.${at & 255}`)

beforeEach(async () => {
  captured = []
  tunnels = []
  pins = new Pins(Date.now)
  const answerer = new Answerer({
    allowed: () => ({ below: undefined }),
    resolve: async (host) => (host === 'opaque.example' ? [opaque] : addressesOf(host)),
    pins,
    newNames: new NewNames(Date.now),
  })
  stub = await DnsStub.open({ kind: 'tcp', host: '127.0.0.1', port: 0 }, { answerer, addressBytes, onResult: () => {} })
  listener = new Listener(
    listenerOptions(doors, leaves, {
      name: 'pod',
      accept: 'redirected',
      redirection: {
        originalDestination: () => ({ address: opaque, port: 443, names: pins.namesOf(opaque) }),
        isOwn: () => false,
      },
    }),
  )
  const address = await listener.listen()
  port = address.kind === 'tcp' ? address.port : 0
})

afterEach(async () => {
  for (const socket of sockets.splice(0)) socket.destroy()
  await listener.close(0)
  await stub.close()
})

async function ask(name: string): Promise<void> {
  const socket = createSocket('udp4')
  socket.send(query(name, 1), stub.port, '127.0.0.1')
  const [answer] = (await once(socket, 'message')) as [Buffer]
  socket.close()
  expect(answerIn(answer).code).toBe(0)
}

function dial(): Socket {
  const socket = connect({ port, host: '127.0.0.1' })
  socket.on('error', () => {})
  sockets.push(socket)
  return socket
}

/** Asks inside TLS for what is at a host, and has it refused. */
async function call(servername: string): Promise<void> {
  const inside = connectTls({ socket: dial(), servername, ca: authority.certificatePem })
  await once(inside, 'secureConnect')
  inside.write(`GET / HTTP/1.1\r\nHost: ${servername}\r\n\r\n`)
  const [answer] = await once(inside, 'data')
  expect(String(answer)).toMatch(/^HTTP\/1.1 403 /)
}

describe('the addresses given out', () => {
  it('are remembered, so many of them, and the oldest is forgotten', async () => {
    await ask('opaque.example')
    const names = Array.from({ length: mostPins / 512 }, (_, at) => `${at + 1}.example`)
    for (const name of names.slice(0, -1)) await ask(name)
    expect(pins.namesOf(opaque)).toEqual(['opaque.example'])
    await ask(names.at(-1) ?? '')
    expect(pins.namesOf(opaque)).toEqual([])
    expect(pins.namesOf('10.1.0.0')).toEqual(['1.example'])
  })

  it('of which one is forgotten: a connection to it is looked into all the same, and no longer handed on unseen', async () => {
    await ask('opaque.example')
    dial()
    await vi.waitFor(() => expect(tunnels.map(({ target }) => target.host)).toEqual(['opaque.example']))
    for (let at = 1; at <= mostPins / 512; at += 1) await ask(`${at}.example`)
    await call('api.example')
    expect(captured.map(({ target }) => target.host)).toEqual(['api.example'])
    // By the name that it says itself.
    const named = connectTls({ socket: dial(), servername: 'opaque.example' })
    named.on('error', () => {})
    await vi.waitFor(() => expect(tunnels).toHaveLength(2))
    expect(tunnels.at(-1)?.target.host).toBe('opaque.example')
  })
})
