import { generateKeyPairSync, type KeyObject } from 'node:crypto'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createLocalJWKSet, decodeJwt, jwtVerify } from 'jose'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { certificatePem } from '../../../certs/pem.ts'
import { createResolver } from '../../../proxy/forward/resolver.ts'
import { guardedDispatcher } from '../../../proxy/forward/undici.ts'
import { CredentialManager } from '../../../proxy/obtain/manager.ts'
import type { CredentialProvider, Lease } from '../../../proxy/obtain/provider.ts'
import { createProvider } from '../../../proxy/obtain/providers.ts'
import { credentialSchema } from '../../../proxy/obtain/settings.ts'
import type { Surroundings } from '../../../proxy/obtain/surroundings.ts'
import { type AuthorizationServer, startAuthorizationServer } from '../../support/authorization-server.ts'
import { keyPem, makeAuthority, makeSvid } from '../../support/pki.ts'
import { makeTrustDomain, ownId, surroundingsOf, type TrustDomain } from './surroundings.ts'
import { needOf, never, refusalOf } from './world.ts'

const crm = 'https://api.crm.example/'
const opaque = 'https://opaque.example/'
const awkward = { id: 'awk:ward client+e', secret: 'p%ss: w+rd/&=' }

let folder: string
let server: AuthorizationServer
let domain: TrustDomain
let keys: Record<'ec' | 'rsa' | 'ed', KeyObject>
const providers: CredentialProvider[] = []

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'postern-oauth-'))
  domain = await makeTrustDomain()
  const pairs = {
    ec: generateKeyPairSync('ec', { namedCurve: 'P-384' }),
    rsa: generateKeyPairSync('rsa', { modulusLength: 2048 }),
    ed: generateKeyPairSync('ed25519'),
  }
  keys = { ec: pairs.ec.privateKey, rsa: pairs.rsa.privateKey, ed: pairs.ed.privateKey }
  const signers = (['ec', 'rsa', 'ed'] as const).map((kid) => ({
    ...pairs[kid].publicKey.export({ format: 'jwk' }),
    kid,
    use: 'sig',
  }))
  server = await startAuthorizationServer({
    clients: [
      { id: 'basic', auth: { method: 'client_secret_basic', secret: 'b4sic' } },
      { id: awkward.id, auth: { method: 'client_secret_basic', secret: awkward.secret } },
      { id: 'post', auth: { method: 'client_secret_post', secret: 'p0st' }, scopes: ['contacts.read'] },
      { id: 'signer', auth: { method: 'private_key_jwt', keys: { keys: signers } } },
      { id: ownId, auth: { method: 'tls_client_auth', sanUri: ownId } },
      { id: 'workload', auth: { method: 'jwt-spiffe', spiffeId: ownId } },
    ],
    resources: {
      [crm]: { scopes: ['contacts.read', 'contacts.write'], lifetime: 120 },
      [opaque]: { scopes: ['contacts.read'], format: 'opaque' },
    },
    defaultResource: crm,
    spiffe: { trustDomain: 'acme.example', keys: () => domain.keys },
    clientAuthorities: [domain.ca],
  })
  await writeFile(join(folder, 'ca.pem'), server.ca)
})
afterAll(async () => {
  for (const provider of providers) provider.close?.()
  await server[Symbol.asyncDispose]()
  await rm(folder, { recursive: true, force: true })
})

function providerOf(settings: Record<string, unknown>, changes: Partial<Surroundings> = {}): CredentialProvider {
  const provider = createProvider(
    'crm-token',
    credentialSchema.parse({
      kind: 'oauth2-client-credentials',
      for: ['crm'],
      issuer: server.issuer,
      scopes: ['contacts.read'],
      resource: [crm],
      ca: [join(folder, 'ca.pem')],
      ...settings,
    }),
    surroundingsOf({
      svids: domain.svids,
      environment: { BASIC: 'b4sic', POST: 'p0st', WRONG: 'wrong', AWKWARD: awkward.secret },
      ...changes,
    }),
  )
  providers.push(provider)
  return provider
}

const obtain = (settings: Record<string, unknown>, changes: Partial<Surroundings> = {}): Promise<Lease> =>
  providerOf(settings, changes).obtain(needOf(), never)

async function claimsOf(lease: Lease) {
  const { payload } = await jwtVerify(lease.secret.reveal(), createLocalJWKSet(server.keys), {
    issuer: server.issuer,
    audience: crm,
    typ: 'at+jwt',
  })
  return payload
}

async function keyFile(name: 'ec' | 'rsa' | 'ed', form: 'pem' | 'jwk' = 'pem'): Promise<string> {
  const path = join(folder, `${name}.${form}`)
  const key = keys[name]
  const text =
    form === 'pem'
      ? key.export({ type: 'pkcs8', format: 'pem' }).toString()
      : JSON.stringify({ ...key.export({ format: 'jwk' }), kid: name })
  await writeFile(path, text)
  return `\${file:${path}}`
}

describe('the server refuses, and the code alone is told', () => {
  it('a wrong secret', async () => {
    const refusal = await refusalOf(
      obtain({ client: { id: 'basic', auth: 'client_secret_basic', secret: '${env:WRONG}' } }),
    )
    expect(refusal.reason).toBe('credential_unavailable')
    expect(refusal.detail).toMatch(/answered 401: invalid_client$/)
  })

  it('a client that it does not know', async () => {
    const refusal = await refusalOf(obtain({ client: { id: 'nobody', auth: 'none' } }))
    expect(refusal.detail).toMatch(/answered 401: invalid_client$/)
  })

  it('a resource that it does not know', async () => {
    const client = { id: 'basic', auth: 'client_secret_basic', secret: '${env:BASIC}' }
    const refusal = await refusalOf(obtain({ client, resource: ['https://other.example/'] }))
    expect(refusal.detail).toMatch(/answered 400: invalid_target$/)
  })

  it('an assertion for another audience', async () => {
    const client = { auth: 'jwt-spiffe', id: 'workload', audience: 'https://other.example' }
    expect((await refusalOf(obtain({ client }))).detail).toMatch(/answered 401: invalid_client$/)
  })

  it('an assertion of a key that is not the client’s', async () => {
    const path = join(folder, 'strange.pem')
    const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' })
    await writeFile(path, privateKey.export({ type: 'pkcs8', format: 'pem' }))
    const client = { id: 'signer', auth: 'private_key_jwt', key: `\${file:${path}}` }
    expect((await refusalOf(obtain({ client }))).detail).toMatch(/answered 401: invalid_client$/)
  })

  it('a certificate of an authority that it does not trust', async () => {
    const { certificate, key } = makeSvid(makeAuthority(), ownId)
    await writeFile(join(folder, 'strange.crt'), certificatePem(certificate))
    await writeFile(join(folder, 'strange.key'), keyPem(key))
    const client = {
      id: 'spiffe-id',
      auth: 'tls_client_auth',
      certificate: join(folder, 'strange.crt'),
      key: `\${file:${join(folder, 'strange.key')}}`,
    }
    expect((await refusalOf(obtain({ client }))).detail).toMatch(/answered 401: invalid_client$/)
  })
})

describe('nothing is sent', () => {
  it('without the secret', async () => {
    const before = server.tokenCalls
    const refusal = await refusalOf(
      obtain({ client: { id: 'basic', auth: 'client_secret_basic', secret: '${env:NONE}' } }),
    )
    expect(refusal.detail).toBe('the environment variable NONE is not set')
    expect(server.tokenCalls).toBe(before)
  })

  it('with a key that is none, which is not repeated', async () => {
    const path = join(folder, 'none.pem')
    for (const content of ['canary', '{"canary":', '-----BEGIN PRIVATE KEY-----\ncanary\n-----END PRIVATE KEY-----']) {
      await writeFile(path, content)
      const client = { id: 'signer', auth: 'private_key_jwt', key: `\${file:${path}}` }
      const refusal = await refusalOf(obtain({ client }))
      expect(refusal.detail).toBe('the signing key is neither a PEM nor a JWK private key')
      expect(refusal.cause).toBeUndefined()
    }
  })

  it('with an algorithm that the key cannot do', async () => {
    const client = { id: 'signer', auth: 'private_key_jwt', key: await keyFile('ec'), algorithm: 'RS256' }
    expect((await refusalOf(obtain({ client }))).detail).toBe('the signing key does not fit the algorithm')
  })

  it('without an identity where one is needed', async () => {
    for (const auth of ['jwt-spiffe', 'tls_client_auth']) {
      const refusal = await refusalOf(obtain({ client: { auth } }, { svids: undefined }))
      expect(refusal.reason).toBe('credential_unavailable')
      expect(refusal.detail).toBe('the proxy has no SPIFFE identity')
    }
  })

  it('with an identity that has expired, or was taken back', async () => {
    const gone = () => {
      throw new Error('the identity has expired')
    }
    const svids = { svid: gone, bundle: () => undefined, jwt: async () => gone(), async *updates() {} }
    for (const client of [{ auth: 'jwt-spiffe' }, { auth: 'jwt-spiffe', id: 'postern' }, { auth: 'tls_client_auth' }]) {
      const refusal = await refusalOf(obtain({ client }, { svids }))
      expect(refusal.reason).toBe('credential_unavailable')
      expect(refusal.detail).toBe('the identity has expired')
    }
  })
})

describe('a client proves itself', () => {
  it('by secret in the header', async () => {
    const lease = await obtain({ client: { id: 'basic', auth: 'client_secret_basic', secret: '${env:BASIC}' } })
    expect(await claimsOf(lease)).toMatchObject({ client_id: 'basic', scope: 'contacts.read' })
    expect(lease.scopes).toEqual(['contacts.read'])
    const { form, authorization } = server.calls.at(-1) ?? {}
    expect(Object.fromEntries(form ?? [])).toEqual({
      grant_type: 'client_credentials',
      scope: 'contacts.read',
      resource: crm,
    })
    expect(authorization).toBe(`Basic ${Buffer.from('basic:b4sic').toString('base64')}`)
  })

  it('by secret in the header, both halves form-encoded', async () => {
    const lease = await obtain({ client: { id: awkward.id, auth: 'client_secret_basic', secret: '${env:AWKWARD}' } })
    expect(await claimsOf(lease)).toMatchObject({ client_id: awkward.id })
    const pair = Buffer.from(server.calls.at(-1)?.authorization?.slice(6) ?? '', 'base64').toString()
    expect(pair).toBe('awk%3Award+client%2Be:p%25ss%3A+w%2Brd%2F%26%3D')
  })

  it('by secret in the form', async () => {
    const lease = await obtain({ client: { id: 'post', auth: 'client_secret_post', secret: '${env:POST}' } })
    expect(await claimsOf(lease)).toMatchObject({ client_id: 'post' })
    expect(server.calls.at(-1)?.form.get('client_secret')).toBe('p0st')
  })

  it.each([
    ['ec', 'ES384'],
    ['rsa', 'RS256'],
    ['ed', 'EdDSA'],
  ] as const)('by an assertion signed with %s, as %s', async (name, algorithm) => {
    const client = { id: 'signer', auth: 'private_key_jwt', key: await keyFile(name), keyId: name }
    expect(await claimsOf(await obtain({ client }))).toMatchObject({ client_id: 'signer' })
    const { form } = server.calls.at(-1) ?? {}
    expect(form?.get('client_assertion_type')).toBe('urn:ietf:params:oauth:client-assertion-type:jwt-bearer')
    const assertion = form?.get('client_assertion') ?? ''
    const [header = ''] = assertion.split('.')
    expect(JSON.parse(Buffer.from(header, 'base64url').toString())).toEqual({ alg: algorithm, kid: name })
    const { iss, sub, aud, iat = 0, exp = 0, jti } = decodeJwt(assertion)
    expect({ iss, sub, aud, life: exp - iat }).toEqual({ iss: 'signer', sub: 'signer', aud: server.issuer, life: 60 })
    expect(jti).toMatch(/^[0-9a-f-]{36}$/)
  })

  it('by an assertion signed with a JWK', async () => {
    const client = { id: 'signer', auth: 'private_key_jwt', key: await keyFile('ec', 'jwk') }
    expect(await claimsOf(await obtain({ client }))).toMatchObject({ client_id: 'signer' })
  })

  it('by its JWT-SVID, for the issuer alone', async () => {
    expect(await claimsOf(await obtain({ client: { auth: 'jwt-spiffe' } }))).toMatchObject({ client_id: 'workload' })
    const { form } = server.calls.at(-1) ?? {}
    expect(form?.get('client_assertion_type')).toBe('urn:ietf:params:oauth:client-assertion-type:jwt-spiffe')
    expect(form?.get('client_id')).toBe(ownId)
    expect(decodeJwt(form?.get('client_assertion') ?? '')).toMatchObject({ sub: ownId, aud: [server.issuer] })
  })

  it('by its X509-SVID, the present one at each call', async () => {
    const provider = providerOf({ client: { auth: 'tls_client_auth' } })
    const certificates: (string | undefined)[] = []
    for (let round = 0; round < 2; round += 1) {
      expect(await claimsOf(await provider.obtain(needOf(), never))).toMatchObject({ client_id: ownId })
      certificates.push(server.calls.at(-1)?.certificate)
      domain.rotate()
    }
    expect(certificates[0]).toBeDefined()
    expect(certificates[1]).not.toBe(certificates[0])
  })
})

it('needs no metadata where the configuration tells the endpoint', async () => {
  const client = { id: 'basic', auth: 'client_secret_basic', secret: '${env:BASIC}' }
  const lease = await obtain({ client, issuer: undefined, tokenEndpoint: server.tokenEndpoint })
  expect(await claimsOf(lease)).toMatchObject({ client_id: 'basic' })
})

it('sends audiences and further parameters', async () => {
  const client = { id: 'basic', auth: 'client_secret_basic', secret: '${env:BASIC}' }
  await obtain({ client, audience: ['a', 'b'], parameters: { tenant: 'x y' } })
  const { form } = server.calls.at(-1) ?? {}
  expect(form?.getAll('audience')).toEqual(['a', 'b'])
  expect(form?.get('tenant')).toBe('x y')
})

it('tells the scope that was granted, where it is narrower', async () => {
  const client = { id: 'post', auth: 'client_secret_post', secret: '${env:POST}' }
  expect((await obtain({ client, scopes: ['contacts.read', 'contacts.write'] })).scopes).toEqual(['contacts.read'])
})

describe('behind the address guard of the upstreams', () => {
  const client = { id: 'basic', auth: 'client_secret_basic', secret: '${env:BASIC}' }
  const dispatcher: Surroundings['dispatcher'] = (connection) =>
    guardedDispatcher(
      { ...connection, patience: 2_000 },
      createResolver(() => ({})),
      () => false,
    )

  it('a token server at a private address that nobody named is not connected to', async () => {
    const refusal = await refusalOf(obtain({ client }, { dispatcher }))
    expect(refusal.reason).toBe('credential_unavailable')
    expect(refusal.detail).toMatch(/was not connected to: blocked_address: 127\.0\.0\.1 resolves to/)
  })

  it('one at an address that is named is, with a client certificate too', async () => {
    const addresses = ['127.0.0.1/32']
    expect(await claimsOf(await obtain({ client, addresses }, { dispatcher }))).toMatchObject({ client_id: 'basic' })
    const lease = await obtain({ client: { auth: 'tls_client_auth' }, addresses }, { dispatcher })
    expect(await claimsOf(lease)).toMatchObject({ client_id: ownId })
  })
})

describe('behind the manager', () => {
  const client = { id: 'basic', auth: 'client_secret_basic', secret: '${env:BASIC}' }

  it('a thousand cold requests make one token call', async () => {
    const provider = providerOf({ client })
    const manager = new CredentialManager(new Map([['crm-token', { provider, ttl: undefined }]]), { clock: Date.now })
    const before = server.tokenCalls
    const leases = await Promise.all(
      Array.from({ length: 1_000 }, async () => manager.obtain('crm-token', needOf(), never)),
    )
    expect(server.tokenCalls - before).toBe(1)
    expect(new Set(leases.map(({ secret }) => secret.reveal())).size).toBe(1)
  })

  it('what was made is taken back at the end', async () => {
    const provider = providerOf({ client, resource: [opaque] })
    const manager = new CredentialManager(new Map([['crm-token', { provider, ttl: undefined }]]), { clock: Date.now })
    const lease = await manager.obtain('crm-token', needOf(), never)
    expect(server.knows(lease.secret.reveal())).toBe(true)
    await manager.close()
    expect(server.knows(lease.secret.reveal())).toBe(false)
  })

  it('a token server that goes away costs nothing until the token expires, and comes back by itself', async () => {
    let now = Date.now()
    const lost = await startAuthorizationServer({
      clients: [{ id: 'basic', auth: { method: 'client_secret_basic', secret: 'b4sic' } }],
      resources: { [crm]: { scopes: ['contacts.read'], lifetime: 120 } },
    })
    await writeFile(join(folder, 'lost.pem'), lost.ca)
    const clock = () => now
    const provider = providerOf({ client, issuer: lost.issuer, ca: [join(folder, 'lost.pem')] }, { clock })
    const manager = new CredentialManager(new Map([['crm-token', { provider, ttl: undefined }]]), { clock })
    const first = await manager.obtain('crm-token', needOf(), never)
    await lost[Symbol.asyncDispose]()
    now += 110_000
    expect((await manager.obtain('crm-token', needOf(), never)).secret).toBe(first.secret)
    now += 6_000
    const refusal = await refusalOf(manager.obtain('crm-token', needOf(), never))
    expect(refusal.reason).toBe('credential_unavailable')
    expect(refusal.retryAfter).toBeGreaterThan(0)
    expect(refusal.detail).toMatch(/ECONNREFUSED/)
  })
})
