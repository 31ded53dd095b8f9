// SPIFFE bundle documents, which other trust domains publish, and their strict JSON.
import { readBundleDocument } from '../../../certs/bundle/document.ts'
import { BundleError } from '../../../certs/bundle/error.ts'
import { parseTrustDomain } from '../../../certs/spiffe-id.ts'
import { parseCertificate } from '../../../certs/x509/certificate.ts'
import { publicJwk } from '../../support/jwt.ts'
import { makeAuthority, makeKey } from '../../support/pki.ts'
import { jsonSigns, mutatedJson } from '../json.ts'
import { must, mustEqual, type Target, unlessRefused, utf8 } from '../target.ts'

const domain = parseTrustDomain('b.example')
const root = {
  kty: 'EC',
  use: 'x509-svid',
  x5c: [Buffer.from(makeAuthority({ uri: 'spiffe://b.example' }).certificate).toString('base64')],
}
const token = publicJwk(makeKey('p256'), 'one', { use: 'jwt-svid' })
const material = {
  names: [
    'keys',
    'kty',
    'use',
    'x5c',
    'kid',
    'crv',
    'x',
    'y',
    'n',
    'e',
    'd',
    'alg',
    'spiffe_sequence',
    'spiffe_refresh_hint',
  ],
  values: [
    'EC',
    'RSA',
    'OKP',
    'x509-svid',
    'jwt-svid',
    'wit-svid',
    'P-256',
    'secp256k1',
    'AQAB',
    root,
    token,
    2 ** 53,
    -1,
    1e21,
    ['AA=='],
  ],
}

export const target: Target = {
  name: 'bundle',
  longest: 2_500,
  seeds: [
    JSON.stringify({
      keys: [root, token, { ...token, kid: 'two', use: 'wit-svid' }],
      spiffe_sequence: 7,
      spiffe_refresh_hint: 60,
    }),
    '{"keys":[],"spiffe_sequence":123456789012345678901234567890}',
  ],
  dictionary: [
    ...jsonSigns,
    '\\u0000',
    '"keys":',
    '1e5',
    '-0',
    '0.0',
    '\ufeff',
    '"keys":[],',
    '99999999999999999999999999999999999999999',
  ],
  mutate: (input, random) => mutatedJson(input, random, material),
  run(input) {
    const text = utf8(input)
    const document = unlessRefused(
      () => readBundleDocument(domain, text),
      (error) => error instanceof BundleError,
    )
    if (document === undefined) return
    const { bundle, witAuthorities, isEmpty, sequence, refreshHint } = document
    const { x509Authorities, jwtAuthorities = [] } = bundle
    for (const der of x509Authorities) parseCertificate(der)
    const tokens = [...jwtAuthorities, ...witAuthorities]
    must(
      tokens.every((key) => key.kid !== undefined && key.kid !== '' && key.d === undefined),
      'a key that cannot be used',
    )
    mustEqual(new Set(tokens.map(({ kid }) => kid)).size, tokens.length, 'two keys of a name')
    mustEqual(isEmpty, x509Authorities.length + tokens.length === 0, 'whether it is empty')
    must(sequence === undefined || sequence >= 0n, 'a sequence below 0')
    must(refreshHint === undefined || (Number.isFinite(refreshHint) && refreshHint >= 0), 'a hint that is no time')
    // The plain parser reads the same list of keys.
    mustEqual(JSON.parse(text).keys.length >= x509Authorities.length + tokens.length, true, 'keys from nowhere')
  },
}
