// Tokens of users, bent one way at a time, with keys from a real server; each refused with its reason.
import { createHmac, createPublicKey } from 'node:crypto'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { inspect } from 'node:util'
import fc from 'fast-check'
import type { JWK } from 'jose'
import { Agent } from 'undici'
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import { openUsers, type Users } from '../../../cli/wire/users.ts'
import { createResolver } from '../../../proxy/forward/resolver.ts'
import { pause } from '../../../proxy/identify/key-set.ts'
import { usersSchema } from '../../../proxy/identify/user-token/settings.ts'
import { type VerifiedUser, verifyUserToken } from '../../../proxy/identify/user-token.ts'
import { type Reason, Refusal } from '../../../proxy/refusal.ts'
import { Secret } from '../../../proxy/secret.ts'
import { startAuthorizationServer } from '../../support/authorization-server.ts'
import { type Json, publicJwk, signJwt } from '../../support/jwt.ts'
import { makeKey } from '../../support/pki.ts'
import { type HttpsUpstream, httpsUpstream } from '../../support/upstream.ts'

const issuer = 'https://login.acme.example'
const audience = 'postern'
const now = 1_800_000_000_000
const seconds = now / 1000
const key = makeKey('p256')
const rsa = makeKey('rsa2048')
const other = makeKey('p256')

const jwks = { keys: [] as JWK[], asked: 0, broken: false }
let server: HttpsUpstream
let users: Users
let clock = now
const problems: string[] = []

const surroundings = {
  resolve: createResolver(() => ({})),
  isOwn: () => false,
  now: () => clock,
  onProblem: ({ message }: Error) => problems.push(message),
}

beforeAll(async () => {
  server = await httpsUpstream(['127.0.0.1'], (_, response) => {
    jwks.asked += 1
    response.writeHead(jwks.broken ? 500 : 200, { 'content-type': 'application/jwk-set+json' })
    response.end(JSON.stringify({ keys: jwks.keys }))
  })
  users = openUsers(settings(), surroundings)
})
afterAll(async () => {
  await users.close()
  await server.close()
})

const defaultKeys = () => [
  publicJwk(key, 'k1', { use: 'sig', alg: 'ES256' }),
  publicJwk(rsa, 'r1', { use: 'sig' }),
  publicJwk(key, 'twice'),
  publicJwk(other, 'twice'),
]
jwks.keys = defaultKeys()

function settings(more: Json = {}) {
  return usersSchema.parse({
    issuers: [
      {
        issuer,
        audience,
        prefix: 'acme:',
        tokens: ['id-token', 'access-token', 'id-jag', 'txn-token'],
        keys: { url: `https://127.0.0.1:${server.port}/jwks`, ca: [server.ca], addresses: ['127.0.0.1/32'] },
        ...more,
      },
      { issuer: 'https://strict.example', audience, keys: { file: '/none/keys.json' }, prefix: 'strict:' },
    ],
  })
}

const header = { alg: 'ES256', kid: 'k1', typ: 'JWT' }
const claims = { iss: issuer, sub: 'ada', aud: audience, iat: seconds, exp: seconds + 300 }
const sign = (head: Json | string, body: Json | string) => signJwt(head, body, key.privateKey)
const withClaims = (more: Json) => sign(header, { ...claims, ...more })
const atJwt = { ...header, typ: 'at+jwt' }
const access = { ...claims, client_id: 'planner', jti: 'j1', scope: 'contacts.read' }

async function verified(token: string, by = users): Promise<VerifiedUser | string> {
  try {
    return await verifyUserToken(new Secret('user token', token), by.issuers, clock)
  } catch (error) {
    if (!(error instanceof Refusal)) throw error
    // Whatever is refused, nothing of the token is told.
    if (token.length > 40) expect(inspect(error, { depth: 9, showHidden: true })).not.toContain(token.slice(-40))
    return error.reason
  }
}

const unsigned = (head: Json, body: Json) =>
  [head, body].map((part) => Buffer.from(JSON.stringify(part)).toString('base64url')).join('.')
const publicPem = createPublicKey(key.privateKey).export({ type: 'spki', format: 'pem' })
const hmac = (head: Json) => {
  const text = unsigned(head, claims)
  return `${text}.${createHmac('sha256', publicPem).update(text).digest('base64url')}`
}

describe('a token is not that of a user', () => {
  it.each<[string, () => string, Reason]>([
    ['that is none', () => 'abc', 'user_token_invalid'],
    ['that is empty', () => '', 'user_token_invalid'],
    ['that is encrypted', () => 'a.b.c.d.e', 'user_token_invalid'],
    ['of 100 KB', () => withClaims({ x: 'x'.repeat(75_000) }), 'user_token_invalid'],
    ['with padding', () => `${withClaims({})}=`, 'user_token_invalid'],
    ['that is not signed', () => `${unsigned({ ...header, alg: 'none' }, claims)}.`, 'user_token_invalid'],
    ['with algorithm none and a signature', () => sign({ ...header, alg: 'none' }, claims), 'user_token_signature'],
    ['with algorithm nOnE', () => sign({ ...header, alg: 'nOnE' }, claims), 'user_token_signature'],
    ['signed by HMAC with the public key', () => hmac({ ...header, alg: 'HS256' }), 'user_token_signature'],
    ['signed by HMAC that claims to be ES256', () => hmac(header), 'user_token_signature'],
    ['with an algorithm that is not taken', () => sign({ ...header, alg: 'ES512' }, claims), 'user_token_signature'],
    ['of another kind of key than the algorithm', () => sign({ ...header, kid: 'r1' }, claims), 'user_token_signature'],
    ['that names no key', () => sign({ alg: 'ES256' }, claims), 'user_token_invalid'],
    ['that names an unknown key', () => sign({ ...header, kid: 'k2' }, claims), 'user_token_signature'],
    ['whose key has a namesake', () => sign({ ...header, kid: 'twice' }, claims), 'user_token_signature'],
    ['signed by somebody else', () => signJwt(header, claims, other.privateKey), 'user_token_signature'],
    [
      'that brings its own key along',
      () => signJwt({ ...header, kid: 'mine', jwk: publicJwk(other, 'mine') }, claims, other.privateKey),
      'user_token_signature',
    ],
    [
      'that says where its keys are',
      () => sign({ ...header, kid: 'x', jku: 'https://evil.example' }, claims),
      'user_token_signature',
    ],
    ['with a critical extension', () => sign({ ...header, crit: ['exp'] }, claims), 'user_token_invalid'],
    ['with an unencoded payload', () => sign({ ...header, b64: false }, claims), 'user_token_invalid'],
    [
      'with a member twice',
      () => sign(header, JSON.stringify(claims).replace('{', '{"sub":"eve",')),
      'user_token_invalid',
    ],
    ['whose payload is a list', () => sign(header, '[]'), 'user_token_invalid'],
    ['of another issuer', () => withClaims({ iss: `${issuer}/` }), 'user_token_issuer_unknown'],
    ['of no issuer', () => withClaims({ iss: undefined }), 'user_token_issuer_unknown'],
    ['of a list of issuers', () => withClaims({ iss: [issuer] }), 'user_token_issuer_unknown'],
    ['of the issuer __proto__', () => withClaims({ iss: '__proto__' }), 'user_token_issuer_unknown'],
    ['for another audience', () => withClaims({ aud: 'other' }), 'user_token_audience'],
    ['for no audience', () => withClaims({ aud: undefined }), 'user_token_audience'],
    ['for an empty list', () => withClaims({ aud: [] }), 'user_token_audience'],
    ['for others too', () => withClaims({ aud: [audience, 'other'] }), 'user_token_audience'],
    ['for the audience in a list in a list', () => withClaims({ aud: [[audience]] }), 'user_token_audience'],
    ['for the audience in other case', () => withClaims({ aud: 'Postern' }), 'user_token_audience'],
    ['that has expired', () => withClaims({ iat: seconds - 300, exp: seconds }), 'user_token_expired'],
    ['that never ends', () => withClaims({ exp: undefined }), 'user_token_invalid'],
    ['that ends at a text', () => withClaims({ exp: String(seconds + 300) }), 'user_token_invalid'],
    [
      'that ends beyond all numbers',
      () => sign(header, JSON.stringify(claims).replace(`${seconds + 300}`, '1e999')),
      'user_token_invalid',
    ],
    [
      'that was issued in the future',
      () => withClaims({ iat: seconds + 31, exp: seconds + 600 }),
      'user_token_not_yet_valid',
    ],
    ['that is not valid yet', () => withClaims({ nbf: seconds + 31 }), 'user_token_not_yet_valid'],
    ['that was issued too long ago', () => withClaims({ iat: seconds - 3600 }), 'user_token_expired'],
    ['that does not say when it was issued', () => withClaims({ iat: undefined }), 'user_token_invalid'],
    ['without a subject', () => withClaims({ sub: undefined }), 'user_token_invalid'],
    ['with an empty subject', () => withClaims({ sub: '' }), 'user_token_invalid'],
    ['with a subject of two lines', () => withClaims({ sub: 'ada\nroot' }), 'user_token_invalid'],
    ['with a subject that is written backwards', () => withClaims({ sub: 'ada\u202eroot' }), 'user_token_invalid'],
    ['with a number for a subject', () => withClaims({ sub: 7 }), 'user_token_invalid'],
  ])('%s', async (_, token, reason) => {
    expect(await verified(token())).toBe(reason)
  })
})

describe('one kind of token is never taken for another', () => {
  it.each<[string, () => string]>([
    ['an access token of before RFC 9068, by its scope', () => withClaims({ scope: 'openid' })],
    ['one by its client', () => withClaims({ client_id: 'planner' })],
    ['one that Keycloak made', () => withClaims({ typ: 'Bearer', azp: audience })],
    ['one that Cognito made', () => withClaims({ token_use: 'access' })],
    ['an ID token for another client, though for our audience too', () => withClaims({ azp: 'other' })],
    ['a logout token', () => sign({ ...header, typ: 'logout+jwt' }, claims)],
    ['a logout token without type', () => withClaims({ events: {} })],
    ['a DPoP proof', () => sign({ ...header, typ: 'dpop+jwt' }, claims)],
    ['a type that is none', () => sign({ ...header, typ: 'constructor' }, claims)],
    ['an ID token that calls itself an access token', () => sign(atJwt, claims)],
    ['an access token of a client for itself', () => sign(atJwt, { ...access, client_id: 'ada' })],
    ['an access token without jti', () => sign(atJwt, { ...access, jti: undefined })],
    ['an ID-JAG without client', () => sign({ ...header, typ: 'oauth-id-jag+jwt' }, { ...claims, jti: 'j' })],
    [
      'a Txn-Token without transaction',
      () => sign({ ...header, typ: 'txntoken+jwt' }, { ...claims, scope: 'a', req_wl: 'w' }),
    ],
  ])('%s', async (_, token) => {
    expect(await verified(token())).toBe('user_token_invalid')
  })

  it('and only those kinds are taken that the issuer is configured for', async () => {
    const strict = openUsers(settings({ tokens: ['id-token'] }), surroundings)
    expect(await verified(sign(atJwt, access), strict)).toBe('user_token_invalid')
    expect(await verified(sign(header, claims), strict)).toMatchObject({ id: 'acme:ada' })
    await strict.close()
  })
})

describe('a sound token', () => {
  it.each<[string, () => string, Json]>([
    ['an ID token', () => withClaims({ email: 'ada@acme.example' }), { kind: 'id-token' }],
    ['an ID token without type', () => sign({ alg: 'ES256', kid: 'k1' }, claims), { kind: 'id-token' }],
    ['an ID token for a list of one', () => withClaims({ aud: [audience], azp: audience }), { kind: 'id-token' }],
    ['an ID token signed with RSA', () => signJwt({ alg: 'RS256', kid: 'r1' }, claims, rsa.privateKey), {}],
    ['an access token', () => sign(atJwt, access), { kind: 'access-token' }],
    [
      'an access token, its type in full',
      () => sign({ ...header, typ: 'application/AT+JWT' }, access),
      { kind: 'access-token' },
    ],
    ['an ID-JAG', () => sign({ ...header, typ: 'oauth-id-jag+jwt' }, access), { kind: 'id-jag' }],
    [
      'a Txn-Token',
      () => sign({ ...header, typ: 'txntoken+jwt' }, { ...claims, txn: 't', scope: 'a', req_wl: 'w' }),
      { kind: 'txn-token' },
    ],
    ['of an issuer whose clock is ahead', () => withClaims({ iat: seconds + 30, nbf: seconds + 30 }), {}],
    ['that ends in a second', () => withClaims({ exp: seconds + 1 }), { expiresAt: now + 1_000 }],
  ])('names the user: %s', async (_, token, expected) => {
    expect(await verified(token())).toMatchObject({ id: 'acme:ada', issuer, claims: { sub: 'ada' }, ...expected })
  })

  it('names the user by the claim that is configured', async () => {
    const byEmail = openUsers(settings({ principal: 'email' }), surroundings)
    const token = (more: Json) => verified(withClaims({ email: 'ada@acme.example', ...more }), byEmail)
    expect(await token({})).toMatchObject({ id: 'acme:ada@acme.example' })
    expect(await token({ email_verified: true })).toMatchObject({ id: 'acme:ada@acme.example' })
    expect(await token({ email_verified: false })).toBe('user_token_invalid')
    expect(await token({ email_verified: 'false' })).toBe('user_token_invalid')
    expect(await token({ email: undefined })).toBe('user_token_invalid')
    await byEmail.close()
  })

  it('prints without itself', async () => {
    const token = sign(header, claims)
    const user = await verified(token)
    expect(JSON.stringify(user)).not.toContain(token)
    expect(inspect(user, { depth: 9, showHidden: true })).not.toContain(token)
  })

  it('of an authorization server that somebody else wrote', async () => {
    await using real = await startAuthorizationServer({
      clients: [{ id: 'desk', auth: { method: 'client_secret_basic', secret: 'secret-of-the-desk' } }],
      resources: { 'https://postern.acme.example/': { scopes: ['delegate'] } },
    })
    const refresh = await real.grantRefreshToken({
      client: 'desk',
      account: 'ada',
      resource: 'https://postern.acme.example/',
      scopes: ['delegate'],
    })
    const agent = new Agent({ connect: { ca: real.ca } })
    const { body } = await agent.request({
      origin: real.issuer,
      path: '/token',
      method: 'POST',
      headers: {
        'content-type': 'application/x-www-form-urlencoded',
        authorization: `Basic ${btoa('desk:secret-of-the-desk')}`,
      },
      body: new URLSearchParams({ grant_type: 'refresh_token', refresh_token: refresh }).toString(),
    })
    const { access_token: token } = (await body.json()) as { access_token: string }
    await agent.close()
    const theirs = openUsers(
      usersSchema.parse({
        issuers: [
          {
            issuer: real.issuer,
            audience: 'https://postern.acme.example/',
            tokens: ['access-token'],
            keys: { url: `${real.issuer}/jwks`, ca: [real.ca], addresses: ['127.0.0.1/32'] },
          },
        ],
      }),
      { ...surroundings, now: Date.now },
    )
    const user = await verifyUserToken(new Secret('user token', token), theirs.issuers, Date.now())
    expect(user).toMatchObject({ id: 'ada', issuer: real.issuer, kind: 'access-token' })
    await theirs.close()
  })
})

describe('the keys', () => {
  afterEach(() => {
    clock = now
    Object.assign(jwks, { keys: defaultKeys(), broken: false })
  })

  it('are rotated: the new one counts at once, the old one no longer', async () => {
    const rotating = openUsers(settings(), surroundings)
    expect(await verified(sign(header, claims), rotating)).toMatchObject({ id: 'acme:ada' })
    jwks.keys = [publicJwk(other, 'k2')]
    clock += pause
    expect(await verified(signJwt({ ...header, kid: 'k2' }, claims, other.privateKey), rotating)).toMatchObject({
      id: 'acme:ada',
    })
    expect(await verified(sign(header, claims), rotating)).toBe('user_token_signature')
    await rotating.close()
  })

  it('are asked for once, whoever invents names of keys', async () => {
    const asked = openUsers(settings(), surroundings)
    const before = jwks.asked
    for (let turn = 0; turn < 20; turn += 1) await verified(sign({ ...header, kid: `invented-${turn}` }, claims), asked)
    expect(jwks.asked - before).toBe(1)
    await asked.close()
  })

  it('are not asked for because of tokens of others, or of kinds that are not taken', async () => {
    const asked = openUsers(settings(), surroundings)
    const before = jwks.asked
    await verified(withClaims({ iss: 'https://evil.example' }), asked)
    await verified(sign({ ...header, typ: 'dpop+jwt' }, claims), asked)
    await verified(sign({ ...header, alg: 'HS256' }, claims), asked)
    expect(jwks.asked).toBe(before)
    await asked.close()
  })

  it('that cannot be had are told of', async () => {
    jwks.broken = true
    const broken = openUsers(settings(), surroundings)
    expect(await verified(sign(header, claims), broken)).toBe('user_token_keys_unavailable')
    expect(problems.at(-1)).toContain('answered 500')
    expect(await verified(withClaims({ iss: 'https://strict.example' }), broken)).toBe('user_token_keys_unavailable')
    await broken.close()
  })

  it('are not taken from a server that nobody vouches for, or at an address that was not named', async () => {
    const of = { url: `https://127.0.0.1:${server.port}/jwks`, addresses: ['127.0.0.1/32'] }
    for (const keys of [of, { ...of, ca: [server.ca], addresses: [] }]) {
      const unsure = openUsers(settings({ keys }), surroundings)
      expect(await verified(sign(header, claims), unsure)).toBe('user_token_keys_unavailable')
      await unsure.close()
    }
  })

  it('may stand in a file', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'postern-users-'))
    const file = join(folder, 'keys.json')
    await writeFile(file, JSON.stringify({ keys: defaultKeys() }))
    const local = openUsers(settings({ keys: { file } }), surroundings)
    expect(await verified(sign(header, claims), local)).toMatchObject({ id: 'acme:ada' })
    await local.close()
    await rm(folder, { recursive: true })
  })
})

it('whatever is presented is refused with a reason of its own, or names the user', async () => {
  const sound = sign(header, claims)
  const bent = fc
    .tuple(fc.nat(sound.length - 1), fc.constantFrom('A', '_', '.', '=', '\u0000', 'é'))
    .map(([at, by]) => sound.slice(0, at) + by + sound.slice(at + 1))
  const value = fc.oneof(fc.jsonValue(), fc.constantFrom(...Object.values(claims)))
  const anyClaims = fc.dictionary(fc.constantFrom('iss', 'sub', 'aud', 'iat', 'exp', 'nbf', 'azp', 'scope'), value)
  const signedAnew = anyClaims.map((more) => sign(header, { ...claims, ...more }))
  await fc.assert(
    fc.asyncProperty(fc.oneof(fc.string(), bent, signedAnew), async (token) => {
      const user = await verified(token)
      if (typeof user === 'string') expect(user).toMatch(/^user_token_/)
      else expect(user).toMatchObject({ issuer, claims: { aud: expect.anything() } })
    }),
    { numRuns: 300 },
  )
})

describe('the settings', () => {
  const keys = { file: 'keys.json' }
  it.each<[string, unknown, string]>([
    ['without issuers', { issuers: [] }, 'expected array to have >=1'],
    [
      'with an issuer twice',
      { issuers: ['a:', 'b:'].map((prefix) => ({ issuer, audience, keys, prefix })) },
      'another entry has this issuer',
    ],
    [
      'whose users could be taken for those of another',
      { issuers: ['', 'partner:'].map((prefix) => ({ issuer: `https://${prefix}a`, audience, keys, prefix })) },
      'need prefixes of which none begins another',
    ],
    ['without an audience', { issuers: [{ issuer, keys }] }, 'expected string'],
    ['with HMAC', { issuers: [{ issuer, audience, keys, algorithms: ['HS256'] }] }, 'expected one of'],
    ['with keys in clear', { issuers: [{ issuer, audience, keys: { url: 'http://login.example' } }] }, 'an HTTPS URL'],
    [
      'with keys from two places',
      { issuers: [{ issuer, audience, keys: { ...keys, url: 'https://a.b' } }] },
      'either url or file',
    ],
    [
      'with a kind that does not exist',
      { issuers: [{ issuer, audience, keys, tokens: ['refresh-token'] }] },
      'expected one of',
    ],
    ['with a key too many', { issuers: [{ issuer, audience, keys, leeway: '1h' }] }, 'Unrecognized key'],
  ])('%s are refused', (_, written, message) => {
    expect(usersSchema.safeParse(written).error?.message).toContain(message)
  })
})
