// Tokens of users: signed ones that say anything, whole ones that nobody signed.

import { userTokenKinds } from '../../../proxy/identify/user-token/kinds.ts'
import { verifyUserToken } from '../../../proxy/identify/user-token.ts'
import { Refusal } from '../../../proxy/refusal.ts'
import { Secret } from '../../../proxy/secret.ts'
import { publicJwk } from '../../support/jwt.ts'
import { mutatedJson } from '../json.ts'
import { key, partsOf, signed, tokenWords, unsigned } from '../jwt.ts'
import { mutatedLine } from '../lines.ts'
import { must, mustEqual, type Target, utf8 } from '../target.ts'

const now = 1_800_000_000_000
const issuer = 'https://login.acme.example'
const known = [publicJwk(key, 'k1', { use: 'sig', alg: 'ES256' }), publicJwk(key, 'k2')]
const keys = { keysFor: async () => known }
const issuers = new Map(
  [issuer, 'https://mail.example'].map((each) => [
    each,
    {
      audience: 'postern',
      keys,
      tokens: userTokenKinds,
      principal: each === issuer ? 'sub' : 'email',
      prefix: `${each}#`,
      algorithms: ['ES256', 'RS256'],
      maxAge: 3_600_000,
    },
  ]),
)
const header = '{"alg":"ES256","kid":"k1"}'
const claims = `{"iss":"${issuer}","sub":"user-8821","aud":"postern","exp":1800000300,"iat":1800000000}`
const mail =
  '{"iss":"https://mail.example","sub":"1","email":"a@b.example","email_verified":true,"aud":["postern"],"exp":1800000300,"iat":1799999999}'
const access = `{"iss":"${issuer}","sub":"u","aud":"postern","exp":1800000300,"iat":1800000000,"client_id":"c","jti":"j"}`
const sound = signed(header, claims)
/** The user, or the reason. */
async function outcome(token: string): Promise<string> {
  try {
    return (await verifyUserToken(new Secret('user', token), issuers, now)).id
  } catch (error) {
    if (error instanceof Refusal && error.reason.startsWith('user_token_')) return error.reason
    throw error
  }
}

const material = {
  names: [
    'iss',
    'sub',
    'aud',
    'exp',
    'iat',
    'nbf',
    'email',
    'email_verified',
    'scope',
    'cnf',
    'client_id',
    'jti',
    'txn',
    'req_wl',
    'alg',
    'kid',
    'typ',
    'crit',
    'b64',
  ],
  values: [
    issuer,
    'https://mail.example',
    'postern',
    ['postern'],
    ['postern', 'b'],
    1_800_000_000,
    1_800_000_031,
    1_799_996_400,
    'at+jwt',
    'txntoken+jwt',
    'JWT',
    'logout+jwt',
    'ES256',
    'RS256',
    'k1',
    'k2',
    'u',
    'a  b',
    '\u200b',
  ],
}

export const target: Target = {
  name: 'user-token',
  longest: 900,
  seeds: [
    `${header}\n${claims}`,
    `${header}\n${mail}`,
    `{"alg":"ES256","kid":"k1","typ":"at+jwt"}\n${access}`,
    `{"alg":"ES256","kid":"k2","typ":"txntoken+jwt"}\n{"iss":"${issuer}","sub":"u","aud":"postern","exp":1800000300,"iat":1800000000,"txn":"t","scope":"s","req_wl":"w"}`,
    `{"alg":"ES256","kid":"k1","typ":"oauth-id-jag+jwt"}\n${access}`,
    sound,
  ],
  dictionary: [
    ...tokenWords,
    issuer,
    'postern',
    '1800000000',
    '"email":',
    '"email_verified":false',
    '"scope":',
    '"cnf":',
    'txntoken+jwt',
    '\\u200b',
    '\\ud800',
    ' ',
  ],
  mutate: (input, random) => mutatedLine(input, random, (line) => mutatedJson(line, random, material)),
  async run(input) {
    const text = utf8(input)
    const parts = partsOf(text)
    if (parts === undefined) {
      must(text === sound || (await outcome(text)).startsWith('user_token_'), 'a token that nobody signed is taken')
      return
    }
    const reason = await outcome(unsigned(parts.header, parts.payload))
    must(reason.startsWith('user_token_'), 'a token that nobody signed is taken')
    // All else that is looked at before the signature was as it should be.
    if (reason !== 'user_token_signature') return
    const found = await outcome(signed(parts.header, parts.payload))
    if (found.startsWith('user_token_')) return
    const { iss, sub, email, aud, exp, iat } = JSON.parse(parts.payload)
    const principal = iss === issuer ? sub : email
    mustEqual(found, `${iss}#${principal}`, 'it is another user')
    must(/^[^\p{C}]{1,300}$/u.test(found), 'a name that cannot be seen')
    mustEqual([aud].flat(), ['postern'], 'it is for others too')
    must(exp * 1_000 > now && iat * 1_000 <= now + 30_000 && iat * 1_000 + 3_600_000 > now, 'it is of another time')
  },
}
