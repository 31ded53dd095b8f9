// SPIFFE bundle documents: what go-spiffe's vectors say, and what each fault is called.
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { readBundleDocument } from '../../../certs/bundle/document.ts'
import { BundleError } from '../../../certs/bundle/error.ts'
import { readBundleFile } from '../../../certs/bundle/file.ts'
import { mapOf } from '../../../certs/bundle/map.ts'
import { readObject } from '../../../certs/bundle/members.ts'
import { readKeySet } from '../../../certs/bundle/signing-keys.ts'
import { parseTrustDomain } from '../../../certs/spiffe-id.ts'
import { makeAuthority, makeKey } from '../../support/pki.ts'
import { vectors } from '../../support/vectors.ts'

const domain = parseTrustDomain('b.example')
const root = makeAuthority({ uri: 'spiffe://b.example' })
const x5c = Buffer.from(root.certificate).toString('base64')
const rootKey = { kty: 'EC', use: 'x509-svid', x5c: [x5c] }
const { x = '', y = '' } = makeKey('p256').privateKey.export({ format: 'jwk' })
const tokenKey = { kty: 'EC', use: 'jwt-svid', kid: 'one', crv: 'P-256', x, y }
const witKey = { ...tokenKey, use: 'wit-svid', kid: 'two' }

const read = (document: object) => readBundleDocument(domain, JSON.stringify(document))

function fault(act: () => unknown): string {
  try {
    act()
    return 'accepted'
  } catch (error) {
    if (error instanceof BundleError) return error.code
    throw error
  }
}

describe('a bundle document', () => {
  test('gives the roots, the keys for tokens, the sequence and the hint', () => {
    const document = read({
      keys: [rootKey, tokenKey, witKey],
      spiffe_sequence: 7,
      spiffe_refresh_hint: 60,
      something_else: [1, { two: 3 }],
    })
    expect(document.bundle.trustDomain).toBe(domain)
    expect(document.bundle.x509Authorities).toEqual([Buffer.from(root.certificate)])
    expect(document.bundle.jwtAuthorities).toEqual([tokenKey])
    expect(document.witAuthorities).toEqual([witKey])
    expect(document).toMatchObject({ sequence: 7n, refreshHint: 60, isEmpty: false })
  })

  test('keeps a sequence of 64 bits exact', () => {
    expect(readBundleDocument(domain, '{"keys":[],"spiffe_sequence":18446744073709551615}').sequence).toBe(
      18446744073709551615n,
    )
  })

  test.each<[string, object[]]>([
    ['no keys', []],
    ['keys without a use', [{ ...tokenKey, use: undefined }]],
    ['keys of a use unknown here', [{ ...tokenKey, use: 'sig' }]],
    [
      'keys of a type unknown here',
      [
        { kty: 'AKP', use: 'jwt-svid', kid: 'a', pub: 'AA' },
        { ...rootKey, kty: 'AKP' },
      ],
    ],
    ['keys on a curve unknown here', [{ ...tokenKey, crv: 'secp256k1' }]],
    [
      'roots without a certificate',
      [
        { kty: 'EC', use: 'x509-svid', crv: 'P-256', x, y },
        { ...rootKey, x5c: [] },
      ],
    ],
  ])('with %s is empty: a state of its own, no fault', (_, keys) => {
    expect(read({ keys })).toMatchObject({
      isEmpty: true,
      bundle: { x509Authorities: [], jwtAuthorities: [] },
      witAuthorities: [],
    })
  })

  test('passes over what it does not know and keeps the rest; the first certificate of an element counts', () => {
    const second = Buffer.from(makeAuthority().certificate).toString('base64')
    const keys = [{ kty: 'new' }, { ...rootKey, x5c: [x5c, second], kid: 'odd' }, { ...tokenKey, use: 'later' }]
    expect(read({ keys }).bundle.x509Authorities).toEqual([Buffer.from(root.certificate)])
  })

  test.each<[string, string, string | object]>([
    ['bundle_not_json', 'garbage', 'garbage'],
    ['bundle_not_json', 'an empty text', ''],
    ['bundle_not_json', 'a list', '[]'],
    ['bundle_duplicate_member', 'keys twice', '{"keys":[],"keys":[]}'],
    ['bundle_duplicate_member', 'a member of a key twice', '{"keys":[{"kty":"EC","kty":"RSA"}]}'],
    ['bundle_too_deep', 'depth', `{"keys":[],"x":${'['.repeat(99)}${']'.repeat(99)}}`],
    ['bundle_too_large', 'size', `{"keys":[],"x":"${'a'.repeat(1024 * 1024)}"}`],
    ['bundle_no_keys', 'no member keys', {}],
    ['bundle_no_keys', 'keys that are no list', { keys: {} }],
    ['bundle_too_many_keys', 'very many keys', { keys: Array(1_001).fill({ kty: 'EC' }) }],
    ['bundle_bad_key', 'a key that is no object', { keys: [null] }],
    ['bundle_bad_key', 'a use that is no text', { keys: [{ ...tokenKey, use: 1 }] }],
    ['bundle_bad_key', 'a key without a type', { keys: [{ ...tokenKey, kty: undefined }] }],
    ['bundle_bad_key', 'a coordinate that is missing', { keys: [{ ...tokenKey, x: undefined }] }],
    ['bundle_bad_key', 'a coordinate that is not base64url', { keys: [{ ...tokenKey, x: 'a+b=' }] }],
    ['bundle_private_key', 'a private key', { keys: [{ ...tokenKey, d: 'AA' }] }],
    ['bundle_private_key', 'a private key of an unknown use', { keys: [{ kty: 'RSA', p: 'AA' }] }],
    ['bundle_no_key_id', 'a key for tokens without identifier', { keys: [{ ...tokenKey, kid: undefined }] }],
    ['bundle_no_key_id', 'an empty identifier', { keys: [{ ...witKey, kid: '' }] }],
    ['bundle_duplicate_key_id', 'one identifier for JWT and WIT', { keys: [tokenKey, { ...witKey, kid: 'one' }] }],
    ['bundle_bad_certificate', 'x5c that is no list', { keys: [{ ...rootKey, x5c }] }],
    ['bundle_bad_certificate', 'a certificate that is not base64', { keys: [{ ...rootKey, x5c: ['*'] }] }],
    ['bundle_bad_certificate', 'a certificate that is none', { keys: [{ ...rootKey, x5c: ['AAAA'] }] }],
    ['bundle_bad_sequence', 'a fraction', { keys: [], spiffe_sequence: 1.5 }],
    ['bundle_bad_sequence', 'text', { keys: [], spiffe_sequence: '1' }],
    ['bundle_bad_sequence', 'a negative sequence', { keys: [], spiffe_sequence: -1 }],
    ['bundle_bad_refresh_hint', 'text as hint', { keys: [], spiffe_refresh_hint: '60' }],
  ])('is refused as %s: %s', (code, _, document) => {
    const text = typeof document === 'string' ? document : JSON.stringify(document)
    expect(fault(() => readBundleDocument(domain, text))).toBe(code)
  })

  test('throws nothing but its own error, whatever its members are', () => {
    const member = fc.oneof(
      fc.jsonValue(),
      fc.constantFrom(x5c, [x5c], 'EC', 'RSA', 'x509-svid', 'jwt-svid', 'P-256', x),
    )
    const key = fc.record(
      { kty: member, use: member, kid: member, crv: member, x: member, y: member, n: member, e: member, x5c: member },
      { requiredKeys: [] },
    )
    const document = fc.record(
      { keys: fc.oneof(fc.array(key), member), spiffe_sequence: member, spiffe_refresh_hint: member },
      { requiredKeys: [] },
    )
    fc.assert(fc.property(document, (value) => void fault(() => read(value))))
  })
})

const readBundleMap = (text: string) => mapOf(readObject(text))

describe('a bundle map', () => {
  const map = (text: string) => fault(() => readBundleMap(text))

  test('keeps each trust domain to itself', () => {
    const text = JSON.stringify({
      trust_domains: { 'b.example': { keys: [rootKey], spiffe_sequence: 1 }, 'c.example': { keys: [] } },
    })
    const bundles = readBundleMap(text)
    expect([...bundles.keys()]).toEqual(['b.example', 'c.example'])
    expect(bundles.get(domain)?.bundle).toMatchObject({
      trustDomain: 'b.example',
      x509Authorities: [expect.anything()],
    })
    expect(bundles.get(parseTrustDomain('c.example'))?.isEmpty).toBe(true)
  })

  test.each([
    [
      'bundle_duplicate_member',
      'a trust domain twice',
      '{"trust_domains":{"a.example":{"keys":[]},"a.example":{"keys":[]}}}',
    ],
    ['bundle_no_trust_domains', 'no map', '{"keys":[]}'],
    ['bundle_no_trust_domains', 'a list', '{"trust_domains":[]}'],
    ['bundle_bad_trust_domain', 'a name that is none', '{"trust_domains":{"A.example":{"keys":[]}}}'],
    ['bundle_bad_trust_domain', 'the ID instead of the name', '{"trust_domains":{"spiffe://a.example":{"keys":[]}}}'],
    ['bundle_no_keys', 'a bundle without keys', '{"trust_domains":{"a.example":{}}}'],
    ['bundle_no_keys', 'a bundle that is no object', '{"trust_domains":{"a.example":[]}}'],
  ])('is refused as %s: %s', (code, _, text) => {
    expect(map(text)).toBe(code)
  })
})

describe('a bundle file', () => {
  test('may be a map, of which the bundle of the one domain is taken', () => {
    const map = (name: string) => JSON.stringify({ trust_domains: { [name]: { keys: [rootKey] } } })
    expect(readBundleFile(domain, map('b.example')).x509Authorities).toEqual([Buffer.from(root.certificate)])
    expect(fault(() => readBundleFile(domain, map('c.example')))).toBe('bundle_no_trust_domain')
  })

  test('is PEM, or a document with keys for tokens', () => {
    expect(readBundleFile(domain, root.pem)).toEqual({
      trustDomain: domain,
      x509Authorities: [Buffer.from(root.certificate)],
    })
    expect(readBundleFile(domain, `\n${JSON.stringify({ keys: [rootKey, tokenKey] })}`).jwtAuthorities).toEqual([
      tokenKey,
    ])
  })
})

/** Files of a folder of vectors, in order; a folder that is not here has none, which is said. */
function vectorFiles(name: string): [string, string][] {
  const folder = vectors(`spiffe/${name}`)
  if (folder === undefined) return []
  return readdirSync(folder).map((file) => [file, readFileSync(join(folder, file), 'utf8')])
}

describe('the vectors of go-spiffe', () => {
  const documents = vectorFiles('spiffe-bundle')
  test.skipIf(documents.length === 0)('are read, or refused, as their names say', () => {
    const outcomes = documents.map(([file, text]) => [file, fault(() => readBundleDocument(domain, text))])
    expect(Object.fromEntries(outcomes)).toEqual({
      'spiffebundle_missing_kid.json': 'bundle_no_key_id',
      // go-spiffe refuses several certificates in one element; the specification says to take the first (X509-SVID §6.1).
      'spiffebundle_multiple_x509.json': 'accepted',
      'spiffebundle_no_keys.json': 'bundle_no_keys',
      'spiffebundle_valid_1.json': 'accepted',
      'spiffebundle_valid_2.json': 'accepted',
      'spiffebundle_valid_with_wit.json': 'accepted',
    })
    const of = (file: string) => readBundleDocument(domain, documents.find(([each]) => each === file)?.[1] ?? '')
    expect(of('spiffebundle_valid_2.json')).toMatchObject({ isEmpty: false, sequence: 1n, refreshHint: 60 })
    expect(of('spiffebundle_multiple_x509.json').bundle.x509Authorities).toHaveLength(1)
    const { bundle, witAuthorities } = of('spiffebundle_valid_with_wit.json')
    expect([bundle.x509Authorities.length, bundle.jwtAuthorities?.length, witAuthorities.length]).toEqual([1, 2, 2])
  })

  const sets = [...vectorFiles('jwt-bundle'), ...vectorFiles('wit-bundle')]
  test.skipIf(sets.length === 0).each(sets)('%s, a set of keys for tokens, is as its name says', (file, text) => {
    expect(fault(() => readKeySet(text))).toBe(file.includes('missing_kid') ? 'bundle_no_key_id' : 'accepted')
  })

  const roots = vectorFiles('x509-bundle')
  const good = new Map([
    ['cert.pem', 1],
    ['certs.pem', 2],
  ])
  test.skipIf(roots.length === 0).each(roots)('%s, a file of roots, is as its name says', (file, text) => {
    const count = good.get(file)
    if (count === undefined)
      expect(() => readBundleFile(domain, text)).toThrow(
        /^there is no CERTIFICATE|^something follows where nothing may/,
      )
    else expect(readBundleFile(domain, text).x509Authorities).toHaveLength(count)
  })
})
