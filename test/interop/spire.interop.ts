// A real SPIRE gives us our identity, and a workload written with go-spiffe calls through us: with an SVID of SPIRE's, and of our own authority.
import { execFile } from 'node:child_process'
import { realpathSync } from 'node:fs'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { afterAll, beforeAll, describe, expect, inject, onTestFinished, test, vi } from 'vitest'
import { validateJwtSvid } from '../../certs/jwt-svid/validate.ts'
import { parseTrustDomain, type TrustDomain } from '../../certs/spiffe-id.ts'
import { validateX509Svid } from '../../certs/svid/validate.ts'
import { parseWorkloadApiAddress } from '../../certs/workload-api/address.ts'
import { throughGrpc } from '../../certs/workload-api/client.ts'
import { paths, readValidateJwtSvidAnswer, validateJwtSvidRequest } from '../../certs/workload-api/proto.ts'
import { WorkloadApiSource } from '../../certs/workload-api/source.ts'
import { nativeCalls } from '../../proxy/identify/kernel/native.ts'
import { openGate, type TestGate } from '../support/gate.ts'
import { httpUpstream, type Upstream } from '../support/upstream.ts'
import type {} from './build.ts'
import { Spire } from './spire-server.ts'

const run = promisify(execFile)
const trustDomain = parseTrustDomain('acme.example')
const postern = 'spiffe://acme.example/postern'
const agent = 'spiffe://acme.example/agent'
const thisProgram = realpathSync(process.execPath)

let upstream: Upstream
const client = inject('goClient')

beforeAll(async () => {
  upstream = await httpUpstream((_, response) => response.end('as asked'))
})
afterAll(() => upstream.close())

/** A proxy that lets the agent through to the upstream. @param identity the section */
async function gateWith(identity: string): Promise<TestGate> {
  const gate = await openGate(`identity: ${identity}
listen:
  - { name: mesh, address: "127.0.0.1:0", accept: https-proxy, callers: [x509-svid] }
destinations:
  here: { hosts: [127.0.0.1], protocol: http, ports: [${upstream.port}], addresses: [127.0.0.0/8] }
rules:
  - { name: all, allow: { agents: [${agent}], to: here } }
`)
  onTestFinished(() => gate[Symbol.asyncDispose]())
  return gate
}

/** What the workload of go-spiffe says. */
async function callWith(program: string, workloadApi: string, gate: TestGate) {
  const proxy = `https://127.0.0.1:${gate.port('mesh')}`
  const { stdout } = await run(program, [workloadApi, proxy, postern, `http://127.0.0.1:${upstream.port}/page`])
  return JSON.parse(stdout)
}

const called = {
  id: agent,
  hint: 'for-calls',
  subject: agent,
  claims: expect.objectContaining({ sub: agent, aud: ['here'], exp: expect.any(Number) }),
  status: 200,
  body: 'as asked',
}

test('go-spiffe takes its identity from our own authority, by its program, and calls through us with it', async ({
  skip,
}) => {
  if ('missing' in client) return skip(client.missing)
  if (nativeCalls() === undefined) return skip('the kernel does not say who a peer is (SO_PEERCRED)')
  const folder = await mkdtemp(join(tmpdir(), 'postern-interop-'))
  onTestFinished(() => rm(folder, { recursive: true }))
  const socket = `unix://${join(folder, 'api.sock')}`
  const workload = `{ id: "${agent}", executable: "${realpathSync(client.client)}", hint: for-calls }`
  const gate = await gateWith(`{ source: embedded, socket: "${socket}", workloads: [${workload}] }`)
  const answer = await callWith(client.client, socket, gate)
  expect(answer).toMatchObject(called)
  const [record] = await gate.records(1)
  expect(record).toMatchObject({
    caller: { spiffe_id: agent, proofs: ['x509-svid'], serial: answer.serial },
    decision: { verdict: 'allow' },
  })
})

describe('SPIRE', () => {
  const programs = inject('spire')
  let spire: Spire | undefined

  beforeAll(async () => {
    if ('missing' in programs) return
    spire = await Spire.start(programs)
    spire.register({ id: postern, selectors: [`unix:path:${thisProgram}`], x509Ttl: 8, hint: 'internal' })
    if (!('missing' in client))
      spire.register({ id: agent, selectors: [`unix:path:${realpathSync(client.client)}`], hint: 'for-calls' })
  })
  afterAll(() => spire?.[Symbol.asyncDispose]())

  /** Of this process; waits until the agent has heard of it from the server. */
  async function own({ address }: Spire) {
    const problems: string[] = []
    const source = await WorkloadApiSource.open({
      address: parseWorkloadApiAddress(address),
      trustDomain,
      now: Date.now,
      onProblem: ({ message }) => problems.push(message),
    })
    onTestFinished(() => source.close())
    await vi.waitFor(() => source.svid(), 20_000)
    await vi.waitFor(() => expect(source.bundle(trustDomain)?.jwtAuthorities).not.toHaveLength(0), 5_000)
    return Object.assign(source, { problems })
  }

  const judge = (source: WorkloadApiSource) =>
    validateX509Svid({ chain: source.svid().chain, bundleFor: (domain) => source.bundle(domain), now: Date.now() })

  test('gives us an SVID that its bundle verifies, and rotates it before it expires', async ({ skip }) => {
    if (spire === undefined) return skip('missing' in programs ? programs.missing : 'SPIRE did not start')
    const source = await own(spire)
    const first = source.svid()
    expect(judge(source).id).toBe(postern)
    expect(source.identities).toMatchObject([{ hint: 'internal' }])
    await vi.waitFor(() => expect(source.svid()).not.toBe(first), 20_000)
    expect(Date.now()).toBeLessThan(first.expiresAt)
    expect(source.svid().expiresAt).toBeGreaterThan(first.expiresAt)
    expect(judge(source).id).toBe(postern)
  })

  test('gives us a JWT-SVID, which we find valid, and so does it', async ({ skip }) => {
    if (spire === undefined) return skip('missing' in programs ? programs.missing : 'SPIRE did not start')
    const source = await own(spire)
    const audience = 'https://login.acme.example'
    const token = await source.jwt([audience])
    const bundleFor = (domain: TrustDomain) => source.bundle(domain)
    expect((await validateJwtSvid({ token, audience, bundleFor, now: Date.now() })).id).toBe(postern)
    const door = throughGrpc(parseWorkloadApiAddress(spire.address))
    const ask = (meant: string) =>
      door.ask(paths.validateJwtSvid, validateJwtSvidRequest({ audience: meant, token }), 5_000)
    expect(readValidateJwtSvidAnswer(await ask(audience))).toBe(postern)
    await expect(ask('another')).rejects.toThrow('invalid argument')
  })

  test('whose agent is restarted: the identity stays meanwhile, and is renewed after', async ({ skip }) => {
    if (spire === undefined) return skip('missing' in programs ? programs.missing : 'SPIRE did not start')
    const source = await own(spire)
    await spire.stopAgent()
    const kept = source.svid()
    expect(judge(source).id).toBe(postern)
    await spire.startAgent()
    await vi.waitFor(() => expect(source.svid()).not.toBe(kept), 30_000)
    expect(judge(source).id).toBe(postern)
  })

  test('and go-spiffe: it calls through our HTTPS listener, each side with an SVID of SPIRE', async ({ skip }) => {
    if (spire === undefined) return skip('missing' in programs ? programs.missing : 'SPIRE did not start')
    if ('missing' in client) return skip(client.missing)
    const { address } = spire
    const gate = await gateWith(`{ source: workload-api, socket: "${address}" }`)
    const answer = await callWith(client.client, address, gate)
    expect(answer).toMatchObject(called)
    const [record] = await gate.records(1)
    expect(record).toMatchObject({
      caller: { spiffe_id: agent, serial: answer.serial },
      decision: { verdict: 'allow' },
    })
  })

  test('a workload without an entry has no identity', async ({ skip }) => {
    if (spire === undefined) return skip('missing' in programs ? programs.missing : 'SPIRE did not start')
    if ('missing' in programs) return skip(programs.missing)
    // The agent's own command line is a process of another program.
    const fetched = run(programs.agent, ['api', 'fetch', 'x509', '-socketPath', parsePath(spire.address)])
    await expect(fetched).rejects.toThrow('no identity issued')
  })
})

const parsePath = (address: string): string => address.replace('unix://', '')
