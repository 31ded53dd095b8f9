// The development authority: what it issues is verified by what it publishes, before and after a rotation.
import { createLocalJWKSet, jwtVerify } from 'jose'
import { describe, expect, test } from 'vitest'
import { EmbeddedAuthority } from '../../certs/embedded-authority.ts'
import { parseSpiffeId, parseTrustDomain } from '../../certs/spiffe-id.ts'
import { validateX509Svid } from '../../certs/svid/validate.ts'

const trustDomain = parseTrustDomain('acme.example')
const agent = parseSpiffeId('spiffe://acme.example/agent')
const start = Date.parse('2026-03-01T12:00:00Z')
const hour = 3_600_000

function setUp() {
  const clock = { at: start }
  const authority = new EmbeddedAuthority({ trustDomain, now: () => clock.at })
  const validate = (chain: readonly Uint8Array[], bundle = authority.bundle()) =>
    validateX509Svid({ chain, now: clock.at, bundleFor: (domain) => (domain === trustDomain ? bundle : undefined) })
  return { authority, clock, validate }
}

describe('EmbeddedAuthority', () => {
  test.each(['spiffe://other.example/agent', 'spiffe://acme.example'])('issues nothing for %s', async (text) => {
    const { authority } = setUp()
    const id = parseSpiffeId(text)
    expect(() => authority.issue(id)).toThrow('workloads of acme.example only')
    await expect(authority.issueJwt(id, ['api'])).rejects.toThrow('workloads of acme.example only')
  })

  test('the bundle of another authority of the same name verifies nothing', () => {
    const { authority, validate } = setUp()
    const { bundle } = { bundle: setUp().authority.bundle() }
    expect(() => validate(authority.issue(agent).chain, bundle)).toThrow('svid_bad_signature')
  })

  test('an SVID is valid for an hour and has a key of its own', () => {
    const { authority, validate, clock } = setUp()
    const svid = authority.issue(agent)
    expect(validate(svid.chain)).toMatchObject({ id: agent, expiresAt: start + hour })
    expect(svid.expiresAt).toBe(start + hour)
    expect(authority.issue(agent).key.equals(svid.key)).toBe(false)
    clock.at += hour + 1
    expect(() => validate(svid.chain)).toThrow('svid_expired')
  })

  test('after a rotation old and new SVIDs are both valid, and the old bundle verifies the old ones only', () => {
    const { authority, validate } = setUp()
    const oldBundle = authority.bundle()
    const old = authority.issue(agent)
    authority.rotate()
    const fresh = authority.issue(agent)
    expect(validate(old.chain).id).toBe(agent)
    expect(validate(fresh.chain).id).toBe(agent)
    expect(validate(old.chain, oldBundle).id).toBe(agent)
    expect(() => validate(fresh.chain, oldBundle)).toThrow('svid_bad_signature')
  })

  test('a JWT-SVID says who, for whom and until when, and the published keys verify it across a rotation', async () => {
    const { authority, clock } = setUp()
    const token = await authority.issueJwt(agent, ['https://api.example', 'second'])
    authority.rotate()
    const { payload, protectedHeader } = await jwtVerify(token, createLocalJWKSet(authority.jwks()), {
      audience: 'second',
      currentDate: new Date(clock.at),
    })
    expect(payload).toEqual({
      sub: agent,
      aud: ['https://api.example', 'second'],
      iat: start / 1000,
      exp: start / 1000 + 300,
    })
    expect(protectedHeader).toMatchObject({ alg: 'ES256', typ: 'JWT' })
    expect(JSON.stringify(authority.jwks())).not.toContain('"d"')
  })

  test('tells of rotations', async () => {
    const { authority } = setUp()
    const next = authority.updates(new AbortController().signal)[Symbol.asyncIterator]().next()
    authority.rotate()
    expect((await next).done).toBe(false)
  })
})
