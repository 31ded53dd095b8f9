import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createLocalJWKSet, decodeJwt, exportJWK, exportPKCS8, generateKeyPair, jwtVerify, SignJWT } from 'jose'
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { CredentialManager } from '../../../proxy/obtain/manager.ts'
import type { CredentialProvider, Lease } from '../../../proxy/obtain/provider.ts'
import { createProvider } from '../../../proxy/obtain/providers.ts'
import { credentialSchema } from '../../../proxy/obtain/settings.ts'
import { type AuthorizationServer, startAuthorizationServer } from '../../support/authorization-server.ts'
import { makeTrustDomain, ownId, surroundingsOf, type TrustDomain } from './surroundings.ts'
import { needOf, never, refusalOf } from './world.ts'

const crm = 'https://api.crm.example/'
const researcher = 'spiffe://acme.example/ns/agents/sa/researcher'
const planner = 'spiffe://acme.example/ns/agents/sa/planner'
const directory = 'https://directory.example'

let folder: string
let server: AuthorizationServer
let domain: TrustDomain
let makeUserToken: (claims: Record<string, unknown>) => Promise<string>
const providers: CredentialProvider[] = []

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'postern-exchange-'))
  domain = await makeTrustDomain()
  const statements = await generateKeyPair('ES256', { extractable: true })
  const users = await generateKeyPair('ES256', { extractable: true })
  await writeFile(join(folder, 'statements.pem'), await exportPKCS8(statements.privateKey))
  const statementKeys = { keys: [await exportJWK(statements.publicKey)] }
  const userKeys = { keys: [await exportJWK(users.publicKey)] }
  server = await startAuthorizationServer({
    clients: [{ id: 'workload', auth: { method: 'jwt-spiffe', spiffeId: ownId } }],
    resources: { [crm]: { scopes: ['contacts.read', 'contacts.write'] } },
    spiffe: { trustDomain: 'acme.example', keys: () => domain.keys },
    trusted: [
      { issuer: 'spiffe://acme.example', keys: () => domain.keys },
      { issuer: 'https://postern.acme.example', keys: () => statementKeys },
      { issuer: directory, keys: () => userKeys },
    ],
  })
  await writeFile(join(folder, 'ca.pem'), server.ca)
  makeUserToken = (claims) =>
    new SignJWT(claims)
      .setProtectedHeader({ alg: 'ES256' })
      .setIssuer(directory)
      .setSubject('ada')
      .setAudience(server.issuer)
      .setExpirationTime('5m')
      .sign(users.privateKey)
})
beforeEach(async () => {
  await writeFile(join(folder, 'user.jwt'), await makeUserToken({ scope: 'contacts.read' }))
})
afterAll(async () => {
  for (const provider of providers) provider.close?.()
  await server[Symbol.asyncDispose]()
  await rm(folder, { recursive: true, force: true })
})

const svid = { from: 'svid' }
const caller = () => ({
  from: 'caller',
  issuer: 'https://postern.acme.example',
  key: `\${file:${join(folder, 'statements.pem')}}`,
})
const user = () => ({ from: 'secret', token: `\${file:${join(folder, 'user.jwt')}}` })

function providerOf(settings: Record<string, unknown>): CredentialProvider {
  const provider = createProvider(
    'crm-token',
    credentialSchema.parse({
      kind: 'oauth2-token-exchange',
      for: ['crm'],
      issuer: server.issuer,
      client: { auth: 'jwt-spiffe' },
      scopes: ['contacts.read'],
      resource: [crm],
      ca: [join(folder, 'ca.pem')],
      ...settings,
    }),
    surroundingsOf({ svids: domain.svids }),
  )
  providers.push(provider)
  return provider
}

const obtain = (settings: Record<string, unknown>): Promise<Lease> =>
  providerOf(settings).obtain(needOf(researcher), never)

async function claimsOf(lease: Lease) {
  const keys = createLocalJWKSet(server.keys)
  return (await jwtVerify(lease.secret.reveal(), keys, { issuer: server.issuer, audience: crm })).payload
}

describe('the server refuses', () => {
  it('a subject token that is none', async () => {
    await writeFile(join(folder, 'user.jwt'), 'not-a-token')
    const refusal = await refusalOf(obtain({ subject: user() }))
    expect(refusal.reason).toBe('credential_unavailable')
    expect(refusal.detail).toMatch(/answered 400: invalid_request$/)
  })

  it('more than the subject token holds', async () => {
    const refusal = await refusalOf(obtain({ subject: user(), scopes: ['contacts.read', 'contacts.write'] }))
    expect(refusal.detail).toMatch(/answered 400: invalid_scope$/)
  })

  it('a subject token that was meant for another', async () => {
    const refusal = await refusalOf(obtain({ subject: { from: 'svid', audience: 'https://other.example' } }))
    expect(refusal.detail).toMatch(/answered 400: invalid_request$/)
  })

  it('a token without client', async () => {
    expect((await refusalOf(obtain({ client: undefined, subject: svid }))).detail).toMatch(
      /answered 400: invalid_request$/,
    )
  })
})

it('refuses without asking when the subject token is missing', async () => {
  const before = server.tokenCalls
  const refusal = await refusalOf(obtain({ subject: { from: 'secret', token: '${file:/none/token}' } }))
  expect(refusal.detail).toBe('/none/token: ENOENT')
  expect(server.tokenCalls).toBe(before)
})

it('refuses an answer of another type than was asked for', async () => {
  const refusal = await refusalOf(obtain({ subject: svid, requestedTokenType: 'jwt' }))
  expect(refusal.detail).toMatch(/another type than was asked for$/)
})

it('exchanges the JWT-SVID of the proxy', async () => {
  const lease = await obtain({ subject: svid, requestedTokenType: 'access_token', audience: ['crm'] })
  expect(await claimsOf(lease)).toMatchObject({ sub: ownId, client_id: 'workload', scope: 'contacts.read' })
  const { form } = server.calls.at(-1) ?? {}
  expect(Object.fromEntries(form ?? [])).toMatchObject({
    grant_type: 'urn:ietf:params:oauth:grant-type:token-exchange',
    subject_token_type: 'urn:ietf:params:oauth:token-type:jwt',
    requested_token_type: 'urn:ietf:params:oauth:token-type:access_token',
    scope: 'contacts.read',
    resource: crm,
    audience: 'crm',
  })
})

it('exchanges what a file holds, as it is now, with the caller as actor', async () => {
  const provider = providerOf({ subject: user(), actor: caller() })
  expect(await claimsOf(await provider.obtain(needOf(researcher), never))).toMatchObject({
    sub: 'ada',
    act: { sub: researcher },
  })
  const replaced = await makeUserToken({ scope: 'contacts.read', jti: 'second' })
  await writeFile(join(folder, 'user.jwt'), replaced)
  await provider.obtain(needOf(researcher), never)
  expect(server.calls.at(-1)?.form.get('subject_token')).toBe(replaced)
})

it('states who the caller is, signed, for the issuer, and for a minute', async () => {
  expect(await claimsOf(await obtain({ subject: caller() }))).toMatchObject({ sub: researcher })
  const { iss, sub, aud, iat = 0, exp = 0 } = decodeJwt(server.calls.at(-1)?.form.get('subject_token') ?? '')
  expect({ iss, sub, aud, life: exp - iat }).toEqual({
    iss: 'https://postern.acme.example',
    sub: researcher,
    aud: server.issuer,
    life: 60,
  })
})

it('never serves one caller the token of another, and asks once for each', async () => {
  const provider = providerOf({ subject: caller() })
  const manager = new CredentialManager(new Map([['crm-token', { provider, ttl: undefined }]]), { clock: Date.now })
  const before = server.tokenCalls
  const leases = await Promise.all(
    Array.from({ length: 50 }, (_, index) =>
      manager.obtain('crm-token', needOf(index % 2 === 0 ? researcher : planner), never),
    ),
  )
  const subjects = await Promise.all(leases.map(async (lease) => (await claimsOf(lease)).sub))
  expect(subjects).toEqual(Array.from({ length: 50 }, (_, index) => (index % 2 === 0 ? researcher : planner)))
  expect(server.tokenCalls - before).toBe(2)
})

it('serves all callers one token where nothing in it speaks of them', async () => {
  const provider = providerOf({ subject: svid })
  expect(provider.partition(needOf(researcher))).toBe(provider.partition(needOf(planner)))
})
