// What a token server answers, read closed: what is not exactly as RFC 6749 §5 and RFC 8693 §2.2 say is refused.
import { type Reason, Refusal } from '../../refusal.ts'
import { Secret } from '../../secret.ts'
import type { JsonAnswer } from './json-call.ts'

/** What an answer is held against. */
export interface Asked {
  readonly scopes: readonly string[]
  /** Only token exchange may answer with something that is no access token (RFC 8693 §2.2.1). */
  readonly exchange: boolean
  readonly requestedTokenType: string | undefined
  /** What it means when the grant itself is no longer good. */
  readonly grantEnded: Extract<Reason, 'credential_unavailable' | 'consent_required'>
}

export interface TokenAnswer {
  readonly accessToken: string
  /** Seconds; undefined when the server does not say. */
  readonly expiresIn: number | undefined
  /** As granted; undefined when neither side named any. */
  readonly scopes: readonly string[] | undefined
  readonly refreshToken: string | undefined
}

/** The server gave more than was asked for. Its token must not be used, and should be taken back. */
export class WiderScope extends Refusal {
  readonly token: Secret
  /** It came with it, and is all that is left of the grant. */
  readonly refreshToken: Secret | undefined

  constructor(endpoint: string, token: string, refreshToken: string | undefined, count: number) {
    super('credential_unavailable', {
      detail: `wider_scope: token server ${endpoint} granted a wider scope than was asked for`,
      findings: [{ kind: 'wider_scope', where: `token-server:${endpoint}`, count }],
    })
    this.token = new Secret('a token of too wide a scope', token)
    this.refreshToken = refreshToken === undefined ? undefined : new Secret('a refresh token', refreshToken)
  }
}

/** Whoever promises longer is asked again after this. Seconds. */
const longestLife = 31_536_000

/** RFC 6749 §5.2; the others are of OpenID Connect, and come where a person has to act. */
const grantEndedCodes = ['invalid_grant', 'interaction_required', 'login_required', 'consent_required']

/** RFC 6749 appendix A.12 and A.17: visible ASCII; nothing in it can end a header field. */
const tokenText = /^[\u0021-\u007e]{1,16384}$/

/**
 * @param endpoint host of the server, for the record
 * @throws WiderScope, or another Refusal: `credential_unavailable`, or as `asked.grantEnded` says. No value of the answer is in it, save a well-formed error code.
 */
export function parseTokenAnswer(answer: JsonAnswer, asked: Asked, endpoint: string): TokenAnswer {
  const json = answer.json
  const refuse = (what: string, reason: Reason = 'credential_unavailable'): Refusal =>
    new Refusal(reason, {
      detail: `token server ${endpoint} ${what}`,
      ...(answer.retryAfter === undefined ? {} : { retryAfter: answer.retryAfter }),
    })

  if (typeof json !== 'object' || json === null || Array.isArray(json))
    throw refuse(`answered ${answer.status} without a JSON object`)
  const fields: Readonly<Record<string, unknown>> = { ...json }
  if (answer.status !== 200) {
    const code = errorCode(fields) ?? 'no error code'
    throw refuse(`answered ${answer.status}: ${code}`, grantEndedCodes.includes(code) ? asked.grantEnded : undefined)
  }

  const { access_token: accessToken, token_type: tokenType } = fields
  if (typeof accessToken !== 'string' || !tokenText.test(accessToken)) throw refuse('gave no well-formed access_token')
  if (!isKnownType(tokenType, asked.exchange)) throw refuse('gave a token of a type that is not Bearer')
  const issuedType = fields.issued_token_type
  if (asked.requestedTokenType !== undefined && issuedType !== undefined && issuedType !== asked.requestedTokenType)
    throw refuse('gave a token of another type than was asked for')
  const expiresIn = lifetime(fields.expires_in)
  if (expiresIn === null) throw refuse('gave an expires_in that is no time to come')
  const scopes = granted(fields.scope, asked.scopes)
  if (scopes === null) throw refuse('gave a scope that is no list of scopes')
  const refreshToken = fields.refresh_token
  if (refreshToken !== undefined && (typeof refreshToken !== 'string' || !tokenText.test(refreshToken)))
    throw refuse('gave no well-formed refresh_token')
  const surplus = asked.scopes.length === 0 ? [] : (scopes ?? []).filter((scope) => !asked.scopes.includes(scope))
  if (surplus.length > 0) throw new WiderScope(endpoint, accessToken, refreshToken, surplus.length)
  return { accessToken, expiresIn, scopes, refreshToken }
}

/**
 * The code alone, never `error_description`: servers put what they were sent into it. A code that looks like no
 * registered one could be a secret as well.
 */
function errorCode(fields: Readonly<Record<string, unknown>>): string | undefined {
  const { error } = fields
  if (typeof error !== 'string') return undefined
  return /^[a-z]+(_[a-z]+){0,5}$/.test(error) && error.length <= 40 ? error : 'an error code of its own'
}

/** Compared without case (RFC 6749 §5.1). A DPoP or MAC token would be useless as Bearer, and must not be sent as one. */
function isKnownType(tokenType: unknown, exchange: boolean): boolean {
  if (typeof tokenType !== 'string') return false
  return tokenType.toLowerCase() === 'bearer' || (exchange && tokenType === 'N_A')
}

/** Some servers write the number as text. Null: not sane. */
function lifetime(value: unknown): number | undefined | null {
  if (value === undefined || value === null) return undefined
  const seconds = typeof value === 'string' && /^\d{1,12}$/.test(value) ? Number(value) : value
  if (typeof seconds !== 'number' || !Number.isFinite(seconds) || seconds <= 0) return null
  return Math.min(seconds, longestLife)
}

/** Not said: what was asked for (RFC 6749 §5.1). Null: not readable. */
function granted(value: unknown, asked: readonly string[]): readonly string[] | undefined | null {
  if (value === undefined || value === null) return asked.length === 0 ? undefined : asked
  if (typeof value !== 'string' || !/^[\u0020-\u007e]*$/.test(value)) return null
  return value.split(' ').filter((scope) => scope !== '')
}
