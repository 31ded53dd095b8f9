// X509-SVID validation: every hostile certificate gets its own reason, every sound one its identity.
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { pemBlocks } from '../../../certs/pem.ts'
import type { TrustBundle } from '../../../certs/source.ts'
import { parseTrustDomain } from '../../../certs/spiffe-id.ts'
import { SvidError } from '../../../certs/svid/error.ts'
import { type ValidSvid, validateX509Svid } from '../../../certs/svid/validate.ts'
import { bitString, sequence } from '../../../certs/x509/der-writer.ts'
import { extendedKeyUsage, extension, name, subjectAltName } from '../../../certs/x509/issue.ts'
import { oids } from '../../../certs/x509/oids.ts'
import { generalName, hostileSvids, kinds, nameConstraints } from '../../support/hostile-svids.ts'
import {
  type Authority,
  type AuthorityShape,
  type Bent,
  makeAuthority,
  makeBundle,
  makeKey,
  makeSvid,
} from '../../support/pki.ts'
import { makeRevocationList } from '../../support/revocation-list.ts'
import { vectors } from '../../support/vectors.ts'

const agent = 'spiffe://acme.example/agent'

function validate(chain: readonly Uint8Array[], bundles: readonly TrustBundle[], now = Date.now()): ValidSvid {
  const byDomain = new Map(bundles.map((bundle) => [bundle.trustDomain, bundle]))
  return validateX509Svid({ chain, bundleFor: (domain) => byDomain.get(domain), now })
}

function reasonOf(act: () => unknown): string {
  try {
    act()
  } catch (error) {
    if (error instanceof SvidError) return error.code
    throw error
  }
  return 'accepted'
}

describe('validateX509Svid refuses', () => {
  const cases = hostileSvids()

  test.each(cases)('$what: $reason', ({ chain, bundles, reason }) => {
    expect(reasonOf(() => validate(chain, bundles))).toBe(reason)
  })

  test('for every reason that there is', () => {
    const reasons: Record<SvidError['code'], true> = {
      svid_missing: true,
      svid_unparsable: true,
      svid_chain_too_long: true,
      svid_no_uri_san: true,
      svid_many_uri_sans: true,
      svid_bad_id: true,
      svid_no_path: true,
      svid_san_not_critical: true,
      svid_is_ca: true,
      svid_key_usage: true,
      svid_extended_key_usage: true,
      svid_untrusted_domain: true,
      svid_not_yet_valid: true,
      svid_expired: true,
      svid_bad_signature: true,
      svid_no_path_to_root: true,
      svid_issuer_not_ca: true,
      svid_path_length: true,
      svid_name_constraints: true,
      svid_critical_extension: true,
      svid_signing_id: true,
      svid_weak_key: true,
      svid_revoked: true,
    }
    expect(new Set(cases.map(({ reason }) => reason))).toEqual(new Set(Object.keys(reasons)))
  })

  test('a crowd of look-alike authorities, in bounded time', () => {
    const root = makeAuthority()
    const crowd = Array.from({ length: 9 }, () => makeAuthority({ subject: root.name, key: root.key, parent: root }))
    const stranger = makeAuthority({ subject: root.name })
    const { certificate } = makeSvid(root, agent)
    const start = performance.now()
    const chain = [certificate, ...crowd.map((each) => each.certificate)]
    expect(reasonOf(() => validate(chain, [makeBundle('acme.example', stranger)]))).toMatch(
      /^svid_(bad_signature|no_path_to_root)$/,
    )
    expect(performance.now() - start).toBeLessThan(1000)
  })

  test('what is out of its time by a millisecond, and accepts it at the edge', () => {
    const root = makeAuthority({ notBefore: 0, notAfter: 4_000_000_000_000 })
    const notBefore = Date.parse('2026-01-01T00:00:00Z')
    const notAfter = Date.parse('2026-01-01T01:00:00Z')
    const { chain } = makeSvid(root, agent, { notBefore, notAfter })
    const at = (now: number) => reasonOf(() => validate(chain, [makeBundle('acme.example', root)], now))
    expect([at(notBefore - 1), at(notBefore), at(notAfter), at(notAfter + 1)]).toEqual([
      'svid_not_yet_valid',
      'accepted',
      'accepted',
      'svid_expired',
    ])
  })

  test('nothing that the bundle of one domain vouches for when another is asked about', () => {
    const [one, two] = [makeAuthority(), makeAuthority()]
    const bundles = [makeBundle('one.example', one), makeBundle('two.example', two)]
    expect(validate(makeSvid(one, 'spiffe://one.example/a').chain, bundles).id).toBe('spiffe://one.example/a')
    expect(reasonOf(() => validate(makeSvid(one, 'spiffe://two.example/a').chain, bundles))).toBe(
      'svid_no_path_to_root',
    )
  })

  test('with a detail that repeats nothing of what the peer wrote', () => {
    const root = makeAuthority()
    const { chain } = makeSvid(root, agent, { subjectAltName: subjectAltName(false, { uri: 'spiffe://x/<script>' }) })
    expect(() => validate(chain, [makeBundle('x', root)])).toThrow(/^(?!.*script)/)
  })
})

describe('validateX509Svid accepts', () => {
  const root = makeAuthority({ uri: 'spiffe://acme.example' })
  const bundle = makeBundle('acme.example', root)
  const accepts = (chain: readonly Uint8Array[], ...bundles: readonly TrustBundle[]) =>
    expect(validate(chain, bundles.length === 0 ? [bundle] : bundles).id).toBe(agent)

  test('a leaf under a root, and says serial and end', () => {
    const notAfter = Math.floor(Date.now() / 1000) * 1000 + 60_000
    const { chain } = makeSvid(root, agent, { serial: Uint8Array.of(0, 0x0a, 0xbc), notAfter })
    expect(validate(chain, [bundle])).toEqual({ id: agent, serial: 'abc', expiresAt: notAfter })
  })

  test('the end of the path is the first end on it', () => {
    const soon = Math.floor(Date.now() / 1000) * 1000 + 60_000
    const { chain } = makeSvid(makeAuthority({ parent: root, notAfter: soon }), agent)
    expect(validate(chain, [bundle]).expiresAt).toBe(soon)
  })

  test('intermediates in any order, with the root and with strangers among them', () => {
    const one = makeAuthority({ parent: root })
    const two = makeAuthority({ parent: one })
    const { certificate } = makeSvid(two, agent)
    fc.assert(
      fc.property(
        fc.shuffledSubarray([one, two, root, makeAuthority(), makeAuthority()], { minLength: 5 }),
        (authorities) => {
          accepts([certificate, ...authorities.map((each) => each.certificate)])
        },
      ),
      { numRuns: 30 },
    )
  })

  test.each(['p256', 'p384', 'p521', 'rsa2048', 'ed25519'] as const)('keys of %s, at leaf and root', (kind) => {
    const authority = makeAuthority({ key: makeKey(kind) })
    accepts(makeSvid(authority, agent, { key: makeKey(kind) }).chain, makeBundle('acme.example', authority))
  })

  test.each([
    ['p256', 'sha384'],
    ['p384', 'sha512'],
    ['p521', 'sha256'],
    ['rsa2048', 'sha384'],
    ['rsa2048', 'sha512'],
  ] as const)('signatures of %s over %s', (kind, hash) => {
    const authority = makeAuthority({ key: makeKey(kind) })
    accepts(makeSvid(authority, agent, { hash }).chain, makeBundle('acme.example', authority))
  })

  const usageBits = (bits: number) => extension(oids.keyUsage, true, bitString(Uint8Array.of(bits)))
  test.each<[string, Bent]>([
    ['without extended key usage', { extendedKeyUsage: null }],
    [
      'with further extended key usages',
      { extendedKeyUsage: extendedKeyUsage('1.2.3', oids.clientAuth, oids.serverAuth) },
    ],
    ['without basic constraints', { basicConstraints: null }],
    [
      'with an explicit CA:FALSE',
      { basicConstraints: extension(oids.basicConstraints, true, sequence(Uint8Array.of(1, 1, 0))) },
    ],
    ['with keyEncipherment and keyAgreement besides', { keyUsage: usageBits(0xa8) }],
    [
      'with an empty subject and a critical name',
      { subject: sequence(), subjectAltName: subjectAltName(true, { uri: agent }) },
    ],
    [
      'with DNS names and addresses besides',
      { subjectAltName: subjectAltName(false, { dns: 'a' }, { uri: agent }, { ip: Uint8Array.of(1, 2, 3, 4) }) },
    ],
    [
      'with an extension of unknown meaning that is not critical',
      { extra: [extension('1.2.3.4', false, new Uint8Array(9))] },
    ],
    ['until the year 2100', { notAfter: Date.parse('2100-01-01T00:00:00Z') }],
  ])('a leaf %s', (_, bent) => accepts(makeSvid(root, agent, bent).chain))

  test('a root beside an old and a new one of the same name', () => {
    const old = makeAuthority({ subject: root.name, notAfter: Date.now() - 1000, notBefore: 0 })
    const fresh = makeAuthority({ subject: root.name })
    accepts(makeSvid(root, agent).chain, makeBundle('acme.example', old, root, fresh))
  })

  test('a root beside one that cannot be read', () => {
    accepts(makeSvid(root, agent).chain, { ...bundle, x509Authorities: [Uint8Array.of(1), root.certificate] })
  })

  test('as many intermediates as the path length allows', () => {
    const limited = makeAuthority({ parent: root, pathLength: 1 })
    accepts(makeSvid(makeAuthority({ parent: limited, pathLength: 0 }), agent).chain)
  })

  test('an intermediate of another trust domain, as X509-SVID §3.2 allows', () => {
    accepts(makeSvid(makeAuthority({ parent: root, uri: 'spiffe://upstream.example' }), agent).chain)
  })

  test('an authority with a URI that is no SPIFFE ID', () => {
    accepts(makeSvid(makeAuthority({ parent: root, uri: 'https://ca.example/policy' }), agent).chain)
  })

  const ca = (permitted: readonly Uint8Array[], excluded: readonly Uint8Array[] = []) =>
    makeAuthority({ parent: root, extra: [nameConstraints(permitted, excluded)] })
  const besides = (...names: readonly Uint8Array[]): Bent => ({
    subjectAltName: extension(oids.subjectAltName, false, sequence(generalName(kinds.uri, agent), ...names)),
  })
  test.each<[string, Authority, Bent]>([
    ['the host of the ID', ca([generalName(kinds.uri, 'acme.example')]), {}],
    ['the host of the ID in capitals', ca([generalName(kinds.uri, 'ACME.Example')]), {}],
    ['what is below a suffix', ca([generalName(kinds.uri, '.example')]), {}],
    ['one of two', ca([generalName(kinds.uri, 'b.example'), generalName(kinds.uri, 'acme.example')]), {}],
    ['everything but another domain', ca([], [generalName(kinds.uri, 'b.example')]), {}],
    ['names of another kind only', ca([generalName(kinds.dns, 'b.example')]), {}],
    ['a DNS suffix', ca([generalName(kinds.dns, 'b.example')]), besides(generalName(kinds.dns, 'x.y.b.example'))],
    [
      'a range of addresses',
      ca([generalName(kinds.ip, Uint8Array.of(10, 0, 0, 0, 255, 0, 0, 0))]),
      besides(generalName(kinds.ip, Uint8Array.of(10, 9, 8, 7))),
    ],
    ['a mailbox', ca([generalName(kinds.email, 'me@b.example')]), besides(generalName(kinds.email, 'me@B.example'))],
    ['mail at a host', ca([generalName(kinds.email, 'b.example')]), besides(generalName(kinds.email, 'me@b.example'))],
    [
      'a directory, written otherwise',
      ca([generalName(kinds.directory, name([oids.organizationName, 'ACME  Corp']))]),
      { subject: name([oids.organizationName, 'acme corp'], [oids.commonName, 'x']) },
    ],
  ])('a leaf within name constraints: %s', (_, authority, bent) => accepts(makeSvid(authority, agent, bent).chain))

  test('a leaf that no revocation list names, under lists that name others, empty ones and those of others', () => {
    const stranger = makeAuthority()
    const serial = Uint8Array.of(9)
    const revocationLists = [
      makeRevocationList(root, [Uint8Array.of(8)]),
      makeRevocationList(root, []),
      makeRevocationList(stranger, [serial]),
      makeRevocationList(stranger, [serial], { issuer: root.name }),
    ]
    accepts(makeSvid(root, agent, { serial }).chain, { ...bundle, revocationLists })
  })
})

const folder = vectors('spiffe/x509-svid')

describe.skipIf(folder === undefined)('the PEM files of go-spiffe', () => {
  const chainOf = (file: string) => {
    const blocks = pemBlocks(readFileSync(join(folder ?? '', file), 'utf8'))
    return blocks.filter(({ label }) => label === 'CERTIFICATE').map(({ der }) => der)
  }
  const trustDomain = parseTrustDomain('example.org')
  const trust = (...x509Authorities: readonly Uint8Array[]): TrustBundle => ({ trustDomain, x509Authorities })
  const then = Date.parse('2020-03-24T14:30:00Z')

  test('the leaf is valid under its intermediate as root, within its hour', () => {
    const [leaf, intermediate] = chainOf('good-leaf-and-intermediate.pem')
    if (leaf === undefined || intermediate === undefined) throw new Error('the file holds two certificates')
    expect(validate([leaf], [trust(intermediate)], then)).toMatchObject({
      id: 'spiffe://example.org/workload-1',
      expiresAt: Date.parse('2020-03-24T15:07:40Z'),
    })
    expect(validate([leaf, intermediate], [trust(intermediate)], then).id).toBe('spiffe://example.org/workload-1')
    expect(reasonOf(() => validate([leaf, intermediate], [trust(intermediate)], then + 3_600_000))).toBe('svid_expired')
    expect(reasonOf(() => validate([leaf, intermediate], [trust()], then))).toBe('svid_no_path_to_root')
  })

  test.each([
    ['good-leaf-only.pem', 'svid_no_path_to_root'],
    ['good-cert-and-key.pem', 'svid_no_path_to_root'],
    ['wrong-leaf-ca-true.pem', 'svid_is_ca'],
    ['wrong-leaf-cert-sign.pem', 'svid_key_usage'],
    ['wrong-leaf-crl-sign.pem', 'svid_key_usage'],
    ['wrong-leaf-empty-id.pem', 'svid_no_uri_san'],
    ['wrong-leaf-no-digital-signature.pem', 'svid_key_usage'],
    ['corrupt-cert.pem', 'svid_unparsable'],
  ])('%s is refused without a root: %s', (file, reason) => {
    const at = Date.parse(file.startsWith('good-cert') ? '2020-03-24T14:30:00Z' : '2022-01-01T00:00:00Z')
    expect(reasonOf(() => validate(chainOf(file), [trust()], at))).toBe(reason)
  })

  test.each(['wrong-intermediate-no-ca.pem', 'wrong-intermediate-no-key-cert-sign.pem'])(
    '%s is refused, its intermediate being root or not',
    (file) => {
      const [leaf, intermediate] = chainOf(file)
      if (leaf === undefined || intermediate === undefined) throw new Error('the file holds two certificates')
      const at = Date.parse('2022-01-01T00:00:00Z')
      const reasons = [trust(), trust(intermediate)].map((bundle) =>
        reasonOf(() => validate([leaf, intermediate], [bundle], at)),
      )
      expect(reasons).toEqual(['svid_issuer_not_ca', 'svid_issuer_not_ca'])
    },
  )
})

describe('an intermediate that is remembered with its bundle', () => {
  const soon = Math.floor(Date.now() / 1_000) * 1_000 + 600_000
  /** A bundle under which a leaf of this intermediate has been found valid. */
  function known(shape: Partial<AuthorityShape> = {}) {
    const root = makeAuthority()
    const middle = makeAuthority({ parent: root, ...shape })
    const bundle = makeBundle('acme.example', root)
    expect(validate(makeSvid(middle, agent).chain, [bundle]).id).toBe(agent)
    return { root, middle, bundle }
  }

  test('serves other leaves of the same', () => {
    const { middle, bundle } = known()
    expect(reasonOf(() => validate(makeSvid(middle, agent).chain, [bundle]))).toBe('accepted')
  })

  test('does not serve leaves of an authority of the same name', () => {
    const { middle, bundle } = known()
    const forger = { ...middle, key: makeKey() }
    expect(reasonOf(() => validate(makeSvid(forger, agent).chain, [bundle]))).toBe('svid_bad_signature')
  })

  test('is not sent along with the leaf: there is no path', () => {
    const { middle, bundle } = known()
    expect(reasonOf(() => validate([makeSvid(middle, agent).certificate], [bundle]))).toBe('svid_no_path_to_root')
  })

  test('expires', () => {
    const { middle, bundle } = known({ notAfter: soon })
    const { chain } = makeSvid(middle, agent)
    expect(reasonOf(() => validate(chain, [bundle], soon))).toBe('accepted')
    expect(reasonOf(() => validate(chain, [bundle], soon + 1_000))).toBe('svid_expired')
  })

  test('allows no more authorities below it than it did', () => {
    const { middle, bundle } = known({ pathLength: 0 })
    const below = makeAuthority({ parent: middle })
    expect(reasonOf(() => validate(makeSvid(below, agent).chain, [bundle]))).toBe('svid_path_length')
  })

  test('is worth nothing under a bundle without its root, or one that revokes it', () => {
    const { root, middle } = known({ serial: Uint8Array.of(7) })
    const { chain } = makeSvid(middle, agent)
    expect(reasonOf(() => validate(chain, [makeBundle('acme.example', makeAuthority())]))).toBe('svid_no_path_to_root')
    const revoking = {
      ...makeBundle('acme.example', root),
      revocationLists: [makeRevocationList(root, [Uint8Array.of(7)])],
    }
    for (let time = 0; time < 2; time++) expect(reasonOf(() => validate(chain, [revoking]))).toBe('svid_revoked')
  })

  test('gives way to others when there are many', () => {
    const { root, middle, bundle } = known()
    for (let count = 0; count < 70; count++) {
      const { chain } = makeSvid(makeAuthority({ parent: root }), agent)
      expect(reasonOf(() => validate(chain, [bundle]))).toBe('accepted')
    }
    expect(reasonOf(() => validate(makeSvid(middle, agent).chain, [bundle]))).toBe('accepted')
  })
})

describe('validateX509Svid under random bytes', () => {
  const root = makeAuthority({ uri: 'spiffe://acme.example' })
  const middle = makeAuthority({ parent: root })
  const sound = makeSvid(middle, agent, {
    subjectAltName: subjectAltName(false, { uri: agent }, { dns: 'a.example' }),
  })
  const list = makeRevocationList(root, [Uint8Array.of(1)])
  const bundles = [{ ...makeBundle('acme.example', root), revocationLists: [list] }]

  test('throws nothing but SvidError', () => {
    fc.assert(
      fc.property(fc.array(fc.uint8Array({ maxLength: 64 }), { maxLength: 4 }), (chain) => {
        expect(reasonOf(() => validate(chain, bundles))).toMatch(/^svid_/)
      }),
      { numRuns: 2000 },
    )
  })

  test('a changed byte anywhere in the leaf is refused, whatever it is', () => {
    const { certificate } = sound
    for (let at = 0; at < certificate.length; at++) {
      for (const flip of [0x01, 0x02, 0x04, 0x80, 0xff]) {
        const copy = Buffer.from(certificate)
        copy[at] = (copy[at] ?? 0) ^ flip
        expect(
          reasonOf(() => validate([copy, middle.certificate], bundles)),
          `byte ${at}`,
        ).toMatch(/^svid_/)
      }
    }
  })

  test('certificates cut, spliced and overwritten at random are refused with SvidError, and leave no trace', () => {
    const spliced = fc
      .tuple(fc.constantFrom(0, 1), fc.nat(), fc.uint8Array({ maxLength: 8 }), fc.nat({ max: 8 }))
      .map(([which, place, bytes, remove]) => {
        const chain = sound.chain.map((der) => Buffer.from(der))
        const der = chain[which] ?? Buffer.alloc(0)
        const at = place % der.length
        chain[which] = Buffer.concat([der.subarray(0, at), bytes, der.subarray(at + remove)])
        return { chain, changed: !chain[which].equals(der) }
      })
    fc.assert(
      fc.property(spliced, ({ chain, changed }) => {
        expect(reasonOf(() => validate(chain, bundles)) !== 'accepted').toBe(changed)
        expect(reasonOf(() => validate(sound.chain, bundles))).toBe('accepted')
      }),
      { numRuns: 1000 },
    )
  })

  test('a bundle of garbage throws nothing but SvidError', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 40 }), fc.uint8Array({ maxLength: 40 }), (authority, revoked) => {
        const bundle = { ...makeBundle('acme.example'), x509Authorities: [authority], revocationLists: [revoked] }
        expect(reasonOf(() => validate(sound.chain, [bundle]))).toMatch(/^svid_/)
      }),
    )
  })
})
