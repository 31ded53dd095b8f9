// Targets that mean another place than they seem to: odd notations of addresses, TLS names that disagree, garbage in a tunnel, and the proxy itself by each of its names.
import { once } from 'node:events'
import { writeFile } from 'node:fs/promises'
import { networkInterfaces } from 'node:os'
import { join } from 'node:path'
import { connect as connectTls } from 'node:tls'
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest'
import { loadConfig } from '../../proxy/config/load.ts'
import { agentId, agentsListener, openGate, type TestGate } from '../support/gate.ts'
import { reasonOf } from '../support/through.ts'
import { rawUpstream, type Upstream } from '../support/upstream.ts'
import { WireClient } from '../support/wire-client.ts'

let upstream: Upstream
let gate: TestGate

const localAddresses = Object.values(networkInterfaces()).flatMap((each) => (each ?? []).map(({ address }) => address))
/** Addresses without a zone, which no URL can hold. */
const mine = [
  ...new Set(['127.0.0.1', '127.0.0.2', '127.255.255.254', '::1', '0.0.0.0', '::', ...localAddresses]),
].filter((address) => !address.includes('%'))
const names = ['localhost', 'self.example', 'any.example']
const quoted = (items: readonly string[]) => items.map((item) => `"${item}"`).join(', ')

/** Everything on this machine is allowed, by every name, on these ports. */
const configuration = (ports: readonly number[]) => `${agentsListener}admin: { metrics: 127.0.0.1:0 }
resolve: { localhost: [127.0.0.1], self.example: ["::1"], any.example: [0.0.0.0] }
destinations:
  here: { hosts: [${quoted([...mine, ...names])}], protocol: http, ports: [${ports.join(', ')}], addresses: [127.0.0.0/8, ${quoted(mine)}] }
  unseen: { hosts: [opaque.example], protocol: opaque, ports: [${ports.join(', ')}], addresses: [127.0.0.0/8] }
rules:
  - { name: all, allow: { agents: [${agentId}], to: [here, unseen] } }
`

beforeAll(async () => {
  upstream = await rawUpstream(() => {})
  gate = await openGate(configuration([upstream.port]))
  // Its own ports are known only now.
  const ports = [upstream.port, gate.port(), gate.gate.metricsPort ?? 0]
  const file = join(gate.folder, 'postern.yaml')
  const head = 'version: 1\ntrustDomain: acme.example\nrecords: { to: ./records.jsonl }\n'
  const resolving = configuration(ports).replace(
    'any.example: [0.0.0.0]',
    'any.example: [0.0.0.0], opaque.example: [127.0.0.1]',
  )
  await writeFile(file, head + resolving)
  gate.gate.reload(await loadConfig(file, {}))
})
afterAll(async () => {
  await gate[Symbol.asyncDispose]()
  await upstream.close()
})

const open = () => WireClient.open({ host: '127.0.0.1', port: gate.port() })
const bracketed = (host: string) => (host.includes(':') ? `[${host}]` : host)

describe('the proxy itself', () => {
  const ownPorts = [
    ['its own port', () => gate.port()],
    ['its metrics port', () => gate.gate.metricsPort ?? 0],
  ] as const

  it.each(ownPorts.flatMap(([what, port]) => [...mine, ...names].map((host) => [host, what, port] as const)))(
    'is not reached as %s on %s',
    async (host, _what, port) => {
      const authority = `${bracketed(host)}:${port()}`
      await using client = await open()
      const plain = await client.request([`GET http://${authority}/metrics HTTP/1.1`, `Host: ${authority}`])
      expect(plain.status).toBe(403)
      expect(reasonOf(plain)).toBe('self_request')
      const tunnel = await client.tunnel(authority)
      expect(tunnel.status).toBe(200)
      const inside = await client.request(['GET /metrics HTTP/1.1', `Host: ${authority}`])
      expect(reasonOf(inside)).toBe('self_request')
    },
  )

  it('is not reached by an opaque tunnel either', async () => {
    for (const [, port] of ownPorts) {
      await using client = await open()
      const answer = await client.tunnel(`opaque.example:${port()}`)
      expect(answer.status).toBe(403)
      expect(reasonOf(answer)).toBe('self_request')
      expect(await gate.record(answer.field('postern-request-id'))).toMatchObject({
        kind: 'tunnel',
        refusal: { reason: 'self_request' },
      })
    }
  })

  it.each(['GET / HTTP/1.1', 'GET /metrics HTTP/1.1', 'POST /v1/reload HTTP/1.1'])(
    'answers nothing but refusals when it is asked directly: %s',
    async (line) => {
      await using client = await open()
      const answer = await client.request([line, `Host: 127.0.0.1:${gate.port()}`])
      expect(answer.status).toBe(403)
      expect(reasonOf(answer)).toBe('self_request')
      const record = await gate.record(answer.field('postern-request-id'))
      expect(record).toMatchObject({ outcome: 'refused', refusal: { reason: 'self_request' } })
    },
  )
})

describe('an address in another notation', () => {
  it.each([
    '0177.0.0.1',
    '0x7f.0.0.1',
    '0x7f000001',
    '2130706433',
    '017700000001',
    '127.1',
    '127.0.1',
    '127.0.0.1.',
    '127.0.0.01',
    '127.0.0.256',
    '[::ffff:127.0.0.1]',
    '[::ffff:7f00:1]',
    '[0:0:0:0:0:ffff:127.0.0.1]',
    '[::127.0.0.1]',
    '[::1%25lo]',
    '[::1',
    '::1',
    'user@127.0.0.1',
    '127.0.0.1%00.example',
    '127。0。0。1',
    '①②⑦.0.0.1',
    'loc%61lhost',
    'localhost:0x50',
    'localhost:80:80',
    '',
  ])('%j reaches nothing, in a request or in a CONNECT', async (host) => {
    const before = upstream.connections()
    const authority = `${Buffer.from(host).toString('latin1')}:${upstream.port}`
    await using client = await open()
    const plain = await client.request([`GET http://${authority}/ HTTP/1.1`, `Host: ${authority}`])
    expect(plain.status).toBe(400)
    expect(reasonOf(plain)).toMatch(/^(ambiguous_target|bad_request)$/)
    await using another = await open()
    const tunnel = await another.tunnel(authority)
    expect(tunnel.status).toBe(400)
    expect(reasonOf(tunnel)).toMatch(/^(ambiguous_target|bad_request)$/)
    for (const answer of [plain, tunnel])
      expect(await gate.record(answer.field('postern-request-id'))).toMatchObject({ outcome: 'refused' })
    expect(upstream.connections()).toBe(before)
  })

  it.each([':0', ':65536', ':99999', ':-1', ':+80', ':', ':８０'])('the port %j is none', async (port) => {
    await using client = await open()
    const answer = await client.tunnel(`localhost${Buffer.from(port).toString('latin1')}`)
    expect(answer.status).toBe(400)
  })
})

describe('what is said in a tunnel', () => {
  const authority = () => `any.example:${upstream.port}`

  it.each([
    ['no name', { servername: '' }],
    ['another name', { servername: 'evil.example' }],
    ['a name below it', { servername: 'a.any.example' }],
  ])('TLS for %s ends with an alert, and is recorded with its caller', async (_what, { servername }) => {
    await using client = await open()
    expect((await client.tunnel(authority())).status).toBe(200)
    client.socket.removeAllListeners('data')
    const tls = connectTls({ socket: client.socket, rejectUnauthorized: false, servername })
    const [error] = await once(tls, 'error')
    expect(error.code).toMatch(/ALERT_UNRECOGNIZED_NAME|UNRECOGNIZED_NAME/)
    await recorded({
      refusal: { reason: 'misdirected' },
      caller: { spiffe_id: agentId },
      destination: { host: 'any.example' },
    })
  })

  it.each([
    ['garbage', Buffer.from('\x00\x01\x02\x03garbage'), 'unsupported_protocol'],
    ['SSH', Buffer.from('SSH-2.0-OpenSSH_9.6\r\n'), 'unsupported_protocol'],
    [
      'a ClientHello of garbage',
      Buffer.from('160301001401000010ffffffffffffffffffffffffffffffff', 'hex'),
      'bad_request',
    ],
    ['a record that says it is longer than it may be', Buffer.from('160301ffff0100ffff', 'hex'), 'bad_request'],
    ['an empty record', Buffer.from('1603010000', 'hex'), 'bad_request'],
  ])('%s is refused by name', async (_what, bytes, reason) => {
    await using client = await open()
    expect((await client.tunnel(authority())).status).toBe(200)
    client.send(bytes)
    await client.rest()
    await recorded({ kind: 'connection', refusal: { reason }, caller: { spiffe_id: agentId } })
    expect(upstream.connections()).toBe(0)
  })

  it('nothing, and then the end, is recorded as that', async () => {
    await using client = await open()
    expect((await client.tunnel(authority())).status).toBe(200)
    client.socket.end()
    await client.rest()
    await recorded({ kind: 'connection', refusal: { reason: 'client_gone' } })
  })
})

/** Waits until the newest record looks like this. */
async function recorded(expected: object): Promise<void> {
  await vi.waitFor(async () => expect((await gate.records(1)).at(-1)).toMatchObject(expected))
}
