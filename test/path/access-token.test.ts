// Access tokens from a real authorization server, on their whole way to an API that checks them.
import type { RequestListener } from 'node:http'
import { createLocalJWKSet, jwtVerify } from 'jose'
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import { type AuthorizationServer, startAuthorizationServer } from '../support/authorization-server.ts'
import { agentId, agentsListener, openGate, type TestGate } from '../support/gate.ts'
import { through } from '../support/through.ts'
import { type HttpsUpstream, httpsUpstream, httpUpstream, type Upstream } from '../support/upstream.ts'
import { type WireAnswer, WireClient } from '../support/wire-client.ts'

const crm = 'https://api.crm.example/'
const brief = 'https://brief.crm.example/'

let server: AuthorizationServer
let upstream: HttpsUpstream
let plain: Upstream
let gate: TestGate
/** Tokens that the API saw, in order. */
let seen: string[] = []
/** Tokens that the API says 401 to. */
const revoked = new Set<string>()
/** Why a token was not good, where one was not. */
let complaints: string[] = []

async function check(token: string, host: string): Promise<void> {
  const audience = host.startsWith('brief') ? brief : crm
  await jwtVerify(token, createLocalJWKSet(server.keys), { issuer: server.issuer, audience, clockTolerance: 0 })
}

beforeAll(async () => {
  server = await startAuthorizationServer({
    clients: [{ id: 'postern', auth: { method: 'client_secret_basic', secret: 'canary-client-secret' } }],
    resources: {
      [crm]: { scopes: ['contacts.read'] },
      [brief]: { scopes: ['contacts.read'], lifetime: 2 },
    },
  })
  const api: RequestListener = async (request, response) => {
    request.resume()
    const { authorization = '', host = '' } = request.headers
    const token = authorization.replace('Bearer ', '')
    seen.push(token)
    try {
      if (revoked.has(token) || host.startsWith('stubborn')) throw new Error('revoked')
      await check(token, host)
      response.end('contacts')
    } catch (error) {
      complaints.push(String(error))
      response.writeHead(401).end('who are you?')
    }
  }
  upstream = await httpsUpstream(['*.crm.example'], api)
  plain = await httpUpstream(api)
  const token = (resource: string, destination: string) => `
    kind: oauth2-client-credentials
    issuer: ${server.issuer}
    ca: [login.pem]
    addresses: [127.0.0.0/8]
    client: { id: postern, auth: client_secret_basic, secret: "\${env:CLIENT_SECRET}" }
    resource: [${resource}]
    scopes: [contacts.read]
    for: [${destination}]`
  const names = ['refused', 'posted', 'stubborn', 'brief']
  const destinations = names.map(
    (name) =>
      `  ${name}: { hosts: [${name}.crm.example], ports: [${upstream.port}], addresses: [127.0.0.0/8], ca: [ca.pem] }`,
  )
  // In clear, so that a thousand connections cost the test no thousand handshakes.
  destinations.push(`  cold: { hosts: [localhost], protocol: http, ports: [${plain.port}], addresses: [127.0.0.0/8] }`)
  names.push('cold')
  const credentials = names.map((name) => `  ${name}-token:${token(name === 'brief' ? brief : crm, name)}`)
  const rules = names.map(
    (name) => `  - { name: ${name}, allow: { agents: [${agentId}], to: ${name} }, use: ${name}-token }`,
  )
  gate = await openGate(
    [
      `${agentsListener}resolve: { localhost: [127.0.0.1], ${names.map((name) => `${name}.crm.example: [127.0.0.1]`).join(', ')} }`,
      'destinations:',
      ...destinations,
      'credentials:',
      ...credentials,
      'rules:',
      ...rules,
      '',
    ].join('\n'),
    {
      files: { 'ca.pem': upstream.ca, 'login.pem': server.ca },
      environment: { CLIENT_SECRET: 'canary-client-secret' },
    },
  )
})
afterAll(async () => {
  await gate[Symbol.asyncDispose]()
  await Promise.all([upstream.close(), plain.close()])
  await server[Symbol.asyncDispose]()
})
afterEach(() => {
  seen = []
  complaints = []
})

const host = (name: string) => `${name}.crm.example:${upstream.port}`
const open = (name: string) => through({ port: gate.port(), ca: gate.gate.caPem }, `${name}.crm.example`, upstream.port)
const get = (client: WireClient, name: string): Promise<WireAnswer> =>
  client.request(['GET /v1/contacts HTTP/1.1', `Host: ${host(name)}`])

describe('an access token', () => {
  it('is asked for once when a thousand requests come at once and none is there yet', async () => {
    const [connections, each] = [100, 10]
    const before = server.tokenCalls
    const clients = await Promise.all(
      Array.from({ length: connections }, () => WireClient.open({ host: '127.0.0.1', port: gate.port() })),
    )
    const place = `localhost:${plain.port}`
    const requests = `GET http://${place}/v1/contacts HTTP/1.1\r\nHost: ${place}\r\n\r\n`.repeat(each)
    const answers = await Promise.all(
      clients.map(async (client) => {
        client.send(requests)
        const statuses: number[] = []
        for (let count = 0; count < each; count++) statuses.push((await client.answer()).status)
        return statuses
      }),
    )
    await Promise.all(clients.map((client) => client[Symbol.asyncDispose]()))
    expect(answers.flat()).toEqual(new Array(1_000).fill(200))
    expect(server.tokenCalls - before).toBe(1)
    expect(seen).toHaveLength(1_000)
    expect(new Set(seen).size).toBe(1)
    const records = await gate.records(1_000)
    expect(records).toHaveLength(1_000)
    expect(new Set(records.map(({ id }) => id)).size).toBe(1_000)
    expect(records.every(({ credential }) => credential?.name === 'cold-token')).toBe(true)
  })

  it('never arrives expired, however often it is used and renewed', async () => {
    await using client = await open('brief')
    const until = Date.now() + 4_500
    const before = server.tokenCalls
    let requests = 0
    while (Date.now() < until) {
      expect((await get(client, 'brief')).status).toBe(200)
      requests += 1
    }
    expect(complaints).toEqual([])
    const tokens = new Set(seen)
    // A life of 2 seconds, of which the last is not used, and the second half is for renewing it.
    expect(tokens.size).toBeGreaterThanOrEqual(3)
    expect(tokens.size).toBeLessThanOrEqual(8)
    expect(server.tokenCalls - before).toBe(tokens.size)
    expect(requests).toBeGreaterThan(tokens.size * 5)
  })

  it('that the API refuses before its time is replaced, once, and the agent sees nothing of it', async () => {
    await using client = await open('refused')
    expect((await get(client, 'refused')).status).toBe(200)
    const [first = ''] = seen
    revoked.add(first)
    const before = server.tokenCalls
    const answer = await get(client, 'refused')
    expect(answer.status).toBe(200)
    expect(answer.text).toBe('contacts')
    expect(server.tokenCalls - before).toBe(1)
    expect(seen).toEqual([first, first, expect.not.stringMatching(first)])
    // From now on the new one.
    expect((await get(client, 'refused')).status).toBe(200)
    expect(seen[3]).toBe(seen[2])
    expect(server.tokenCalls - before).toBe(1)
  })

  it('that the API refuses is not sent again with a body, but the next request has another', async () => {
    await using client = await open('posted')
    expect((await get(client, 'posted')).status).toBe(200)
    const [first = ''] = seen
    revoked.add(first)
    const before = server.tokenCalls
    const post = ['POST /v1/contacts HTTP/1.1', `Host: ${host('posted')}`, 'Content-Length: 5']
    const refused = await client.request(post, 'hello')
    expect(refused.status).toBe(401)
    expect(refused.text).toBe('who are you?')
    // The API has seen it once.
    expect(seen).toEqual([first, first])
    expect((await client.request(post, 'hello')).status).toBe(200)
    expect(server.tokenCalls - before).toBe(1)
    expect(seen[2]).not.toBe(first)
  })

  it('is not asked for again and again by an API that refuses each', async () => {
    await using client = await open('stubborn')
    const before = server.tokenCalls
    for (let count = 0; count < 10; count++) expect((await get(client, 'stubborn')).status).toBe(401)
    expect(server.tokenCalls - before).toBe(2)
    expect(seen).toHaveLength(11)
  })
})
