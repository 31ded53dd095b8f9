// Chains that began elsewhere: a control plane grants to an agent here, which hands on without asking it again.
import { createPublicKey, generateKeyPairSync, type KeyObject } from 'node:crypto'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { parseSpiffeId } from '../../certs/spiffe-id.ts'
import { DelegationKey, publicKeyOf } from '../../policy/delegation/keys.ts'
import { mintRoot, type RootGrant } from '../../policy/delegation/mint.ts'
import { call, delegated, doorUrl, type MadeDelegation, reasonIn, reference } from '../support/agents-door.ts'
import { agentId, agentsListener, openGate, type TestGate } from '../support/gate.ts'
import { type HttpsUpstream, httpsUpstream, httpUpstream } from '../support/upstream.ts'

const issuer = 'https://grants.acme.example'
let upstream: Awaited<ReturnType<typeof httpUpstream>>
let plane: HttpsUpstream
let published: object
let privateKey: KeyObject
let gate: TestGate

beforeAll(async () => {
  upstream = await httpUpstream((_request, response) => response.end('contacts'))
  plane = await httpsUpstream(['127.0.0.1'], (_request, response) => response.end(JSON.stringify(published)))
})
afterAll(() => Promise.all([upstream.close(), plane.close()]))

beforeEach(async () => {
  privateKey = generateKeyPairSync('ed25519').privateKey
  const other = generateKeyPairSync('ec', { namedCurve: 'P-256' }).publicKey
  published = {
    keys: [
      { ...other.export({ format: 'jwk' }), kid: 'another-kind' },
      { ...createPublicKey(privateKey).export({ format: 'jwk' }), kid: 'root-1' },
    ],
  }
  gate = await openGate(
    `${agentsListener}resolve: { api.example: [127.0.0.1] }
delegation:
  roots:
    - { issuer: "${issuer}", keys: { url: "https://127.0.0.1:${plane.port}/keys", ca: [plane.pem], addresses: [127.0.0.0/8] } }
destinations:
  api: { hosts: [api.example], protocol: http, ports: [${upstream.port}], addresses: [127.0.0.0/8] }
rules:
  - name: users-read
    allow: { agents: [${agentId}, "${agentId}/*"], to: api, principals: ["user:ada@*"] }
    requires: [crm.read]
`,
    { files: { 'plane.pem': plane.ca } },
  )
})
afterEach(() => gate[Symbol.asyncDispose]())

async function granted(changes: Partial<RootGrant> = {}, key = privateKey, from = issuer): Promise<string> {
  const { x } = JSON.parse((await call(gate.port(), `${doorUrl}/key`)).text)
  const grant = {
    principal: 'ada@acme.example',
    agent: parseSpiffeId(agentId),
    key: publicKeyOf(x),
    audience: ['spiffe://acme.example/egress'],
    scopes: ['crm.*'],
    constraints: [],
    lifetime: 600,
    txn: 'txn-1',
    jti: 'root-grant-1',
    ...changes,
  }
  return mintRoot(grant, { issuer: from, keyId: 'root-1', key: new DelegationKey(key) }, Date.now())
}

const adopt = (chain: string) => call(gate.port(), `${doorUrl}/chains`, { method: 'POST', body: { chain } })
const read = (fields: readonly string[]) => call(gate.port(), `http://api.example:${upstream.port}/`, { fields })

async function adopted(chain: string): Promise<MadeDelegation> {
  const answer = await adopt(chain)
  if (answer.status !== 201) throw new Error(answer.text)
  return JSON.parse(answer.text)
}

describe('a root of a configured issuer', () => {
  it('counts as it is shown, and as a handle that can be handed on', async () => {
    const chain = await granted()
    expect((await read([`Delegation-Chain: ${chain}`])).status).toBe(200)
    const { handle } = await adopted(chain)
    const child = await delegated(gate.port(), { to: `${agentId}/helper`, scopes: ['crm.read'] }, [reference(handle)])
    const answer = await read([reference(child.handle)])
    expect(answer.status).toBe(200)
    expect(await gate.record(answer.field('postern-request-id'))).toMatchObject({
      principal: { kind: 'user', id: 'ada@acme.example' },
      txn: 'txn-1',
      chain: [{ id: agentId }, { id: `${agentId}/helper` }],
    })
  })

  it('that names another key can be used, and not handed on', async () => {
    const { handle } = await adopted(await granted({ key: DelegationKey.generate().public }))
    expect((await read([reference(handle)])).status).toBe(200)
    const wanted = { method: 'POST', fields: [reference(handle)], body: { to: `${agentId}/x`, scopes: ['crm.read'] } }
    expect(reasonIn(await call(gate.port(), `${doorUrl}/delegations`, wanted))).toBe('delegation_wrong_key')
  })

  it.each<[string, () => Promise<string>, string]>([
    ['of another key', () => granted({}, generateKeyPairSync('ed25519').privateKey), 'chain_signature_invalid'],
    [
      'for another agent',
      () => granted({ agent: parseSpiffeId('spiffe://acme.example/other') }),
      'chain_holder_binding_failed',
    ],
    [
      'of an issuer that is not configured',
      () => granted({}, privateKey, 'https://else.example'),
      'chain_signature_invalid',
    ],
  ])('%s is refused', async (_, chain, reason) => {
    expect(reasonIn(await adopt(await chain()))).toBe(reason)
  })

  it('for another trust domain is refused when it is used', async () => {
    const { handle } = await adopted(await granted({ audience: ['spiffe://b.example/egress'] }))
    expect(reasonIn(await read([reference(handle)]))).toBe('chain_audience_mismatch')
  })
})
