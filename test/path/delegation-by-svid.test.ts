// A delegation between workloads that prove themselves by X509-SVIDs: the handle is worth something with the right SVID alone.
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { certificatePem } from '../../certs/pem.ts'
import { doorUrl, type MadeDelegation, reasonIn, reference } from '../support/agents-door.ts'
import { openGate, type TestGate } from '../support/gate.ts'
import { type Authority, keyPem, makeAuthority, makeSvid } from '../support/pki.ts'
import { httpUpstream } from '../support/upstream.ts'
import { type WireAnswer, WireClient } from '../support/wire-client.ts'

const planner = 'spiffe://acme.example/planner'
const researcher = 'spiffe://acme.example/researcher'

let upstream: Awaited<ReturnType<typeof httpUpstream>>
let authority: Authority
let gate: TestGate

beforeAll(async () => {
  upstream = await httpUpstream((_request, response) => response.end('contacts'))
  authority = makeAuthority()
})
afterAll(() => upstream.close())

beforeEach(async () => {
  const own = makeSvid(authority, 'spiffe://acme.example/postern')
  gate = await openGate(
    `identity: { source: files, certificate: svid.pem, key: svid_key.pem, bundles: { acme.example: bundle.pem } }
listen:
  - { name: mesh, address: "127.0.0.1:0", accept: https-proxy, callers: [x509-svid] }
resolve: { api.example: [127.0.0.1] }
delegation:
  grants: [{ agents: [${planner}], scopes: ["crm.*"] }]
  handoffs: [{ from: [${planner}], to: [${researcher}] }]
destinations:
  api: { hosts: [api.example], protocol: http, ports: [${upstream.port}], addresses: [127.0.0.0/8] }
rules:
  - { name: researcher-reads, allow: { agents: [${researcher}], to: api }, requires: [crm.read], when: '"${planner}" in chain.agents' }
`,
    {
      files: {
        'svid.pem': own.chain.map(certificatePem).join(''),
        'svid_key.pem': keyPem(own.key),
        'bundle.pem': authority.pem,
      },
    },
  )
})
afterEach(() => gate[Symbol.asyncDispose]())

/** One request by whoever has this SPIFFE ID, on a connection of its own. */
async function ask(id: string, url: string, fields: readonly string[] = [], body = ''): Promise<WireAnswer> {
  const { chain, key } = makeSvid(authority, id)
  await using client = await WireClient.open(
    { host: '127.0.0.1', port: gate.port('mesh') },
    // Whom the callers trust is not what this is about.
    { rejectUnauthorized: false, cert: chain.map(certificatePem).join(''), key: keyPem(key) },
  )
  const described = body === '' ? [] : ['Content-Type: application/json', `Content-Length: ${Buffer.byteLength(body)}`]
  const method = body === '' ? 'GET' : 'POST'
  return await client.request(
    [`${method} ${url} HTTP/1.1`, `Host: ${new URL(url).host}`, ...fields, ...described],
    body,
  )
}

async function handedOn(): Promise<MadeDelegation> {
  const answer = await ask(
    planner,
    `${doorUrl}/delegations`,
    [],
    JSON.stringify({ to: researcher, scopes: ['crm.read'] }),
  )
  expect(answer.status).toBe(201)
  return JSON.parse(answer.text)
}

const read = (id: string, handle?: string) =>
  ask(id, `http://api.example:${upstream.port}/`, handle === undefined ? [] : [reference(handle)])

describe('a handle between workloads', () => {
  it('serves the one it was made for, with whatever SVID of that ID', async () => {
    const { handle } = await handedOn()
    for (let svid = 0; svid < 2; svid++) {
      const answer = await read(researcher, handle)
      expect(answer.text).toBe('contacts')
      expect(await gate.record(answer.field('postern-request-id'))).toMatchObject({
        caller: { spiffe_id: researcher, proofs: ['x509-svid', 'delegation'] },
        chain: [{ id: planner }, { id: researcher, scopes: ['crm.read'] }],
      })
    }
  })

  it.each([planner, 'spiffe://acme.example/another'])('is refused in the hands of %s', async (id) => {
    const { handle } = await handedOn()
    expect(reasonIn(await read(id, handle))).toBe('chain_holder_binding_failed')
  })

  it('is what lets the researcher in: its SVID alone does not', async () => {
    await handedOn()
    expect(reasonIn(await read(researcher))).toBe('no_rule')
  })

  it('of a whole chain too: shown by anybody else it is worth nothing', async () => {
    const { chain } = await handedOn()
    const url = `http://api.example:${upstream.port}/`
    expect((await ask(researcher, url, [`Delegation-Chain: ${chain}`])).status).toBe(200)
    const stolen = await ask('spiffe://acme.example/another', url, [`Delegation-Chain: ${chain}`])
    expect(reasonIn(stolen)).toBe('chain_holder_binding_failed')
  })
})
