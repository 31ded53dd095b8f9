// A user signs in, a planner hands a part of its right to a researcher, and the API sees a token of each: whose, by whom, how far. A stop takes back what was made.
import { join } from 'node:path'
import { createLocalJWKSet, exportJWK, exportPKCS8, generateKeyPair, type JWTPayload, jwtVerify, SignJWT } from 'jose'
import { afterAll, beforeAll, beforeEach, describe, expect, it, vi } from 'vitest'
import { askToStop } from '../../proxy/record/admin-client.ts'
import { call, delegated, doorUrl, reasonIn, reference } from '../support/agents-door.ts'
import { type AuthorizationServer, startAuthorizationServer } from '../support/authorization-server.ts'
import { agentId, agentsListener, openGate, type TestGate } from '../support/gate.ts'
import { httpUpstream, type Upstream } from '../support/upstream.ts'

const crm = 'https://api.crm.example/'
const directory = 'https://login.acme.example'
const researcherId = `${agentId}/researcher`

let server: AuthorizationServer
let api: Upstream
let gate: TestGate
/** What the tokens said that the API saw, and they themselves. */
let seen: { readonly token: string; readonly claims: JWTPayload }[] = []
let tokenOf: (user: string, more?: Record<string, unknown>) => Promise<string>
let wider: readonly string[] = []

beforeAll(async () => {
  const users = await generateKeyPair('ES256', { extractable: true })
  const statements = await generateKeyPair('ES256', { extractable: true })
  const userKeys = { keys: [{ ...(await exportJWK(users.publicKey)), kid: 'u1' }] }
  const statementKeys = { keys: [await exportJWK(statements.publicKey)] }
  server = await startAuthorizationServer({
    clients: [{ id: 'postern', auth: { method: 'client_secret_basic', secret: 'canary-client-secret' } }],
    resources: { [crm]: { scopes: ['contacts.read', 'contacts.write'] } },
    trusted: [
      { issuer: directory, keys: () => userKeys },
      { issuer: 'https://postern.acme.example', keys: () => statementKeys },
    ],
    amiss: () => ({ wider }),
  })
  tokenOf = (user, more = {}) =>
    new SignJWT({ email: `${user}@acme.example`, ...more })
      .setProtectedHeader({ alg: 'ES256', kid: 'u1' })
      .setIssuer(directory)
      .setSubject(user)
      .setAudience(server.issuer)
      .setIssuedAt()
      .setExpirationTime('5m')
      .sign(users.privateKey)
  api = await httpUpstream(async (request, response) => {
    request.resume()
    const token = (request.headers.authorization ?? '').replace('Bearer ', '')
    try {
      const keys = createLocalJWKSet(server.keys)
      const { payload } = await jwtVerify(token, keys, { issuer: server.issuer, audience: crm })
      seen.push({ token, claims: payload })
      const needed = request.method === 'GET' ? 'contacts.read' : 'contacts.write'
      response.writeHead(String(payload.scope).split(' ').includes(needed) ? 200 : 403).end('contacts')
    } catch {
      response.writeHead(401).end()
    }
  })
  const both = `[${agentId}, "${agentId}/*"]`
  gate = await openGate(
    `${agentsListener}admin: { socket: ./admin/postern.sock }
resolve: { localhost: [127.0.0.1] }
users:
  issuers: [{ issuer: ${directory}, audience: "${server.issuer}", principal: email, keys: { file: users.json } }]
delegation:
  grants: [{ agents: [${agentId}], principals: ["user:*@acme.example"], scopes: ["crm.contacts.*"] }]
destinations:
  crm: { hosts: [localhost], protocol: http, ports: [${api.port}], addresses: [127.0.0.0/8] }
credentials:
  crm-token:
    kind: oauth2-token-exchange
    issuer: ${server.issuer}
    ca: [login.pem]
    addresses: [127.0.0.0/8]
    client: { id: postern, auth: client_secret_basic, secret: "\${env:CLIENT_SECRET}" }
    subject: { from: principal }
    actor: { from: chain, issuer: https://postern.acme.example, key: "\${file:statements.pem}" }
    scopes: [contacts.read, contacts.write]
    delegated: { contacts.read: crm.contacts.read, contacts.write: crm.contacts.write }
    resource: [${crm}]
    for: [crm]
rules:
  - { name: contacts, allow: { agents: ${both}, to: crm }, use: crm-token }
`,
    {
      files: {
        'users.json': JSON.stringify(userKeys),
        'statements.pem': await exportPKCS8(statements.privateKey),
        'login.pem': server.ca,
      },
      environment: { CLIENT_SECRET: 'canary-client-secret' },
    },
  )
})
afterAll(async () => {
  await gate[Symbol.asyncDispose]()
  await api.close()
  await server[Symbol.asyncDispose]()
})
beforeEach(() => {
  seen = []
  wider = []
})

const contacts = () => `http://localhost:${api.port}/contacts`
const as = (handle: string, method = 'GET') => call(gate.port(), contacts(), { method, fields: [reference(handle)] })

async function signIn(user: string): Promise<{ planner: string; researcher: string }> {
  const root = { scopes: ['crm.contacts.*'], subject_token: await tokenOf(user) }
  const planner = await delegated(gate.port(), root)
  const part = { to: researcherId, scopes: ['crm.contacts.read'] }
  const researcher = await delegated(gate.port(), part, [reference(planner.handle)])
  return { planner: planner.handle, researcher: researcher.handle }
}

describe('a user’s right', () => {
  it('is given to nobody on the word of a token that is bent', async () => {
    const ask = (subject_token: string) =>
      call(gate.port(), `${doorUrl}/delegations`, {
        method: 'POST',
        body: { scopes: ['crm.contacts.read'], subject_token },
      })
    const sound = await tokenOf('ada')
    expect(reasonIn(await ask(`${sound.slice(0, -4)}AAAA`))).toBe('user_token_signature')
    expect(reasonIn(await ask(await tokenOf('ada', { email_verified: false })))).toBe('user_token_invalid')
    expect(reasonIn(await ask(await tokenOf('ada', { email: 'eve@evil.example' })))).toBe('delegation_not_granted')
  })

  it('reaches the API as far as each hop holds it, with all who act for the user', async () => {
    const { planner, researcher } = await signIn('ada')
    expect((await as(planner, 'POST')).status).toBe(200)
    expect((await as(researcher)).status).toBe(200)
    // The policy lets it pass; what the token lacks, the API refuses.
    expect((await as(researcher, 'POST')).status).toBe(403)
    const [ofPlanner, ofResearcher] = seen
    const iss = 'spiffe://acme.example'
    const first = { sub: agentId, iss, sub_profile: 'ai_agent' }
    expect(ofPlanner?.claims).toMatchObject({ sub: 'ada', scope: 'contacts.read contacts.write', act: first })
    expect(ofResearcher?.claims).toMatchObject({
      sub: 'ada',
      scope: 'contacts.read',
      act: { sub: researcherId, iss, sub_profile: 'ai_agent', act: first },
    })
  })

  it('is not used at all where the server gives more of it than was asked for', async () => {
    const { researcher } = await signIn('bob')
    wider = ['contacts.write']
    const answer = await as(researcher)
    expect(reasonIn(answer)).toBe('credential_unavailable')
    expect(seen).toEqual([])
    const record = await gate.record(answer.field('postern-request-id'))
    expect(record.refusal?.detail).toContain('wider_scope')
    expect(record.findings).toMatchObject([{ kind: 'wider_scope', count: 1 }])
  })

  it('ends for an agent that is stopped: its token is taken back, those of others stay', async () => {
    const { planner, researcher } = await signIn('ada')
    const calls = server.tokenCalls
    await as(planner)
    await as(researcher)
    const [, ofResearcher] = seen
    const outcome = await askToStop(join(gate.folder, 'admin/postern.sock'), {
      what: { kind: 'agent', id: researcherId },
      reason: 'it wanders',
    })
    expect(outcome).toMatchObject({ written: true })
    expect(reasonIn(await as(researcher))).toBe('chain_revoked')
    const revocations = await vi.waitFor(() => {
      const found = server.calls.filter(({ path }) => path === '/token/revocation').map(({ form }) => form.get('token'))
      expect(found).toContain(ofResearcher?.token)
      return found
    })
    expect(revocations).not.toContain(seen[0]?.token)
    expect((await as(planner)).status).toBe(200)
    expect(seen.at(-1)?.token).toBe(seen[0]?.token)
    expect(server.tokenCalls - calls).toBe(2)
  })
})
