// JWT-SVIDs bent one way at a time, each refused with its reason; sound ones of every algorithm accepted.
import fc from 'fast-check'
import type { JWK } from 'jose'
import { exportJWK, generateKeyPair, SignJWT } from 'jose'
import { describe, expect, it } from 'vitest'
import { EmbeddedAuthority } from '../../../certs/embedded-authority.ts'
import { leeway } from '../../../certs/jwt-svid/claims.ts'
import { JwtSvidError } from '../../../certs/jwt-svid/error.ts'
import { validateJwtSvid } from '../../../certs/jwt-svid/validate.ts'
import type { TrustBundle } from '../../../certs/source.ts'
import { parseSpiffeId, parseTrustDomain } from '../../../certs/spiffe-id.ts'
import { type Json, publicJwk, signJwt } from '../../support/jwt.ts'
import { makeKey } from '../../support/pki.ts'

const acme = parseTrustDomain('acme.example')
const agent = 'spiffe://acme.example/agent'
const audience = 'spiffe://acme.example/egress'
const now = 1_800_000_000_000
const seconds = now / 1000
const key = makeKey('p256')
const authorities = [publicJwk(key, 'k1', { use: 'jwt-svid' })]
const header = { alg: 'ES256', kid: 'k1', typ: 'JWT' }
const claims = { sub: agent, aud: [audience], exp: seconds + 300, iat: seconds }

function bundleOf(jwtAuthorities: readonly JWK[] | undefined): TrustBundle {
  return { trustDomain: acme, x509Authorities: [], ...(jwtAuthorities === undefined ? {} : { jwtAuthorities }) }
}

interface Bent {
  readonly bundle?: TrustBundle | undefined
  readonly at?: number
}

/** The ID, or the reason. */
async function outcome(token: string, { bundle = bundleOf(authorities), at = now }: Bent = {}): Promise<string> {
  try {
    const bundleFor = (domain: string) => (domain === acme ? bundle : undefined)
    return (await validateJwtSvid({ token, audience, bundleFor, now: at })).id
  } catch (error) {
    if (error instanceof JwtSvidError) return error.code
    throw error
  }
}

const signed = (head: Json | string, body: Json | string) => signJwt(head, body, key.privateKey)
const withHeader = (more: Json) => signed({ ...header, ...more }, claims)
const withClaims = (more: Json) => signed(header, { ...claims, ...more })
const sound = signed(header, claims)

describe('a bent JWT-SVID is refused', () => {
  const [head = '', body = '', signature = ''] = sound.split('.')
  const flattened = { protected: head, payload: body, signature }
  it.each<[string, string, string]>([
    ['as no token at all', '', 'jwt_svid_malformed'],
    ['beyond the size that is read', `${sound}${'A'.repeat(16_384)}`, 'jwt_svid_too_long'],
    ['in the flattened JSON serialisation', JSON.stringify(flattened), 'jwt_svid_malformed'],
    ['with two parts', `${head}.${body}`, 'jwt_svid_malformed'],
    ['with an empty signature', `${head}.${body}.`, 'jwt_svid_malformed'],
    ['with five parts, as if encrypted', `${sound}.a.b`, 'jwt_svid_malformed'],
    ['with padding', `${sound}==`, 'jwt_svid_malformed'],
    ['with a line end', `${sound}\n`, 'jwt_svid_malformed'],
    ['with the other alphabet', `${head}.${body}.+/${signature.slice(2)}`, 'jwt_svid_malformed'],
    ['with a header that is not JSON', signed('{', claims), 'jwt_svid_malformed'],
    ['with a header that is a list', signed('["ES256"]', claims), 'jwt_svid_malformed'],
    ['with a payload that is not JSON', signed(header, 'hello'), 'jwt_svid_malformed'],
    ['with a payload that is null', signed(header, 'null'), 'jwt_svid_malformed'],
    ['with alg none', withHeader({ alg: 'none' }), 'jwt_svid_algorithm'],
    ['with HMAC', withHeader({ alg: 'HS256' }), 'jwt_svid_algorithm'],
    ['with EdDSA', withHeader({ alg: 'EdDSA' }), 'jwt_svid_algorithm'],
    ['with ES256K', withHeader({ alg: 'ES256K' }), 'jwt_svid_algorithm'],
    ['with the algorithm in other letters', withHeader({ alg: 'es256' }), 'jwt_svid_algorithm'],
    ['without an algorithm', signed({ kid: 'k1' }, claims), 'jwt_svid_algorithm'],
    ['of the type at+jwt', withHeader({ typ: 'at+jwt' }), 'jwt_svid_type'],
    ['of the type jwt in small letters', withHeader({ typ: 'jwt' }), 'jwt_svid_type'],
    ['of the type null', withHeader({ typ: null }), 'jwt_svid_type'],
    ['that brings a key along', withHeader({ jwk: publicJwk(key, 'k1') }), 'jwt_svid_header'],
    ['that says where a key is', withHeader({ jku: 'https://evil.example/keys' }), 'jwt_svid_header'],
    ['with critical parameters', withHeader({ crit: ['b64'], b64: false }), 'jwt_svid_header'],
    ['without a key ID', signed({ alg: 'ES256' }, claims), 'jwt_svid_no_key_id'],
    ['with an empty key ID', withHeader({ kid: '' }), 'jwt_svid_no_key_id'],
    ['with a number as key ID', withHeader({ kid: 1 }), 'jwt_svid_no_key_id'],
    ['without a subject', withClaims({ sub: undefined }), 'jwt_svid_no_subject'],
    ['with an empty subject', withClaims({ sub: '' }), 'jwt_svid_no_subject'],
    ['with a list as subject', withClaims({ sub: [agent] }), 'jwt_svid_malformed'],
    ['with a subject that is a URL', withClaims({ sub: 'https://acme.example/agent' }), 'jwt_svid_bad_id'],
    ['with a capital trust domain', withClaims({ sub: 'spiffe://ACME.example/agent' }), 'jwt_svid_bad_id'],
    ['with dots in the path', withClaims({ sub: 'spiffe://acme.example/a/../agent' }), 'jwt_svid_bad_id'],
    ['with the trust domain as subject', withClaims({ sub: 'spiffe://acme.example' }), 'jwt_svid_no_path'],
    ['without an audience', withClaims({ aud: undefined }), 'jwt_svid_no_audience'],
    ['with no audience in the list', withClaims({ aud: [] }), 'jwt_svid_no_audience'],
    ['with a number among the audiences', withClaims({ aud: [audience, 7] }), 'jwt_svid_malformed'],
    ['for somebody else', withClaims({ aud: ['spiffe://acme.example/crm'] }), 'jwt_svid_wrong_audience'],
    ['for ours with a slash more', withClaims({ aud: `${audience}/` }), 'jwt_svid_wrong_audience'],
    ['without an expiry', withClaims({ exp: undefined }), 'jwt_svid_no_expiry'],
    ['with text as expiry', withClaims({ exp: `${seconds + 300}` }), 'jwt_svid_malformed'],
    [
      'with an expiry beyond numbers',
      signed(header, `{"sub":"${agent}","aud":"${audience}","exp":1e999}`),
      'jwt_svid_malformed',
    ],
    ['that has expired', withClaims({ exp: seconds - leeway / 1000 - 1 }), 'jwt_svid_expired'],
    ['that begins later', withClaims({ nbf: seconds + leeway / 1000 + 1 }), 'jwt_svid_not_yet_valid'],
    ['that was issued later', withClaims({ iat: seconds + leeway / 1000 + 1 }), 'jwt_svid_not_yet_valid'],
    ['of another trust domain', withClaims({ sub: 'spiffe://other.example/agent' }), 'jwt_svid_untrusted_domain'],
    ['of a key that the bundle has not', withHeader({ kid: 'k2' }), 'jwt_svid_unknown_key'],
    ['with a key of another curve', withHeader({ alg: 'ES384' }), 'jwt_svid_bad_signature'],
    ['with a key of another kind', withHeader({ alg: 'RS256' }), 'jwt_svid_bad_signature'],
    [
      'of somebody with a key of his own',
      signJwt(header, claims, makeKey('p256').privateKey),
      'jwt_svid_bad_signature',
    ],
    [
      'with a signature of zeros',
      `${head}.${body}.${Buffer.alloc(64).toString('base64url')}`,
      'jwt_svid_bad_signature',
    ],
    [
      'with a payload of another token',
      `${head}.${withClaims({ jti: 'x' }).split('.')[1]}.${signature}`,
      'jwt_svid_bad_signature',
    ],
  ])('%s', async (_, token, reason) => {
    expect(await outcome(token)).toBe(reason)
  })

  it('whatever a bundle says that has no JWT keys, none at all, or none to verify with', async () => {
    const rsa = publicJwk(makeKey('rsa2048'), 'k1')
    const [good = rsa] = authorities
    const of = (...keys: readonly JWK[]) => outcome(sound, { bundle: bundleOf(keys) })
    expect(await outcome(sound, { bundle: bundleOf(undefined) })).toBe('jwt_svid_untrusted_domain')
    expect(await of()).toBe('jwt_svid_unknown_key')
    expect(await of(good, rsa)).toBe('jwt_svid_unknown_key')
    expect(await of({ ...good, use: 'x509-svid' })).toBe('jwt_svid_unknown_key')
    expect(await of({ kty: 'oct', kid: 'k1', k: 'AAAA' })).toBe('jwt_svid_unknown_key')
    expect(await of({ kty: 'EC', kid: 'k1' })).toBe('jwt_svid_unknown_key')
    expect(await of({ ...good, x: 'AAAA' })).toBe('jwt_svid_bad_signature')
    expect(await of({ ...good, alg: 'ES384' })).toBe('jwt_svid_bad_signature')
    expect(await of(publicJwk(makeKey('rsa1024'), 'k1'))).toBe('jwt_svid_weak_key')
    expect(await of({ ...rsa, e: 'AQ' })).toBe('jwt_svid_weak_key')
    expect(await of({ ...rsa, e: '' })).toBe('jwt_svid_weak_key')
  })

  it('whatever is written, with a reason and no other error', async () => {
    const text = fc.oneof(
      fc.string({ unit: 'binary' }),
      fc
        .tuple(fc.json(), fc.json(), fc.base64String())
        .map((parts) => parts.map((part) => Buffer.from(part).toString('base64url')).join('.')),
      fc
        .record(
          { sub: fc.anything(), aud: fc.anything(), exp: fc.anything(), nbf: fc.anything(), iat: fc.anything() },
          { requiredKeys: [] },
        )
        .map((body) => signed(header, json(body))),
      fc
        .record({ alg: fc.anything(), kid: fc.anything(), typ: fc.anything(), x: fc.anything() }, { requiredKeys: [] })
        .map((head) => signed(json(head), claims)),
      fc
        .nat(sound.length - 1)
        .chain((at) =>
          fc.string({ minLength: 1, maxLength: 2 }).map((put) => sound.slice(0, at) + put + sound.slice(at + 1)),
        ),
    )
    await fc.assert(
      fc.asyncProperty(text, async (token) => {
        const result = await outcome(token)
        if (result !== agent) expect(result).toMatch(/^jwt_svid_/)
        else expect(JSON.parse(Buffer.from(token.split('.')[1] ?? '', 'base64url').toString()).sub).toBe(agent)
      }),
      { numRuns: 400 },
    )
  })
})

/** JSON of anything, big numbers and circles left out. */
function json(value: unknown): string {
  try {
    return JSON.stringify(value, (_, each) => (typeof each === 'bigint' ? each.toString() : each)) ?? 'null'
  } catch {
    return 'null'
  }
}

describe('a sound JWT-SVID', () => {
  it.each(['RS256', 'RS384', 'RS512', 'ES256', 'ES384', 'ES512', 'PS256', 'PS384', 'PS512'])(
    'is accepted with %s',
    async (alg) => {
      const pair = await generateKeyPair(alg, { extractable: true })
      const bundle = bundleOf([{ ...(await exportJWK(pair.publicKey)), kid: 'k1', use: 'jwt-svid' }])
      const token = await new SignJWT(claims).setProtectedHeader({ alg, kid: 'k1' }).sign(pair.privateKey)
      expect(await outcome(token, { bundle })).toBe(agent)
    },
  )

  it.each<[string, string]>([
    ['without a type', signed({ alg: 'ES256', kid: 'k1' }, claims)],
    ['of the type JOSE', withHeader({ typ: 'JOSE' })],
    ['with the audience as text', withClaims({ aud: audience })],
    ['with ours among several audiences', withClaims({ aud: ['x', audience] })],
    ['with claims of its own', withClaims({ jti: 'x', scope: 'y' })],
    ['within the leeway after its end', withClaims({ exp: seconds - leeway / 1000 })],
    ['within the leeway before its beginning', withClaims({ nbf: seconds + leeway / 1000 })],
  ])('is accepted %s', async (_, token) => {
    expect(await outcome(token)).toBe(agent)
  })

  it('says until when it is accepted', async () => {
    const bundleFor = () => bundleOf(authorities)
    expect(await validateJwtSvid({ token: sound, audience, bundleFor, now })).toEqual({
      id: agent,
      expiresAt: now + 300_000 + leeway,
    })
  })

  it('of the embedded authority is accepted, also after a rotation, and not with the bundle of before', async () => {
    const authority = new EmbeddedAuthority({ trustDomain: acme, now: () => now })
    const before = authority.bundle()
    const old = await authority.issueJwt(parseSpiffeId(agent), [audience])
    authority.rotate()
    const fresh = await authority.issueJwt(parseSpiffeId(agent), [audience])
    const bundle = authority.bundle()
    expect([await outcome(old, { bundle }), await outcome(fresh, { bundle })]).toEqual([agent, agent])
    expect(await outcome(fresh, { bundle: before })).toBe('jwt_svid_unknown_key')
  })
})
