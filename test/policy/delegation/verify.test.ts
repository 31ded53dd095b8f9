// Chains that must be refused, by step; and those that must not. Most of them are signed as they should be.
import { createHmac } from 'node:crypto'
import { describe, expect, it } from 'vitest'
import { canonical } from '../../../policy/delegation/canonical.ts'
import type { ChainReason } from '../../../policy/delegation/error.ts'
import { DelegationKey, issuerOf, pinnedRoots } from '../../../policy/delegation/keys.ts'
import { verifyChain } from '../../../policy/delegation/verify.ts'
import {
  agentAt,
  agents,
  expectRefused,
  type Forgery,
  forge,
  now,
  refusal,
  root,
  rootPublicKey,
  roots,
  seconds,
  verified,
} from './support.ts'

const honest: Forgery = {}
const eight = Array.from({ length: 8 }, () => honest)
/** A member more, in its right place: `zz` sorts last. */
const appended = (text: string) => (payload: object) => `${canonical({ ...payload }).slice(0, -1)},${text}}`
const withJwk = (change: Record<string, string>) => ({
  cnf: { jwk: { kty: 'OKP', crv: 'Ed25519', alg: 'Ed25519', x: agentAt(1).key.public.x, ...change } },
})
const small = 'AQAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA'

describe('step 1: the form', () => {
  it('takes eight tokens, and not nine', () => {
    expect(verified(forge(...eight)).depth).toBe(7)
    expectRefused(forge(...eight, honest), 'chain_malformed')
  })

  it('takes neither tokens of 64 KiB and more, nor chains of 256 KiB and more', () => {
    expectRefused(forge(honest, { payload: { txn: 'x'.repeat(64 * 1024) } }), 'chain_malformed', 1)
    expectRefused('a'.repeat(256 * 1024 + 1), 'chain_malformed')
    expectRefused('~'.repeat(100_000), 'chain_malformed')
  })

  const chain = forge(honest, honest)
  const [first = '', second = ''] = chain.split('~')
  const [header = '', payload = '', signature = ''] = second.split('.')
  it.each([
    ['nothing', ''],
    ['an empty token', `${first}~`],
    ['an empty token first', `~${first}`],
    ['two parts', `${first}~${header}.${payload}`],
    ['four parts', `${chain}.${signature}`],
    ['padding', `${first}~${header}.${payload}.${signature}==`],
    ['the other base64 alphabet', `${first}~${header}.${payload}.+${signature.slice(1)}`],
    ['a space', `${first}~ ${second}`],
    ['a newline', `${chain}\n`],
    ['a part that is no JSON', `${first}~${header}.bm90IGpzb24.${signature}`],
    ['a part that is no object', `${first}~${header}.W10.${signature}`],
    ['a part that is not UTF-8', `${first}~${header}.${Buffer.from('{"a":"\xff"}', 'latin1').toString('base64url')}.`],
    ['characters beyond ASCII', `${first}~${header}.${payload}.é${signature.slice(1)}`],
  ])('refuses %s', (_, text) => expectRefused(text, 'chain_malformed'))

  it('takes only one spelling of a signature, whose last character has bits to spare', () => {
    const alphabet = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_'
    const last = alphabet[alphabet.indexOf(signature.at(-1) ?? '') ^ 1]
    expectRefused(`${chain.slice(0, -1)}${last}`, 'chain_malformed', 1)
  })

  it.each<[string, ChainReason, Forgery]>([
    ['a member twice', 'chain_duplicate_member', { bytes: appended('"txn":"txn-1"') }],
    ['a member twice, once escaped', 'chain_duplicate_member', { bytes: appended('"\\u0074xn":"txn-1"') }],
    ['__proto__ twice', 'chain_duplicate_member', { bytes: appended('"__proto__":1,"__proto__":1') }],
    ['a scope list twice in the detail', 'chain_duplicate_member', { bytes: appended('"zz":{"a":1,"a":1}') }],
    ['NaN', 'chain_non_finite', { bytes: appended('"zz":NaN') }],
    ['Infinity', 'chain_non_finite', { bytes: appended('"zz":Infinity') }],
    ['-Infinity', 'chain_non_finite', { bytes: appended('"zz":-Infinity') }],
    ['1e999', 'chain_non_finite', { bytes: appended('"zz":1e999') }],
    ['2^53', 'chain_malformed', { bytes: appended('"zz":9007199254740992') }],
    ['-2^53', 'chain_malformed', { bytes: appended('"zz":-9007199254740992') }],
    ['a lone surrogate, escaped', 'chain_malformed', { bytes: appended('"zz":"\\ud800"') }],
    ['a lone surrogate, as bytes', 'chain_malformed', { bytes: () => Buffer.from('{"a":"\xed\xa0\x80"}', 'latin1') }],
    ['a byte order mark', 'chain_malformed', { bytes: (object) => `\ufeff${canonical(object)}` }],
    ['a hundred levels', 'chain_malformed', { bytes: () => '['.repeat(100) + ']'.repeat(100) }],
    ['a space', 'chain_non_canonical', { bytes: (object) => canonical(object).replace(':', ': ') }],
    ['members in another order', 'chain_non_canonical', { bytes: (object) => JSON.stringify(object) }],
    [
      '1.0 for 1',
      'chain_non_canonical',
      { bytes: (object) => canonical(object).replace('"del_depth":1', '"del_depth":1.0') },
    ],
    [
      '1e0 for 1',
      'chain_non_canonical',
      { bytes: (object) => canonical(object).replace('"del_depth":1', '"del_depth":1e0') },
    ],
    [
      'a needless escape',
      'chain_non_canonical',
      { bytes: (object) => canonical(object).replace('"txn-1"', '"\\u0074xn-1"') },
    ],
    ['an escaped slash', 'chain_non_canonical', { bytes: (object) => canonical(object).replaceAll('/', '\\/') }],
    ['a header in another order', 'chain_non_canonical', { headerBytes: () => '{"typ":"at+jwt","alg":"Ed25519"}' }],
    ['a member of the payload that is not known', 'chain_malformed', { payload: { scope: 'admin' } }],
    ['a member of the header that is not known', 'chain_malformed', { header: { jwk: {} } }],
    ['crit', 'chain_malformed', { header: { crit: ['exp'] } }],
    ['a key named by a child', 'chain_malformed', { header: { kid: 'root-1' } }],
    ['another type', 'chain_malformed', { header: { typ: 'JWT' } }],
    ['an algorithm that is no text', 'chain_malformed', { header: { alg: 1 } }],
    ['a private key', 'chain_malformed', { payload: withJwk({ d: small }) }],
    ['a key of another curve', 'chain_malformed', { payload: withJwk({ crv: 'X25519' }) }],
    ['a symmetric key', 'chain_malformed', { payload: { cnf: { jwk: { kty: 'oct', k: small } } } }],
    ['a key for another algorithm', 'chain_malformed', { payload: withJwk({ alg: 'EdDSA' }) }],
    ['a key of 31 bytes', 'chain_malformed', { payload: withJwk({ x: small.slice(0, -1) }) }],
    ['an agent that is no SPIFFE ID', 'chain_malformed', { payload: { client_id: 'researcher' } }],
    ['an agent in upper case', 'chain_malformed', { payload: { client_id: 'SPIFFE://acme.example/a' } }],
    ['a trust domain for an agent', 'chain_malformed', { payload: { client_id: 'spiffe://acme.example' } }],
    ['a negative depth', 'chain_malformed', { payload: { del_depth: -1 } }],
    ['a time that is no whole number', 'chain_malformed', { payload: { iat: seconds + 0.5 } }],
    ['a longest chain of 9', 'chain_malformed', { payload: { del_max_depth: 9 } }],
    ['a longest chain of 0', 'chain_malformed', { payload: { del_max_depth: 0 } }],
    ['no scope', 'chain_malformed', { scopes: [] }],
    [
      'a status with more than a list',
      'chain_malformed',
      { payload: { status: { status_list: { idx: 0, uri: 'x' }, a: 1 } } },
    ],
  ])('refuses %s', (_, reason, forgery) => expectRefused(forge(honest, forgery), reason, 1))

  it('refuses a jti that comes twice', () =>
    expectRefused(forge(honest, honest, { payload: { jti: 'jti-0' } }), 'chain_malformed', 2))

  it('refuses a root that does not say how long the chain may become, or by which key it is signed', () => {
    expectRefused(forge({ payload: { del_max_depth: undefined } }), 'chain_malformed', 0)
    expectRefused(forge({ header: { kid: undefined } }), 'chain_malformed', 0)
  })
})

describe('step 2: the signatures', () => {
  const raw = rootPublicKey.export({ format: 'jwk' }).x ?? ''
  const hmac = (key: Buffer | string) => (input: string) => createHmac('sha256', key).update(input).digest()
  const pem = rootPublicKey.export({ type: 'spki', format: 'pem' }).toString()

  it.each<[string, Forgery]>([
    ['no algorithm and no signature', { header: { alg: 'none' }, sign: () => Buffer.alloc(0) }],
    ['no algorithm and a good signature', { header: { alg: 'none' } }],
    ['the algorithm in another case', { header: { alg: 'ed25519' } }],
    ['EdDSA, which the same key verifies', { header: { alg: 'EdDSA' } }],
    ['HS256 with the public key, raw', { header: { alg: 'HS256' }, sign: hmac(Buffer.from(raw, 'base64url')) }],
    ['HS256 with the public key, in PEM', { header: { alg: 'HS256' }, sign: hmac(pem) }],
    ['a MAC called Ed25519', { sign: hmac(Buffer.from(raw, 'base64url')) }],
    ['an empty signature', { sign: () => Buffer.alloc(0) }],
    ['a signature of zeros', { sign: () => Buffer.alloc(64) }],
    ['a signature by somebody else', { signer: DelegationKey.generate() }],
  ])('refuse %s, at the root and below', (_, forgery) => {
    expectRefused(forge(forgery, honest), 'chain_signature_invalid', 0)
    if (forgery.header?.alg !== 'none') expectRefused(forge(honest, forgery), 'chain_signature_invalid', 1)
  })

  it('refuse a root that is not pinned, or a key that is not', () => {
    expectRefused(forge({ payload: { iss: 'https://elsewhere.example' } }), 'chain_signature_invalid', 0)
    expectRefused(forge({ header: { kid: 'root-2' } }), 'chain_signature_invalid', 0)
    expect(refusal(() => verifyChain(forge(honest), pinnedRoots([]), now)).reason).toBe('chain_signature_invalid')
  })

  it('refuse a child signed by the grandparent, whoever it names as its issuer', () => {
    const [grandparent, parent] = [agentAt(0).key, agentAt(1).key]
    const named = { payload: { iss: issuerOf(grandparent.public) }, signer: grandparent }
    expectRefused(forge(honest, honest, named), 'chain_signature_invalid', 2)
    expectRefused(forge(honest, honest, { signer: grandparent }), 'chain_signature_invalid', 2)
    expectRefused(forge(honest, honest, { ...named, signer: parent }), 'chain_signature_invalid', 2)
  })

  it('refuse a child that the root signed, or that signed itself', () => {
    expectRefused(forge(honest, { signer: root.key }), 'chain_signature_invalid', 1)
    expectRefused(forge(honest, { signer: agentAt(1).key }), 'chain_signature_invalid', 1)
  })

  it('refuse to root a chain in a token that is none', () => {
    const [, second = ''] = forge(honest, honest).split('~')
    expectRefused(second, 'chain_malformed', 0)
  })

  it('pin roots to keys of the one algorithm', () => {
    const mac = { issuer: 'a', keyId: 'b', key: rootPublicKey }
    expect(() => pinnedRoots([mac])).not.toThrow()
    expect(() => new DelegationKey(rootPublicKey)).toThrow()
  })
})

describe('step 3: the order', () => {
  it.each<[string, Forgery]>([
    ['no parent', { payload: { par_hash: undefined } }],
    ['another parent', { payload: { par_hash: 'A'.repeat(43) } }],
    ['a hash that is too short', { payload: { par_hash: 'AAAA' } }],
  ])('refuses a child that names %s', (_, forgery) =>
    expectRefused(forge(honest, forgery), 'chain_par_hash_mismatch', 1),
  )

  it('refuses a root that names a parent', () =>
    expectRefused(forge({ payload: { par_hash: 'A'.repeat(43) } }), 'chain_par_hash_mismatch', 0))

  it('refuses a child put behind another token of the same agent', () => {
    const [first, , third] = forge(honest, honest, honest).split('~')
    const [, reissued] = forge(honest, { payload: { jti: 'jti-1b' } }).split('~')
    expectRefused([first, reissued, third].join('~'), 'chain_par_hash_mismatch', 2)
  })

  it('refuses two chains in one', () => {
    const other = forge({ payload: { jti: 'jti-0b', client_id: agentAt(5).id } })
    expectRefused(`${forge(honest)}~${other}`, 'chain_malformed', 1)
  })
})

describe('step 4: the length', () => {
  it.each<[string, number, Forgery[]]>([
    ['a depth that is not its place', 1, [honest, { payload: { del_depth: 2 } }]],
    ['a root that is no beginning', 0, [{ payload: { del_depth: 1 } }]],
    ['one token more than the root allows', 2, [{ payload: { del_max_depth: 2 } }, honest, honest]],
    ['one token more than a child allows', 2, [honest, { payload: { del_max_depth: 2 } }, honest]],
    ['a child where the root allows none', 1, [{ payload: { del_max_depth: 1 } }, honest]],
    ['a child that raises it', 1, [{ payload: { del_max_depth: 3 } }, { payload: { del_max_depth: 4 } }]],
    [
      'a grandchild that raises what the child lowered',
      2,
      [honest, { payload: { del_max_depth: 3 } }, { payload: { del_max_depth: 4 } }],
    ],
  ])('refuses %s', (_, hop, forgeries) => expectRefused(forge(...forgeries), 'chain_depth_invalid', hop))
})

describe('step 5: the principal', () => {
  it('refuses another principal or transaction', () => {
    expectRefused(forge(honest, { payload: { sub: 'https://idp.example#other' } }), 'chain_principal_altered', 1)
    expectRefused(forge(honest, honest, { payload: { txn: 'txn-2' } }), 'chain_principal_altered', 2)
  })

  it('refuses a loop, long or short', () => {
    expectRefused(forge(honest, { payload: { client_id: agentAt(0).id } }), 'chain_loop', 1)
    expectRefused(forge(honest, honest, honest, { payload: { client_id: agentAt(1).id } }), 'chain_loop', 3)
  })
})

describe('step 6: authority', () => {
  it('refuses a scope that is wider at hop 3 of 5, though the leaf is narrow again', () => {
    const narrow: Forgery = { scopes: ['http.github.repos.read'] }
    expectRefused(forge(honest, honest, narrow, honest, narrow), 'chain_not_narrower', 3)
  })

  const path = (prefix: string): Forgery => ({ constraints: [{ key: 'path', prefix }] })
  it.each([
    ['/repos/acme', '/repos/acmeevil'],
    ['/repos/acme/', '/repos/acmeevil/'],
    ['/repos/acme/', '/repos/acme'],
    ['/repos/acme', '/repos/Acme/x'],
    ['/repos/acme', '/repos'],
    ['/repos/acme', '/'],
  ])('refuses below the prefix %s: %s', (held, own) =>
    expectRefused(forge(path(held), path(own)), 'chain_not_narrower', 1),
  )

  it.each([
    ['/repos/acme', '/repos/acme'],
    ['/repos/acme', '/repos/acme/'],
    ['/repos/acme', '/repos/acme/x'],
    ['/repos/acme/', '/repos/acme/x/y'],
    ['/', '/repos'],
  ])('takes below the prefix %s: %s', (held, own) => expect(verified(forge(path(held), path(own))).depth).toBe(1))

  it.each(['/repos/../acme', '/repos/%2e%2e/acme', '/repos/%61cme', 'repos', '', '/a?b', '/a#b', '/a%zz', '/a\\b'])(
    'refuses a prefix that is not in its normal form: %s',
    (prefix) => expectRefused(forge(path(prefix)), 'chain_malformed', 0),
  )

  it('refuses a bound that is dropped', () => expectRefused(forge(path('/repos'), honest), 'chain_not_narrower', 1))
})

describe('step 7: the time', () => {
  it.each<[string, number, Forgery[]]>([
    ['issued in the future', 1, [honest, { payload: { iat: seconds + 31, nbf: seconds } }]],
    ['not valid yet', 1, [honest, { payload: { nbf: seconds + 31 } }]],
    ['expired', 1, [honest, { payload: { exp: seconds - 1 } }]],
    ['a parent that has expired, of a child that claims to live', 0, [{ payload: { exp: seconds - 1 } }, honest]],
    ['a child that outlives its parent', 1, [honest, { payload: { exp: seconds + 601 } }]],
    ['a child that is older than its parent', 1, [honest, { payload: { iat: seconds - 1 } }]],
  ])('refuses: %s', (_, hop, forgeries) => expectRefused(forge(...forgeries), 'chain_expired', hop))

  it('lets the clock of an issuer be 30 seconds ahead, and stretches no expiry', () => {
    expect(verified(forge({ payload: { iat: seconds + 30, nbf: seconds + 30 } })).validFrom).toBe(now)
    const chain = forge(honest)
    expect(verifyChain(chain, roots, now + 600_000).expiresAt).toBe(now + 600_000)
    expect(refusal(() => verifyChain(chain, roots, now + 600_001)).reason).toBe('chain_expired')
  })
})

describe('the order of the steps', () => {
  const cases: readonly (readonly [ChainReason, Forgery])[] = [
    ['chain_malformed', { scopes: [] }],
    ['chain_signature_invalid', { sign: () => Buffer.alloc(64) }],
    ['chain_par_hash_mismatch', { payload: { par_hash: 'AAAA' } }],
    ['chain_depth_invalid', { payload: { del_depth: 5 } }],
    ['chain_principal_altered', { payload: { sub: 'other' } }],
    ['chain_not_narrower', { scopes: ['mail.send'] }],
    ['chain_expired', { payload: { exp: 1 } }],
  ]
  const pairs = cases.flatMap(([reason, one], index) =>
    cases.slice(index + 1).map(([later, other]) => [reason, later, one, other] as const),
  )

  it.each(pairs)('%s at a later hop is told before %s at an earlier one', (reason, _, one, other) =>
    expectRefused(forge(honest, other, one), reason, 2),
  )
})

describe('a good chain', () => {
  it('says all that the next steps ask', () => {
    const chain = verified(forge(honest, { scopes: ['http.github.repos.read'], payload: { del_max_depth: 3 } }))
    expect(chain).toMatchObject({
      principal: { kind: 'user', id: 'https://idp.example#user-8821' },
      txn: 'txn-1',
      depth: 1,
      maxDepth: 3,
      root: { issuer: root.issuer, keyId: root.keyId },
      validFrom: now - 30_000,
      expiresAt: now + 600_000,
    })
    expect(chain.hops.map(({ id, jti, scopes }) => ({ id, jti, scopes }))).toEqual([
      { id: agents[0]?.id, jti: 'jti-0', scopes: ['http.github.*'] },
      { id: agents[1]?.id, jti: 'jti-1', scopes: ['http.github.repos.read'] },
    ])
    expect(chain.leaf).toBe(chain.hops[1])
  })
})
