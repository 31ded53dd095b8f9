// Answers of token servers and of commands that print a credential: lying, and with a secret in them that no error may repeat.
import { parseExecAnswer } from '../../../proxy/obtain/exec-answer.ts'
import { type Asked, parseTokenAnswer, WiderScope } from '../../../proxy/obtain/oauth2/token-answer.ts'
import { Refusal } from '../../../proxy/refusal.ts'
import { must, type Target, unlessRefused, utf8 } from '../target.ts'

const canary = 'canary-8c1f0e'
const isNamed = (error: unknown) => {
  if (!(error instanceof Refusal)) return false
  must(['credential_unavailable', 'consent_required'].includes(error.reason), `refused as ${error.reason}`)
  // The code of an error is repeated, being a word of letters; a secret is more than that.
  must(!`${error.message} ${JSON.stringify(error.findings)}`.includes(canary), 'an error repeats the secret')
  return true
}

const asks: readonly Asked[] = [
  { scopes: [], exchange: false, requestedTokenType: undefined, grantEnded: 'credential_unavailable' },
  { scopes: ['contacts.read', 'mail'], exchange: false, requestedTokenType: undefined, grantEnded: 'consent_required' },
  {
    scopes: ['contacts.read'],
    exchange: true,
    requestedTokenType: 'urn:ietf:params:oauth:token-type:access_token',
    grantEnded: 'consent_required',
  },
]

export const target: Target = {
  name: 'token-answer',
  longest: 600,
  seeds: [
    `{"access_token":"${canary}","token_type":"Bearer","expires_in":3600,"scope":"contacts.read mail"}`,
    `{"access_token":"${canary}","token_type":"N_A","issued_token_type":"urn:ietf:params:oauth:token-type:access_token"}`,
    `{"access_token":"${canary}","token_type":"bearer","expires_in":"60","refresh_token":"${canary}-r"}`,
    '{"error":"invalid_grant","error_description":"canary"}',
    `{"secret":"${canary}","username":"u","expiresIn":60}`,
    `{"secret":"${canary}","expiresAt":"2030-01-01T00:00:00+02:00"}`,
  ],
  dictionary: [
    ...[
      '"access_token":',
      '"token_type":',
      '"expires_in":',
      '"scope":',
      '"refresh_token":',
      '"issued_token_type":',
      '"error":',
    ],
    ...[
      '"secret":',
      '"username":',
      '"expiresAt":',
      '"expiresIn":',
      canary,
      'Bearer',
      'DPoP',
      'null',
      '{}',
      '[]',
      '-1',
      '1e999',
    ],
    ...[
      '"__proto__":',
      '\\u0000',
      '\\r\\n',
      ' ',
      '"2030-01-01T00:00:00Z"',
      '"canary',
      'contacts.write',
      'login_required',
    ],
  ],
  run(input) {
    const text = utf8(input)
    for (const asked of asks) for (const status of [200, 400]) checkTokens(text, asked, status)
    const printed = unlessRefused(() => parseExecAnswer(text, 1_000), isNamed)
    if (printed === undefined) return
    must(typeof printed.secret === 'string', 'a secret that is no text')
    must(printed.expiresAt === undefined || Number.isFinite(printed.expiresAt), 'an end that is no time')
    must(!/[:\0-\x1f]/.test(printed.username ?? ''), 'a user name that splits')
  },
}

function checkTokens(text: string, asked: Asked, status: number): void {
  const json = unlessRefused(
    (): unknown => JSON.parse(text),
    (error) => error instanceof SyntaxError,
  )
  const answer = unlessRefused(
    () => parseTokenAnswer({ status, json, retryAfter: undefined }, asked, 'login.example'),
    (error) => error instanceof WiderScope || isNamed(error),
  )
  if (answer === undefined) return
  must(status === 200, 'a token out of a failure')
  must(/^[\x21-\x7e]+$/.test(answer.accessToken), 'a token that no header field can hold')
  must(answer.expiresIn === undefined || (answer.expiresIn > 0 && answer.expiresIn <= 31_536_000), 'a lifetime')
  must(
    asked.scopes.length === 0 || (answer.scopes ?? []).every((scope) => asked.scopes.includes(scope)),
    'a wider scope',
  )
}
