// A token under a delegation chain: never wider than what every hop holds, and never another chain's.
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { inspect } from 'node:util'
import { createLocalJWKSet, decodeJwt, exportJWK, exportPKCS8, generateKeyPair, jwtVerify, SignJWT } from 'jose'
import { afterAll, beforeAll, beforeEach, describe, expect, it, vi } from 'vitest'
import { CredentialManager } from '../../../proxy/obtain/manager.ts'
import type { CredentialProvider, Lease, Need } from '../../../proxy/obtain/provider.ts'
import { createProvider } from '../../../proxy/obtain/providers.ts'
import { credentialSchema } from '../../../proxy/obtain/settings.ts'
import { Secret } from '../../../proxy/secret.ts'
import type { Amiss } from '../../support/authorization-server/token-exchange.ts'
import { type AuthorizationServer, startAuthorizationServer } from '../../support/authorization-server.ts'
import { makeTrustDomain, ownId, surroundingsOf, type TrustDomain } from './surroundings.ts'
import { delegatedNeed, needOf, never, refusalOf } from './world.ts'

const crm = 'https://api.crm.example/'
const opaqueCrm = 'https://opaque.crm.example/'
const planner = 'spiffe://acme.example/ns/agents/sa/planner'
const researcher = 'spiffe://acme.example/ns/agents/sa/researcher'
const directory = 'https://directory.example'

let folder: string
let server: AuthorizationServer
let domain: TrustDomain
let amiss: Amiss = {}
let tokenOf: (user: string) => Promise<string>
const providers: CredentialProvider[] = []

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'postern-delegated-'))
  domain = await makeTrustDomain()
  const statements = await generateKeyPair('ES256', { extractable: true })
  const users = await generateKeyPair('ES256')
  await writeFile(join(folder, 'statements.pem'), await exportPKCS8(statements.privateKey))
  const statementKeys = { keys: [await exportJWK(statements.publicKey)] }
  const userKeys = { keys: [await exportJWK(users.publicKey)] }
  const resource = { scopes: ['contacts.read', 'contacts.write', 'deals.read'] }
  server = await startAuthorizationServer({
    clients: [{ id: 'workload', auth: { method: 'jwt-spiffe', spiffeId: ownId } }],
    resources: { [crm]: resource, [opaqueCrm]: { ...resource, format: 'opaque' } },
    spiffe: { trustDomain: 'acme.example', keys: () => domain.keys },
    trusted: [
      { issuer: 'spiffe://acme.example', keys: () => domain.keys },
      { issuer: 'https://postern.acme.example', keys: () => statementKeys },
      { issuer: directory, keys: () => userKeys },
    ],
    amiss: () => amiss,
  })
  await writeFile(join(folder, 'ca.pem'), server.ca)
  tokenOf = (user) =>
    new SignJWT({ scope: 'contacts.read contacts.write deals.read' })
      .setProtectedHeader({ alg: 'ES256' })
      .setIssuer(directory)
      .setSubject(user)
      .setAudience(server.issuer)
      .setExpirationTime('5m')
      .sign(users.privateKey)
})
beforeEach(() => {
  amiss = {}
})
afterAll(async () => {
  for (const provider of providers) provider.close?.()
  await server[Symbol.asyncDispose]()
  await rm(folder, { recursive: true, force: true })
})

const statement = (from: 'caller' | 'chain') => ({
  from,
  issuer: 'https://postern.acme.example',
  key: `\${file:${join(folder, 'statements.pem')}}`,
})

function providerOf(settings: Record<string, unknown> = {}): CredentialProvider {
  const provider = createProvider(
    'crm-token',
    credentialSchema.parse({
      kind: 'oauth2-token-exchange',
      for: ['crm'],
      issuer: server.issuer,
      client: { auth: 'jwt-spiffe' },
      scopes: ['contacts.read', 'contacts.write'],
      resource: [crm],
      ca: [join(folder, 'ca.pem')],
      ...(settings.kind === undefined ? { subject: { from: 'principal' }, actor: statement('chain') } : {}),
      ...settings,
    }),
    surroundingsOf({ svids: domain.svids }),
  )
  providers.push(provider)
  return provider
}

/** With a token that the directory signed. */
async function signedIn(need: Need): Promise<Need> {
  const { principal } = need
  return { ...need, principal: { ...principal, token: new Secret('user token', await tokenOf(principal.id)) } }
}

async function claimsOf(lease: Lease) {
  const keys = createLocalJWKSet(server.keys)
  return (await jwtVerify(lease.secret.reveal(), keys, { issuer: server.issuer, audience: crm })).payload
}

const lastForm = () => server.calls.filter(({ path }) => path === '/token').at(-1)?.form ?? new URLSearchParams()

describe('nothing is asked for', () => {
  it.each([
    [
      'the caller holds none of the scopes',
      delegatedNeed('ada', [planner, ['contacts.*']], [researcher, ['deals.read']]),
    ],
    [
      'an earlier hop holds none of them',
      delegatedNeed('ada', [planner, ['deals.*']], [researcher, ['contacts.read']]),
    ],
    ['the caller holds no scope at all', delegatedNeed('ada', [planner, ['contacts.*']], [researcher, []])],
    ['a scope merely begins alike', delegatedNeed('ada', [planner, ['contacts.reader', 'contact.*', 'contacts']])],
  ])('where %s', async (_, need) => {
    const before = server.calls.length
    const refusal = await refusalOf(providerOf().obtain(await signedIn(need), never))
    expect(refusal.reason).toBe('scope_not_granted')
    expect(refusal.detail).toBe('no scope of the credential is held by every hop of the chain')
    expect(server.calls.length).toBe(before)
  })

  it('where the credential names no scopes, since the server would then choose', async () => {
    const need = delegatedNeed('ada', [planner, ['contacts.read']])
    const refusal = await refusalOf(providerOf({ scopes: [] }).obtain(await signedIn(need), never))
    expect(refusal.reason).toBe('scope_not_granted')
    expect(refusal.detail).toContain('names no scopes')
  })

  it('where a mapped scope is held under the name of the server alone', async () => {
    const need = delegatedNeed('ada', [planner, ['contacts.read']])
    const provider = providerOf({ scopes: ['contacts.read'], delegated: { 'contacts.read': 'crm.contacts.read' } })
    expect((await refusalOf(provider.obtain(await signedIn(need), never))).reason).toBe('scope_not_granted')
  })

  it('where no user stands at the root, though the user’s token is what is exchanged', async () => {
    const before = server.tokenCalls
    const refusal = await refusalOf(providerOf().obtain(needOf(researcher), never))
    expect(refusal.reason).toBe('consent_required')
    expect(refusal.detail).toBe('no token of a user is at the root of the delegation')
    expect(server.tokenCalls).toBe(before)
  })

  it('and the manager neither asks again nor promises that waiting helps', async () => {
    const manager = new CredentialManager(new Map([['crm-token', { provider: providerOf(), ttl: undefined }]]), {
      clock: Date.now,
    })
    const refusal = await refusalOf(manager.obtain('crm-token', delegatedNeed('ada', [planner, ['deals.read']]), never))
    expect(refusal).toMatchObject({ reason: 'scope_not_granted', retryAfter: undefined })
    await manager.close()
  })
})

describe('a server that grants more than was asked for', () => {
  it('is refused, found out, and its token is taken back unused', async () => {
    amiss = { wider: ['contacts.write'] }
    const need = await signedIn(delegatedNeed('ada', [planner, ['contacts.*']], [researcher, ['contacts.read']]))
    const refusal = await refusalOf(providerOf({ resource: [opaqueCrm] }).obtain(need, never))
    expect(refusal.reason).toBe('credential_unavailable')
    expect(refusal.detail).toMatch(/^wider_scope: token server 127\.0\.0\.1:\d+ granted a wider scope/)
    expect(refusal.findings).toEqual([
      { kind: 'wider_scope', where: `token-server:${new URL(server.issuer).host}`, count: 1 },
    ])
    const revocation = await vi.waitFor(() => {
      const found = server.calls.find(({ path }) => path === '/token/revocation')
      expect(found).toBeDefined()
      return found
    })
    const token = revocation?.form.get('token') ?? ''
    expect(token).not.toBe('')
    await vi.waitFor(() => expect(server.knows(token)).toBe(false))
    expect(inspect(refusal, { depth: 9, showHidden: true })).not.toContain(token)
  })

  it('stays in the record however often it is refused without being asked', async () => {
    amiss = { wider: ['contacts.write'] }
    const manager = new CredentialManager(new Map([['crm-token', { provider: providerOf(), ttl: undefined }]]), {
      clock: Date.now,
    })
    const need = await signedIn(delegatedNeed('ada', [planner, ['contacts.read']]))
    for (let turn = 0; turn < 2; turn += 1) {
      const refusal = await refusalOf(manager.obtain('crm-token', need, never))
      expect(refusal.detail).toContain('wider_scope')
      expect(refusal.findings).toHaveLength(1)
    }
    await manager.close()
  })
})

describe('what is asked for', () => {
  it('is what every hop holds of what the credential may ask for', async () => {
    const need = await signedIn(
      delegatedNeed('ada', [planner, ['contacts.*', 'deals.*']], [researcher, ['contacts.read', 'deals.read']]),
    )
    const lease = await providerOf().obtain(need, never)
    expect(lastForm().get('scope')).toBe('contacts.read')
    expect(lease.scopes).toEqual(['contacts.read'])
    expect(await claimsOf(lease)).toMatchObject({ sub: 'ada', scope: 'contacts.read' })
  })

  it('goes by the names of the delegation where they are told', async () => {
    const need = await signedIn(
      delegatedNeed('ada', [planner, ['crm.contacts.*']], [researcher, ['crm.contacts.read']]),
    )
    await providerOf({
      delegated: { 'contacts.read': 'crm.contacts.read', 'contacts.write': 'crm.contacts.write' },
    }).obtain(need, never)
    expect(lastForm().get('scope')).toBe('contacts.read')
  })

  it('means granted where the server says nothing of it (RFC 6749 §5.1)', async () => {
    amiss = { silent: true }
    const lease = await providerOf().obtain(await signedIn(delegatedNeed('ada', [planner, ['contacts.read']])), never)
    expect(lease.scopes).toEqual(['contacts.read'])
  })

  it('is all of it where nothing was delegated', async () => {
    await providerOf({ subject: { from: 'svid' }, actor: undefined }).obtain(needOf(researcher), never)
    expect(lastForm().get('scope')).toBe('contacts.read contacts.write')
  })

  it('is narrowed for the token of the proxy itself where its credential says so, and not otherwise', async () => {
    const need = delegatedNeed('ada', [planner, ['crm.contacts.read']])
    const own = { kind: 'oauth2-client-credentials' }
    const narrow = providerOf({ ...own, delegated: { 'contacts.read': 'crm.contacts.read' } })
    await narrow.obtain(need, never)
    expect(lastForm().get('scope')).toBe('contacts.read')
    expect(narrow.partition(need)).not.toBe(narrow.partition(needOf(planner)))
    const plain = providerOf(own)
    await plain.obtain(need, never)
    expect(lastForm().get('scope')).toBe('contacts.read contacts.write')
    expect(plain.partition(need)).toBe('')
  })
})

describe('who it is for', () => {
  it('is told by the user’s own token and a statement of the chain, the caller outermost', async () => {
    const need = await signedIn(delegatedNeed('ada', [planner, ['contacts.*']], [researcher, ['contacts.read']]))
    const claims = await claimsOf(await providerOf().obtain(need, never))
    const iss = 'spiffe://acme.example'
    const act = { sub: researcher, iss, sub_profile: 'ai_agent', act: { sub: planner, iss, sub_profile: 'ai_agent' } }
    expect(claims).toMatchObject({ sub: 'ada', act })
    const form = lastForm()
    expect(form.get('subject_token')).toBe(need.principal.token?.reveal())
    const actor = decodeJwt(form.get('actor_token') ?? '')
    expect(actor).toMatchObject({ iss: 'https://postern.acme.example', sub: researcher, aud: server.issuer, act })
    expect((actor.exp ?? 0) - (actor.iat ?? 0)).toBe(60)
    // Neither tokens nor identifiers of the chain go to somebody else's server.
    expect(decodeURIComponent(form.toString())).not.toContain('txn of ada')
    expect(JSON.stringify(actor)).not.toContain('ada')
  })

  it('is told by a statement alone, of the principal as subject, where the server trusts the proxy', async () => {
    const need = delegatedNeed('ada', [planner, ['contacts.*']], [researcher, ['contacts.read']])
    const claims = await claimsOf(
      await providerOf({ subject: statement('chain'), actor: undefined }).obtain(need, never),
    )
    expect(claims).toMatchObject({ sub: 'ada', act: { sub: researcher, act: { sub: planner } } })
    expect(decodeJwt(lastForm().get('subject_token') ?? '')).toMatchObject({ sub: 'ada', sub_profile: 'user' })
  })

  it('leaves out a first agent that is the principal itself', async () => {
    const need = delegatedNeed('ada', [planner, ['contacts.*']], [researcher, ['contacts.read']])
    const own: Need = { ...need, principal: { kind: 'agent', id: planner } }
    await providerOf({ subject: statement('chain'), actor: undefined }).obtain(own, never)
    const subject = decodeJwt(lastForm().get('subject_token') ?? '')
    expect(subject).toMatchObject({ sub: planner, sub_profile: 'ai_agent', act: { sub: researcher } })
    expect(subject.act).not.toHaveProperty('act')
  })
})

describe('a lease is never served to', () => {
  const held = ['contacts.read']
  const base = delegatedNeed('ada', [planner, ['contacts.*']], [researcher, held])
  const first = { ...base, principal: { ...base.principal, token: new Secret('token', 'first') } }
  const others: [string, Need][] = [
    ['another user', delegatedNeed('bob', [planner, ['contacts.*']], [researcher, held])],
    ['an agent of the same name as the user', { ...first, principal: { ...first.principal, kind: 'agent' } }],
    [
      'another caller at the end of the chain',
      delegatedNeed('ada', [planner, ['contacts.*']], [`${researcher}-2`, held]),
    ],
    ['another agent in between', delegatedNeed('ada', [`${planner}-2`, ['contacts.*']], [researcher, held])],
    ['a longer chain', delegatedNeed('ada', [planner, ['contacts.*']], [`${planner}-2`, held], [researcher, held])],
    ['wider scopes', delegatedNeed('ada', [planner, ['contacts.*']], [researcher, ['contacts.*']])],
    [
      'a later sign-in of the same user',
      { ...first, principal: { ...first.principal, token: new Secret('token', 'second') } },
    ],
    ['the caller without chain', needOf(researcher)],
  ]
  it.each(others)('%s', (_, other) => {
    for (const settings of [{}, { subject: statement('chain') }]) {
      const provider = providerOf(settings)
      const sameSignIn = 'subject' in settings && _ === 'a later sign-in of the same user'
      expect(provider.partition(first) === provider.partition(other)).toBe(sameSignIn)
      expect(provider.partition(first)).toBe(provider.partition({ ...first }))
    }
  })

  it('anybody else, though the source is asked once for each chain', async () => {
    const manager = new CredentialManager(new Map([['crm-token', { provider: providerOf(), ttl: undefined }]]), {
      clock: Date.now,
    })
    const needs = await Promise.all(
      ['ada', 'bob'].map((user) => signedIn(delegatedNeed(user, [planner, ['contacts.*']], [researcher, held]))),
    )
    const before = server.tokenCalls
    const leases = await Promise.all(
      Array.from({ length: 40 }, async (_, index) =>
        manager.obtain('crm-token', index % 2 === 0 ? (needs[0] ?? first) : (needs[1] ?? first), never),
      ),
    )
    const subjects = await Promise.all(leases.map(async (lease) => (await claimsOf(lease)).sub))
    expect(subjects).toEqual(Array.from({ length: 40 }, (_, index) => (index % 2 === 0 ? 'ada' : 'bob')))
    expect(server.tokenCalls - before).toBe(2)
    await manager.close()
  })
})

it('a name that is mapped and not among the scopes is an error of the configuration', () => {
  expect(() => providerOf({ delegated: { 'contacts.raed': 'crm.contacts.read' } })).toThrow('not one of `scopes`')
  expect(() => providerOf({ delegated: { 'contacts.read': 'crm.*.read' } })).toThrow('a scope of a delegation')
})
