// A call that a rule allows: through CONNECT and TLS, with a credential that the caller never had, and recorded.
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { agentId, agentsListener, openGate, type TestGate } from '../support/gate.ts'
import { type HttpsUpstream, httpsUpstream } from '../support/upstream.ts'
import { WireClient } from '../support/wire-client.ts'

const canary = 'canary-4f1c09be77aa'
let upstream: HttpsUpstream
let gate: TestGate
const seen: { url: string | undefined; authorization: string | undefined }[] = []

beforeAll(async () => {
  upstream = await httpsUpstream(['api.example'], (request, response) => {
    seen.push({ url: request.url, authorization: request.headers.authorization })
    response.setHeader('Content-Type', 'application/json')
    response.end(JSON.stringify({ contacts: ['Ada'] }))
  })
  gate = await openGate(
    `${agentsListener}resolve: { api.example: [127.0.0.1] }
destinations:
  crm: { hosts: [api.example], ports: [${upstream.port}], addresses: [127.0.0.0/8], ca: [ca.pem] }
credentials:
  crm-key: { kind: env, variable: CRM_KEY, for: [crm] }
rules:
  - { name: reads-contacts, allow: { agents: [${agentId}], to: crm, methods: [GET], paths: [/v1/contacts/**] }, use: crm-key, inject: bearer }
`,
    { files: { 'ca.pem': upstream.ca }, environment: { CRM_KEY: canary } },
  )
})

afterAll(async () => {
  await gate[Symbol.asyncDispose]()
  await upstream.close()
})

describe('an allowed call', () => {
  it('reaches the upstream with the credential, and its record says who, what, by which rule', async () => {
    const authority = `api.example:${upstream.port}`
    await using client = await WireClient.open({ host: '127.0.0.1', port: gate.port() })
    await client.tunnel(authority)
    await client.secure({ ca: gate.gate.caPem, servername: 'api.example' })
    const answer = await client.request([
      'GET /v1/contacts/7?q=secret-value HTTP/1.1',
      `Host: ${authority}`,
      'Authorization: Bearer stolen',
    ])
    expect(answer.status).toBe(200)
    expect(answer.text).toBe('{"contacts":["Ada"]}')
    expect(seen).toEqual([{ url: '/v1/contacts/7?q=secret-value', authorization: `Bearer ${canary}` }])
    const [record] = await gate.records(1)
    expect(record).toMatchObject({
      kind: 'request',
      id: answer.field('postern-request-id'),
      caller: { spiffe_id: agentId, proofs: ['kernel'] },
      destination: { name: 'crm', host: 'api.example', address: '127.0.0.1' },
      request: { method: 'GET', path: '/v1/contacts/7', query_keys: ['q'] },
      decision: { verdict: 'allow', rule: 'reads-contacts' },
      credential: { name: 'crm-key', kind: 'env' },
      response: { status: 200, bytes: 20, ended: 'complete' },
      findings: [{ kind: 'agent_credential_removed', where: 'header:authorization' }],
    })
    const everything = JSON.stringify(record) + gate.log() + JSON.stringify(answer)
    expect(everything).not.toContain(canary)
    expect(everything).not.toContain('stolen')
    expect(everything).not.toContain('secret-value')
  })
})
