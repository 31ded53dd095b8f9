// JWT-SVIDs: signed ones that say anything, whole ones that nobody signed.
import { JwtSvidError } from '../../../certs/jwt-svid/error.ts'
import { validateJwtSvid } from '../../../certs/jwt-svid/validate.ts'
import { parseSpiffeId, parseTrustDomain } from '../../../certs/spiffe-id.ts'
import { tokenKindOf } from '../../../proxy/identify/token-kind.ts'
import { publicJwk } from '../../support/jwt.ts'
import { mutatedJson } from '../json.ts'
import { key, partsOf, signed, tokenWords, unsigned } from '../jwt.ts'
import { mutatedLine } from '../lines.ts'
import { must, mustEqual, type Target, utf8 } from '../target.ts'

const now = 1_800_000_000_000
const audience = 'spiffe://acme.example/egress'
const header = '{"alg":"ES256","kid":"k1","typ":"JWT"}'
const claims = `{"sub":"spiffe://acme.example/agent","aud":["${audience}"],"exp":1800000300,"iat":1800000000}`
const bundle = {
  trustDomain: parseTrustDomain('acme.example'),
  x509Authorities: [],
  jwtAuthorities: [publicJwk(key, 'k1', { use: 'jwt-svid' }), publicJwk(key, 'k2', { alg: 'ES384' })],
}
const bundleFor = (domain: string) => (domain === 'acme.example' ? bundle : undefined)
const sound = signed(header, claims)
/** The ID, or the reason. */
async function outcome(token: string): Promise<string> {
  try {
    return (await validateJwtSvid({ token, audience, bundleFor, now })).id
  } catch (error) {
    if (error instanceof JwtSvidError) return error.code
    throw error
  }
}

const material = {
  names: ['sub', 'aud', 'exp', 'iat', 'nbf', 'alg', 'kid', 'typ', 'crit', 'jwk'],
  values: [
    audience,
    'spiffe://acme.example/b',
    'spiffe://evil.example/a',
    'spiffe://acme.example',
    1_800_000_000,
    1_799_999_940,
    1_800_000_061,
    'ES256',
    'ES384',
    'none',
    'k1',
    'k2',
    'JOSE',
    [audience, 'b'],
  ],
}

export const target: Target = {
  name: 'jwt-svid',
  longest: 900,
  seeds: [`${header}\n${claims}`, sound, `${header}\n{"sub":"system:serviceaccount:a:b","aud":"${audience}","exp":1}`],
  dictionary: [...tokenWords, audience, '1800000000', '1799999900', '1800000061', 'system:serviceaccount:', '/..'],
  mutate: (input, random) => mutatedLine(input, random, (line) => mutatedJson(line, random, material)),
  async run(input) {
    const text = utf8(input)
    const parts = partsOf(text)
    if (parts === undefined) {
      must(['jwt-svid', 'kubernetes-token'].includes(tokenKindOf(text)), 'a kind of token')
      must(text === sound || (await outcome(text)).startsWith('jwt_svid_'), 'a token that nobody signed is taken')
      return
    }
    const reason = await outcome(unsigned(parts.header, parts.payload))
    must(reason.startsWith('jwt_svid_'), 'a token that nobody signed is taken')
    // All else that is looked at before the signature was as it should be.
    if (reason !== 'jwt_svid_bad_signature') return
    const found = await outcome(signed(parts.header, parts.payload))
    if (found.startsWith('jwt_svid_')) return
    const { sub, aud, exp, iat = 0, nbf = 0 } = JSON.parse(parts.payload)
    mustEqual(found, parseSpiffeId(sub), 'it is another identity')
    must([aud].flat().includes(audience), 'it is for others')
    must(exp * 1_000 >= now - 60_000 && Math.max(iat, nbf) * 1_000 <= now + 60_000, 'it is of another time')
    must(JSON.parse(parts.header).kid === 'k1', 'it is signed with another key')
  },
}
