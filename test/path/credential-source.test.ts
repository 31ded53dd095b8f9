// When the source of a credential is gone, when it comes back, and when only a person can mend it.
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest'
import { type AuthorizationServer, startAuthorizationServer } from '../support/authorization-server.ts'
import { agentId, agentsListener, openGate, type TestGate } from '../support/gate.ts'
import { reasonOf, through } from '../support/through.ts'
import { type HttpsUpstream, httpsUpstream } from '../support/upstream.ts'

const crm = 'https://api.crm.example/'

let server: AuthorizationServer
/** A token server that can be told to be away. */
let login: HttpsUpstream
let away = false
let tokens = 0
let upstream: HttpsUpstream
let gate: TestGate

beforeAll(async () => {
  server = await startAuthorizationServer({
    clients: [{ id: 'postern', auth: { method: 'client_secret_post', secret: 'canary-client-secret' } }],
    resources: { [crm]: { scopes: ['contacts.read'] } },
  })
  login = await httpsUpstream(['127.0.0.1'], (request, response) => {
    if (away) return request.socket.destroy()
    tokens += 1
    response.setHeader('Content-Type', 'application/json')
    return response.end(
      JSON.stringify({ access_token: `token-${tokens}`, token_type: 'Bearer', expires_in: 2, scope: 'contacts.read' }),
    )
  })
  upstream = await httpsUpstream(
    ['crm.acme.example', 'other.acme.example', 'consent.acme.example', 'file.acme.example'],
    (request, response) => response.end(request.headers.authorization?.length.toString() ?? 'none'),
  )
  const client = 'client: { id: postern, auth: client_secret_post, secret: "${env:CLIENT_SECRET}" }'
  const destination = (name: string) =>
    `  ${name}: { hosts: [${name}.acme.example], ports: [${upstream.port}], addresses: [127.0.0.0/8], ca: [ca.pem] }`
  const names = ['crm', 'other', 'consent', 'file']
  gate = await openGate(
    `${agentsListener}resolve: { ${names.map((name) => `${name}.acme.example: [127.0.0.1]`).join(', ')} }
destinations:
${names.map(destination).join('\n')}
credentials:
  crm-token:
    kind: oauth2-client-credentials
    tokenEndpoint: https://127.0.0.1:${login.port}/token
    ca: [login.pem]
    addresses: [127.0.0.0/8]
    ${client}
    scopes: [contacts.read]
    for: [crm]
  other-key: { kind: env, variable: OTHER_KEY, for: [other] }
  consent-token:
    kind: oauth2-refresh-token
    issuer: ${server.issuer}
    ca: [server.pem]
    addresses: [127.0.0.0/8]
    ${client}
    scopes: [contacts.read]
    resource: [${crm}]
    refreshTokenFile: refresh-token
    for: [consent]
  file-key: { kind: file, path: not-yet-there, for: [file] }
rules:
${names.map((name, at) => `  - { name: ${name}, allow: { agents: [${agentId}], to: ${name} }, use: ${['crm-token', 'other-key', 'consent-token', 'file-key'][at]} }`).join('\n')}
`,
    {
      files: {
        'ca.pem': upstream.ca,
        'login.pem': login.ca,
        'server.pem': server.ca,
        'refresh-token': 'a-grant-that-was-taken-back',
      },
      environment: { CLIENT_SECRET: 'canary-client-secret', OTHER_KEY: 'canary-other-key' },
    },
  )
})
afterAll(async () => {
  await gate[Symbol.asyncDispose]()
  await Promise.all([upstream.close(), login.close(), server[Symbol.asyncDispose]()])
})

async function get(name: string) {
  const host = `${name}.acme.example`
  await using client = await through({ port: gate.port(), ca: gate.gate.caPem }, host, upstream.port)
  return await client.request(['GET / HTTP/1.1', `Host: ${host}:${upstream.port}`])
}

/** Asks until the answer has this status. */
const until = (name: string, status: number) =>
  vi.waitFor(
    async () => {
      const answer = await get(name)
      if (answer.status !== status) throw new Error(`still ${answer.status}: ${answer.text}`)
      return answer
    },
    { timeout: 10_000, interval: 100 },
  )

describe('a token server that is away', () => {
  it('is not missed while the token lives; then it is told, with a time to wait, and others go on', async () => {
    expect((await get('crm')).status).toBe(200)
    const asked = tokens
    away = true
    const first = Date.now()
    expect((await get('crm')).status).toBe(200)
    const answer = await until('crm', 503)
    // It lived for 2 seconds and was used for half of that; renewing it failed without a request that noticed.
    expect(Date.now() - first).toBeGreaterThan(700)
    expect(reasonOf(answer)).toBe('credential_unavailable')
    expect(Number(answer.field('retry-after'))).toBeGreaterThanOrEqual(1)
    expect(JSON.parse(answer.text).retry_after).toBe(Number(answer.field('retry-after')))
    expect(tokens).toBe(asked)
    expect((await get('other')).status).toBe(200)
    expect(await gate.record(answer.field('postern-request-id'))).toMatchObject({
      outcome: 'failed',
      decision: { verdict: 'allow', rule: 'crm' },
      refusal: { reason: 'credential_unavailable' },
      credential: { name: 'crm-token' },
    })
  })

  it('is asked again when the time is over, and all is well', async () => {
    away = false
    expect((await until('crm', 200)).status).toBe(200)
  })
})

describe('a grant that has ended', () => {
  it('is told as consent_required, until somebody signs in again', async () => {
    const answer = await get('consent')
    expect(answer.status).toBe(403)
    expect(reasonOf(answer)).toBe('consent_required')
    // Waiting does not mend it.
    expect(answer.field('retry-after')).toBeUndefined()
    expect(await gate.record(answer.field('postern-request-id'))).toMatchObject({
      refusal: { reason: 'consent_required' },
      credential: { name: 'consent-token' },
    })
    const asked = server.tokenCalls
    expect((await get('consent')).status).toBe(403)
    expect(server.tokenCalls).toBe(asked)

    const refreshToken = await server.grantRefreshToken({
      client: 'postern',
      account: 'ada',
      resource: crm,
      scopes: ['contacts.read'],
    })
    await writeFile(join(gate.folder, 'refresh-token'), refreshToken)
    expect((await until('consent', 200)).status).toBe(200)
  })
})

describe('a secret file that is not there', () => {
  it('is told as credential_unavailable, until it appears; when it goes, the credential goes', async () => {
    const answer = await get('file')
    expect(answer.status).toBe(503)
    expect(reasonOf(answer)).toBe('credential_unavailable')
    const record = await gate.record(answer.field('postern-request-id'))
    expect(record.refusal?.detail).toContain('not-yet-there')
    expect(answer.text).not.toContain('not-yet-there')
    await writeFile(join(gate.folder, 'not-yet-there'), 'canary-late\n')
    expect((await until('file', 200)).text).toBe(String('Bearer canary-late'.length))
    await writeFile(join(gate.folder, 'not-yet-there'), 'canary-renewed\n')
    await vi.waitFor(async () => expect((await get('file')).text).toBe(String('Bearer canary-renewed'.length)), 5_000)
  })
})
