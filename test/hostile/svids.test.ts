// Clients with certificates that are no X509-SVID of a trusted workload, at a real https-proxy listener: each is refused by name, and recorded.
import { rename, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { ConnectionOptions, TLSSocket } from 'node:tls'
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest'
import { certificatePem } from '../../certs/pem.ts'
import type { TrustBundle } from '../../certs/source.ts'
import { openGate, type TestGate } from '../support/gate.ts'
import { hostileSvids } from '../support/hostile-svids.ts'
import { type Issued, keyPem, makeAuthority, makeBundle, makeSvid } from '../support/pki.ts'
import { reasonOf } from '../support/through.ts'
import { type HttpsUpstream, httpsUpstream } from '../support/upstream.ts'
import { WireClient } from '../support/wire-client.ts'

const agent = 'spiffe://acme.example/agent'
const authority = makeAuthority({ uri: 'spiffe://acme.example' })
const own = makeSvid(authority, 'spiffe://acme.example/postern')

let upstream: HttpsUpstream
let reached = 0
const gates = new Map<string, Promise<TestGate>>()

const pem = (ders: readonly Uint8Array[]) => ders.map(certificatePem).join('')

/** A proxy that trusts these, and lets every caller of theirs do everything. */
async function gateFor(bundles: readonly TrustBundle[]): Promise<TestGate> {
  const named = bundles.map(({ trustDomain, x509Authorities }) => [trustDomain, pem(x509Authorities)] as const)
  const key = JSON.stringify(named)
  const gate = gates.get(key) ?? open(named)
  gates.set(key, gate)
  return gate
}

function open(bundles: readonly (readonly [string, string])[]): Promise<TestGate> {
  const agents = bundles.map(([domain]) => `spiffe://${domain}/*`)
  return openGate(
    `identity:
  source: files
  certificate: svid.pem
  key: svid.key
  bundles: { ${bundles.map(([domain]) => `${domain}: ${domain}.pem`).join(', ')} }
listen:
  - { name: mesh, address: "127.0.0.1:0", accept: https-proxy, callers: [x509-svid] }
resolve: { api.example: [127.0.0.1] }
destinations:
  api: { hosts: [api.example], ports: [${upstream.port}], addresses: [127.0.0.0/8], ca: [ca.pem] }
rules:
  - { name: all, allow: { agents: [${agents.join(', ')}], to: api } }
`,
    {
      files: {
        'ca.pem': upstream.ca,
        'svid.pem': pem(own.chain),
        'svid.key': keyPem(own.key),
        ...Object.fromEntries(bundles.map(([domain, roots]) => [`${domain}.pem`, roots])),
      },
    },
  )
}

beforeAll(async () => {
  upstream = await httpsUpstream(['api.example'], (_request, response) => {
    reached += 1
    response.end('contacts')
  })
})
afterAll(async () => {
  for (const gate of gates.values()) await (await gate)[Symbol.asyncDispose]()
  await upstream.close()
})

/** TLS to the proxy, as whoever this is. */
function connect(
  gate: TestGate,
  who: Partial<Issued> & { chain?: readonly Uint8Array[] },
  more: ConnectionOptions = {},
) {
  return WireClient.open(
    { host: '127.0.0.1', port: gate.port('mesh') },
    {
      rejectUnauthorized: false,
      ciphers: 'DEFAULT@SECLEVEL=0',
      ...(who.chain === undefined || who.key === undefined ? {} : { cert: pem(who.chain), key: keyPem(who.key) }),
      ...more,
    },
  )
}

const authorityOf = () => `api.example:${upstream.port}`

/** A whole request through a tunnel. */
async function call(client: WireClient, gate: TestGate) {
  const answer = await client.tunnel(authorityOf())
  if (answer.status !== 200) return answer
  await client.secure({ ca: gate.gate.caPem, servername: 'api.example' })
  return await client.request(['GET / HTTP/1.1', `Host: ${authorityOf()}`])
}

/** Bundles that files cannot hold: revocation lists, and roots that are none. */
const inFiles = ({ x509Authorities, revocationLists }: TrustBundle) =>
  revocationLists === undefined && x509Authorities.length > 0 && x509Authorities.every((der) => der.length > 1)

const hostile = hostileSvids().flatMap(({ key, ...rest }) =>
  key !== undefined && rest.bundles.every(inFiles) ? [{ ...rest, key }] : [],
)

const refused: { gate: TestGate; id: string | undefined; kind: string; reason: string }[] = []

describe('a client with', () => {
  it('a certificate of which something is wrong is tried in many ways', () => {
    expect(hostile.length).toBeGreaterThan(80)
  })

  it.each(hostile)('$what is refused: $reason', async ({ chain, key, bundles, reason }) => {
    const gate = await gateFor(bundles)
    const before = reached
    await using client = await connect(gate, { chain, key })
    const answer = await call(client, gate)
    expect(answer.status).toBe(403)
    expect(reasonOf(answer)).toBe(reason)
    refused.push({ gate, id: answer.field('postern-request-id'), kind: 'connection', reason })
    // Absolute-form on a connection of its own fares no better.
    await using another = await connect(gate, { chain, key })
    const plain = await another.request([`GET http://${authorityOf()}/ HTTP/1.1`, `Host: ${authorityOf()}`])
    expect(reasonOf(plain)).toBe(reason)
    refused.push({ gate, id: plain.field('postern-request-id'), kind: 'request', reason })
    expect(reached).toBe(before)
  })

  it('such a certificate stands in the records each time, without a caller', async () => {
    expect(refused).toHaveLength(2 * hostile.length)
    for (const { gate, id, kind, reason } of refused) {
      const record = await gate.record(id)
      expect(record).toMatchObject({ kind, outcome: 'refused', listener: 'mesh', refusal: { reason } })
      expect(record.caller).toBeUndefined()
    }
  })
})

describe('at the same listener', () => {
  const trusted = [makeBundle('acme.example', authority)]
  const sound = makeSvid(makeAuthority({ parent: authority }), agent)

  it('a sound SVID, with its intermediate, is let in, and the record says who', async () => {
    const gate = await gateFor(trusted)
    await using client = await connect(gate, sound)
    const answer = await call(client, gate)
    expect(answer.text).toBe('contacts')
    expect(await gate.record(answer.field('postern-request-id'))).toMatchObject({
      outcome: 'allowed',
      caller: { spiffe_id: agent, proofs: ['x509-svid'], serial: expect.stringMatching(/^[0-9a-f]+$/) },
    })
  })

  it('no certificate at all is svid_missing', async () => {
    const gate = await gateFor(trusted)
    await using client = await connect(gate, {})
    const answer = await call(client, gate)
    expect(answer.status).toBe(403)
    expect(reasonOf(answer)).toBe('svid_missing')
    const record = await gate.record(answer.field('postern-request-id'))
    expect(record).toMatchObject({ kind: 'connection', refusal: { reason: 'svid_missing' } })
  })

  it('the identity in a header counts for nothing', async () => {
    const gate = await gateFor(trusted)
    await using client = await connect(gate, {})
    const claims = [
      `X-Spiffe-Id: ${agent}`,
      `X-Forwarded-Client-Cert: By=x;URI=${agent}`,
      'Proxy-Authorization: Basic cnVuOng=',
    ]
    const answer = await client.tunnel(authorityOf(), ...claims)
    expect(reasonOf(answer)).toBe('svid_missing')
  })

  it('an SVID that expires on an open connection is refused from then on', async () => {
    const gate = await gateFor(trusted)
    // A certificate counts whole seconds.
    const expiresAt = Math.ceil(Date.now() / 1000) * 1000 + 1_000
    await using client = await connect(gate, makeSvid(authority, agent, { notAfter: expiresAt }))
    expect((await call(client, gate)).text).toBe('contacts')
    const late = await vi.waitFor(
      async () => {
        const answer = await client.request(['GET / HTTP/1.1', `Host: ${authorityOf()}`])
        if (answer.status === 200) throw new Error('still good')
        return answer
      },
      { timeout: 5_000, interval: 50 },
    )
    expect(Date.now()).toBeGreaterThanOrEqual(expiresAt)
    expect(reasonOf(late)).toBe('svid_expired')
    expect(await gate.record(late.field('postern-request-id'))).toMatchObject({ refusal: { reason: 'svid_expired' } })
  })

  it('a TLS session is not resumed', async () => {
    const gate = await gateFor(trusted)
    await using first = await connect(gate, sound)
    const outer = first.socket as TLSSocket
    const tickets: Buffer[] = []
    outer.on('session', (ticket: Buffer) => tickets.push(ticket))
    expect((await call(first, gate)).text).toBe('contacts')
    // Whatever the client was given, or remembers, is of no use to it.
    const session = tickets.at(-1) ?? outer.getSession()
    await using second = await connect(gate, sound, session === undefined ? {} : { session })
    expect((second.socket as TLSSocket).isSessionReused()).toBe(false)
    expect((await call(second, gate)).text).toBe('contacts')
  })

  it('a caller whose root is no longer trusted is refused on its next connection, session or not', async () => {
    const [one, two] = [
      makeAuthority({ uri: 'spiffe://acme.example' }),
      makeAuthority({ uri: 'spiffe://acme.example' }),
    ]
    await using gate = await open([['acme.example', one.pem]])
    const svid = makeSvid(one, agent)
    await using first = await connect(gate, svid)
    const outer = first.socket as TLSSocket
    expect((await call(first, gate)).text).toBe('contacts')
    const remembered = outer.getSession()
    await writeFile(join(gate.folder, 'next.pem'), two.pem)
    await rename(join(gate.folder, 'next.pem'), join(gate.folder, 'acme.example.pem'))
    await vi.waitFor(async () => {
      await using fresh = await connect(gate, makeSvid(two, agent))
      expect((await call(fresh, gate)).text).toBe('contacts')
    }, 5_000)
    for (const session of [undefined, remembered]) {
      await using again = await connect(gate, svid, session === undefined ? {} : { session })
      expect(reasonOf(await call(again, gate))).toBe('svid_no_path_to_root')
    }
  })

  it.each([
    ['TLS 1.2', { maxVersion: 'TLSv1.2' }],
    ['HTTP/2 alone', { ALPNProtocols: ['h2'] }],
  ] as const)('a client that speaks %s gets no further than the handshake, and is recorded', async (_what, more) => {
    const gate = await gateFor(trusted)
    const before = (await gate.records(0)).length
    await expect(connect(gate, sound, more)).rejects.toThrow()
    const records = await gate.records(before + 1)
    expect(records.at(-1)).toMatchObject({ kind: 'connection', listener: 'mesh', refusal: { reason: 'bad_request' } })
    expect(records.at(-1)?.connection).toMatchObject({ address: '127.0.0.1', port: expect.any(Number) })
  })

  it('a client that connects and says nothing leaves no record, and does not hold up the end of the proxy', async () => {
    const gate = await open([['acme.example', authority.pem]])
    const client = await WireClient.open({ host: '127.0.0.1', port: gate.port('mesh') })
    const probe = await WireClient.open({ host: '127.0.0.1', port: gate.port('mesh') })
    await probe[Symbol.asyncDispose]()
    const began = performance.now()
    await gate.gate.close()
    expect(performance.now() - began).toBeLessThan(3_000)
    expect(await client.some()).toBeUndefined()
    expect(await gate.records(0)).toEqual([])
    await gate[Symbol.asyncDispose]()
  })

  it('a client that speaks no TLS is recorded', async () => {
    const gate = await gateFor(trusted)
    const before = (await gate.records(0)).length
    await using client = await WireClient.open({ host: '127.0.0.1', port: gate.port('mesh') })
    client.send(`CONNECT ${authorityOf()} HTTP/1.1\r\nHost: ${authorityOf()}\r\n\r\n`)
    await client.rest()
    const records = await gate.records(before + 1)
    expect(records.at(-1)).toMatchObject({ kind: 'connection', listener: 'mesh', refusal: { reason: 'bad_request' } })
  })
})
