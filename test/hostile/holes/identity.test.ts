// Holes of attribution: who calls is told by the wrong thing, or by nothing.
import { generateKeyPairSync } from 'node:crypto'
import { once } from 'node:events'
import { connect as connectTls } from 'node:tls'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { parseSpiffeId } from '../../../certs/spiffe-id.ts'
import { canonical } from '../../../policy/delegation/canonical.ts'
import { DelegationKey, publicKeyOf } from '../../../policy/delegation/keys.ts'
import { mintRoot } from '../../../policy/delegation/mint.ts'
import { call, doorUrl, reasonIn } from '../../support/agents-door.ts'
import { agentId, openGate } from '../../support/gate.ts'
import { reasonOf } from '../../support/through.ts'
import { httpUpstream } from '../../support/upstream.ts'
import { WireClient } from '../../support/wire-client.ts'
import { openWorld, type World } from './world.ts'

const issuer = 'https://grants.acme.example'
const { privateKey, publicKey } = generateKeyPairSync('ed25519')
const rootKey = new DelegationKey(privateKey)
let world: World

beforeAll(async () => {
  world = await openWorld({
    more: `delegation:\n  roots:\n    - { issuer: "${issuer}", keys: { file: keys.json } }\n`,
    files: { 'keys.json': JSON.stringify({ keys: [{ ...publicKey.export({ format: 'jwk' }), kid: 'root-1' }] }) },
  })
})
afterAll(() => world[Symbol.asyncDispose]())

describe('H2: a hop that names nobody counts as one', () => {
  /** A root grant to the agent, signed again with these members changed. */
  async function bent(members: Record<string, string>): Promise<string> {
    const { x } = JSON.parse((await call(world.gate.port(), `${doorUrl}/key`)).text)
    const honest = mintRoot(
      {
        principal: 'ada@acme.example',
        agent: parseSpiffeId(agentId),
        key: publicKeyOf(x),
        audience: ['spiffe://acme.example/egress'],
        scopes: ['crm.*'],
        constraints: [],
        lifetime: 600,
        txn: 'txn-1',
        jti: 'root-grant-1',
      },
      { issuer, keyId: 'root-1', key: rootKey },
      Date.now(),
    )
    const [header = '', payload = ''] = honest.split('.')
    const claims = { ...JSON.parse(Buffer.from(payload, 'base64url').toString()), ...members }
    const input = `${header}.${Buffer.from(canonical(claims)).toString('base64url')}`
    return `${input}.${Buffer.from(rootKey.sign(input)).toString('base64url')}`
  }
  const adopt = async (chain: string) =>
    call(world.gate.port(), `${doorUrl}/chains`, { method: 'POST', body: { chain } })

  it('a chain that names everybody is taken', async () => {
    expect((await adopt(await bent({}))).status).toBe(201)
  })

  it.each([
    ['the principal', { sub: '' }],
    ['the agent', { client_id: '' }],
    ['the issuer', { iss: '' }],
    ['the grant', { jti: '' }],
    ['the transaction', { txn: '' }],
  ])('one in which %s is empty is refused, well signed as it is', async (_what, members) => {
    const chain = await bent(members)
    expect(reasonIn(await adopt(chain))).toMatch(/^chain_(malformed|signature_invalid)$/)
    await using client = await world.open()
    const answer = await client.request(['GET / HTTP/1.1', `Host: ${world.authority()}`, `Delegation-Chain: ${chain}`])
    expect(reasonOf(answer)).toMatch(/^chain_(malformed|signature_invalid)$/)
    expect(world.seen).toEqual([])
  })
})

describe('H3: a proof that is demanded and not checked on one way of listening', () => {
  const listener = (settings: string) => `listen:\n  - { name: agents, ${settings} }\n`
  const somebodyElse = 4_242_424_242

  it.each([
    ['nobody counts', 'address: "127.0.0.1:0", accept: http-proxy, callers: []'],
    [
      'another user counts',
      `address: "127.0.0.1:0", accept: http-proxy, callers: [kernel], uids: { "${somebodyElse}": ${agentId} }`,
    ],
    [
      'another program counts',
      `address: "127.0.0.1:0", accept: http-proxy, callers: [kernel], executables: { /bin/none: ${agentId} }`,
    ],
    [
      'another user counts, on IPv6',
      `address: "[::1]:0", accept: http-proxy, callers: [kernel], uids: { "${somebodyElse}": ${agentId} }`,
    ],
  ])('where %s, a caller without it is refused', async (_what, settings) => {
    const upstream = await httpUpstream((_request, response) => response.end('seen'))
    await using gate = await openGate(
      `${listener(settings)}resolve: { api.example: [127.0.0.1] }
destinations:
  api: { hosts: [api.example], protocol: http, ports: [${upstream.port}], addresses: [127.0.0.0/8] }
rules:
  - { name: all, allow: { agents: [${agentId}], to: api } }
`,
    )
    const host = settings.includes('::1') ? '::1' : '127.0.0.1'
    await using client = await WireClient.open({ host, port: gate.port() })
    const authority = `api.example:${upstream.port}`
    for (const fields of [[], [`Proxy-Authorization: Basic ${btoa('run:guess')}`], [`X-Spiffe-Id: ${agentId}`]]) {
      const answer = await client.request([`GET http://${authority}/ HTTP/1.1`, `Host: ${authority}`, ...fields])
      expect([answer.status, reasonOf(answer)]).toEqual([407, 'unidentified_caller'])
    }
    expect((await client.tunnel(authority)).status).toBe(407)
    expect(upstream.connections()).toBe(0)
    await upstream.close()
  })

  it.each([
    ['a certificate without TLS', 'address: "127.0.0.1:0", accept: http-proxy, callers: [x509-svid]', 'proved in TLS'],
    [
      'the kernel alone beyond this machine',
      `address: "0.0.0.0:0", accept: http-proxy, callers: [kernel], agent: ${agentId}`,
      'loopback',
    ],
    [
      'the kernel alone behind TLS',
      `address: "127.0.0.1:0", accept: https-proxy, callers: [kernel], agent: ${agentId}`,
      'https-proxy is for',
    ],
    ['nothing behind TLS', 'address: "127.0.0.1:0", accept: https-proxy, callers: []', 'https-proxy is for'],
    ['a user id that means nobody', 'address: "127.0.0.1:0", accept: http-proxy, callers: [kernel]', 'no identity'],
    [
      'a run token without a run',
      'address: "127.0.0.1:0", accept: http-proxy, callers: [run-token]',
      'only where postern exec',
    ],
    ['a proof that does not exist', 'address: "127.0.0.1:0", accept: http-proxy, callers: [none]', 'callers'],
  ])('%s does not load', async (_what, settings, why) => {
    await expect(openGate(listener(settings))).rejects.toThrow(why)
  })
})

describe('H4: the policy sees one host, and another one is called', () => {
  // Both may be called, each with its own credential, so that nothing but the comparison stands in the way.
  const [one, two] = ['api.example', 'other.example']

  it.each([
    ['TLS', { connect: one, sni: two, host: one }],
    ['Host', { connect: one, sni: one, host: two }],
    ['TLS and Host', { connect: one, sni: two, host: two }],
    ['CONNECT', { connect: two, sni: one, host: one }],
    ['the request target', { connect: one, sni: one, host: one, target: two }],
    ['the request target and Host', { connect: one, sni: one, host: two, target: two }],
    ['Host, when the target is right', { connect: one, sni: one, host: two, target: one }],
  ])(
    'another one in %s is refused',
    async (_what, { connect, sni, host, target }: Record<'connect' | 'sni' | 'host', string> & { target?: string }) => {
      const before = world.seen.length
      await using client = await world.plain()
      expect((await client.tunnel(world.authority(connect))).status).toBe(200)
      if (connect !== sni) {
        await expect(client.secure({ ca: world.gate.gate.caPem, servername: sni })).rejects.toMatchObject({
          code: expect.stringContaining('UNRECOGNIZED_NAME'),
        })
      } else {
        await client.secure({ ca: world.gate.gate.caPem, servername: sni })
        const url = target === undefined ? '/' : `https://${world.authority(target)}/`
        expect(reasonOf(await client.request([`GET ${url} HTTP/1.1`, `Host: ${world.authority(host)}`]))).toBe(
          'misdirected',
        )
      }
      expect(world.seen.length).toBe(before)
    },
  )

  it('another one in Host of an absolute-form request, and in that of a CONNECT, is refused', async () => {
    await using client = await world.plain()
    const answer = await client.request([
      `GET http://${world.authority(one)}/ HTTP/1.1`,
      `Host: ${world.authority(two)}`,
    ])
    expect(reasonOf(answer)).toBe('misdirected')
    await using another = await world.plain()
    expect(
      reasonOf(await another.request([`CONNECT ${world.authority(one)} HTTP/1.1`, `Host: ${world.authority(two)}`])),
    ).toBe('misdirected')
  })

  it('there is no HTTP/2, so no :authority and no coalescing, whatever the client offers', async () => {
    await using client = await world.plain()
    await client.tunnel(world.authority())
    const tls = await client.secure({ ca: world.gate.gate.caPem, servername: one, ALPNProtocols: ['h2', 'http/1.1'] })
    expect(tls.alpnProtocol).toBe('http/1.1')
    await using another = await world.plain()
    await another.tunnel(world.authority())
    another.socket.removeAllListeners('data')
    const [error] = await once(
      connectTls({ socket: another.socket, servername: one, ALPNProtocols: ['h2'], rejectUnauthorized: false }),
      'error',
    )
    expect(error.code).toMatch(/NO_APPLICATION_PROTOCOL/)
  })
})
