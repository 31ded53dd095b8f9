// A caller who proves itself by a JWT-SVID: inside TLS alone, in clear on this machine together with its user.
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it, onTestFinished, vi } from 'vitest'
import { EmbeddedAuthority } from '../../certs/embedded-authority.ts'
import { parseSpiffeId } from '../../certs/spiffe-id.ts'
import { nativeCalls } from '../../proxy/identify/kernel/native.ts'
import { agentId, openGate, type TestGate } from '../support/gate.ts'
import { type HttpsUpstream, httpsUpstream } from '../support/upstream.ts'
import { type WireAnswer, WireClient } from '../support/wire-client.ts'

const audience = 'spiffe://acme.example/egress'
const uid = process.getuid?.() ?? 0
let upstream: HttpsUpstream
let gate: TestGate
const seen: string[] = []

beforeAll(async () => {
  upstream = await httpsUpstream(['api.example'], (request, response) => {
    seen.push(JSON.stringify(request.rawHeaders))
    response.end('hello')
  })
  gate = await openGate(
    `identity: { source: embedded }
listen:
  - { name: mesh, address: "127.0.0.1:0", accept: https-proxy, callers: [jwt-svid] }
  - { name: local, address: "127.0.0.1:0", accept: http-proxy, callers: [jwt-svid], uids: { "${uid}": ${agentId} } }
  - { name: strangers, address: "127.0.0.1:0", accept: http-proxy, callers: [jwt-svid], uids: { "${uid + 1}": ${agentId} } }
resolve: { api.example: [127.0.0.1] }
destinations:
  api: { hosts: [api.example], ports: [${upstream.port}], addresses: [127.0.0.0/8], ca: [ca.pem] }
rules:
  - { name: reads, allow: { agents: [${agentId}], to: api, methods: [GET] }, proof: [jwt-svid] }
`,
    { files: { 'ca.pem': upstream.ca } },
  )
})

afterAll(async () => {
  await gate[Symbol.asyncDispose]()
  await upstream.close()
})

async function tokenOf(id: string, ...audiences: string[]): Promise<string> {
  const authority = gate.gate.authority
  if (authority === undefined) throw new Error('no authority')
  return await authority.issueJwt(parseSpiffeId(id), audiences)
}

/** The answer to the CONNECT where it is refused, else that to a request in the tunnel. */
async function call(listener: string, ...fields: readonly string[]): Promise<WireAnswer> {
  const authority = `api.example:${upstream.port}`
  const to = { host: '127.0.0.1', port: gate.port(listener) }
  await using client = await WireClient.open(to, listener === 'mesh' ? { rejectUnauthorized: false } : undefined)
  const connected = await client.tunnel(authority, ...fields)
  if (connected.status !== 200) return connected
  await client.secure({ ca: gate.gate.caPem, servername: 'api.example' })
  return await client.request(['GET /v1 HTTP/1.1', `Host: ${authority}`])
}

describe('a JWT-SVID', () => {
  it.each([
    ['none', 'mesh', async () => [], 407, 'unidentified_caller'],
    ['one for another service', 'mesh', async () => [await tokenOf(agentId, 'crm')], 403, 'jwt_svid_wrong_audience'],
    ['nonsense', 'mesh', async () => ['nonsense'], 403, 'jwt_svid_malformed'],
    [
      'one of an agent that no rule allows',
      'mesh',
      async () => [await tokenOf(`${agentId}2`, audience)],
      403,
      'no_rule',
    ],
    ['one of another user', 'local', async () => [await tokenOf(`${agentId}2`, audience)], 407, 'unidentified_caller'],
    [
      'one, by a user who is not mapped',
      'strangers',
      async () => [await tokenOf(agentId, audience)],
      407,
      'unidentified_caller',
    ],
    ['none, by the mapped user', 'local', async () => [], 407, 'unidentified_caller'],
  ] as const)('%s on %s is refused', async (_, listener, tokens, status, reason) => {
    const before = seen.length
    const answer = await call(listener, ...(await tokens()).map((token) => `Proxy-Authorization: Bearer ${token}`))
    expect([answer.status, JSON.parse(answer.text).reason]).toEqual([status, reason])
    expect(seen.length).toBe(before)
  })

  it.each([
    ['mesh', { spiffe_id: agentId, proofs: ['jwt-svid'] }],
    ['local', { spiffe_id: agentId, proofs: ['jwt-svid', 'kernel'], uid }],
  ])('is enough on %s, stands in the record by its name, and goes no further', async (listener, caller) => {
    const token = await tokenOf(agentId, audience)
    const answer = await call(listener, `Proxy-Authorization: Bearer ${token}`)
    expect([answer.status, answer.text]).toEqual([200, 'hello'])
    const id = answer.field('postern-request-id')
    const records = await vi.waitFor(async () => {
      const written = await gate.records(0)
      expect(written.find((record) => record.id === id)).toMatchObject({ listener, outcome: 'allowed', caller })
      return written
    })
    const everything = JSON.stringify(records) + gate.log() + seen.join()
    expect(everything).not.toContain(token.split('.')[1])
  })
})

it('is verified with the keys that the Workload API tells, those of after a rotation too', async ({ skip }) => {
  // The authority asks the kernel who is at its socket; without an answer it gives nobody anything.
  if (nativeCalls() === undefined) skip('the kernel does not say who a peer is (SO_PEERCRED)')
  const folder = await mkdtemp(join(tmpdir(), 'postern-jwt-'))
  onTestFinished(() => rm(folder, { recursive: true, force: true }))
  const socket = `unix://${join(folder, 'api.sock')}`
  const authority = await openGate(
    `identity: { source: embedded, socket: "${socket}", uids: { "${uid}": spiffe://acme.example/postern } }\n`,
  )
  onTestFinished(() => authority[Symbol.asyncDispose]())
  const verifier = await openGate(
    `identity: { source: workload-api, socket: "${socket}" }
listen:
  - { name: mesh, address: "127.0.0.1:0", accept: https-proxy, callers: [jwt-svid] }
`,
  )
  onTestFinished(() => verifier[Symbol.asyncDispose]())
  const reasonOf = async (token: string) => {
    const to = { host: '127.0.0.1', port: verifier.port('mesh') }
    await using client = await WireClient.open(to, { rejectUnauthorized: false })
    return JSON.parse((await client.tunnel('api.example:443', `Proxy-Authorization: Bearer ${token}`)).text).reason
  }
  const issuer = authority.gate.authority
  if (issuer === undefined) throw new Error('no authority')
  const old = await issuer.issueJwt(parseSpiffeId(agentId), [audience])
  // There are no rules, which is told to those alone who are known.
  await vi.waitFor(async () => expect(await reasonOf(old)).toBe('no_rule'), 5_000)
  issuer.rotate()
  const fresh = await issuer.issueJwt(parseSpiffeId(agentId), [audience])
  await vi.waitFor(async () => expect(await reasonOf(fresh)).toBe('no_rule'), 5_000)
  expect(await reasonOf(old)).toBe('no_rule')
  const foreign = new EmbeddedAuthority({ trustDomain: issuer.trustDomain, now: Date.now })
  expect(await reasonOf(await foreign.issueJwt(parseSpiffeId(agentId), [audience]))).toBe('jwt_svid_unknown_key')
})
