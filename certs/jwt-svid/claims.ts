// The registered claims that decide whom a token is for, and when (RFC 7519 §4.1). What is asked of them is the caller's to say.
import { JwtSvidError } from './error.ts'

export type Claims = Readonly<Record<string, unknown>>

/** How far clocks may differ, as with go-spiffe. Milliseconds. */
export const leeway = 60_000

/** What a token says of its audience and its time, read and not yet judged. */
export interface Terms {
  readonly audiences: readonly string[]
  /** Epoch milliseconds until which it is accepted: its expiry, and the leeway. */
  readonly expiresAt: number
  /** Epoch milliseconds. */
  readonly beginsAt: number
}

/** @throws JwtSvidError `jwt_svid_no_audience`, `jwt_svid_no_expiry`, `jwt_svid_malformed` */
export function termsOf(claims: Claims): Terms {
  const audiences = audiencesOf(claims)
  const expiry = dateOf(claims, 'exp')
  if (expiry === undefined) throw new JwtSvidError('jwt_svid_no_expiry', 'it has no expiry')
  const notBefore = dateOf(claims, 'nbf') ?? Number.NEGATIVE_INFINITY
  const issuedAt = dateOf(claims, 'iat') ?? Number.NEGATIVE_INFINITY
  return { audiences, expiresAt: expiry + leeway, beginsAt: Math.max(notBefore, issuedAt) - leeway }
}

/**
 * @param now epoch milliseconds
 * @throws JwtSvidError `jwt_svid_wrong_audience`, `jwt_svid_not_yet_valid`, `jwt_svid_expired`
 */
export function checkTerms({ audiences, expiresAt, beginsAt }: Terms, audience: string, now: number): void {
  if (!audiences.includes(audience)) throw new JwtSvidError('jwt_svid_wrong_audience', 'it is meant for others')
  if (now < beginsAt) throw new JwtSvidError('jwt_svid_not_yet_valid', 'it is not valid yet')
  if (now > expiresAt) throw new JwtSvidError('jwt_svid_expired', 'it has expired')
}

/** One audience stands as text, several as a list (RFC 7519 §4.1.3). */
function audiencesOf({ aud }: Claims): readonly string[] {
  const list: readonly unknown[] = aud === undefined ? [] : Array.isArray(aud) ? aud : [aud]
  if (list.length === 0) throw new JwtSvidError('jwt_svid_no_audience', 'it has no audience')
  return list.map((each) => {
    if (typeof each !== 'string') throw new JwtSvidError('jwt_svid_malformed', 'an audience is not text')
    return each
  })
}

/** @returns epoch milliseconds; undefined when the claim is not there */
function dateOf(claims: Claims, name: string): number | undefined {
  const value = claims[name]
  if (value === undefined) return undefined
  // JSON has no infinity, but a number may be too large for a double.
  if (typeof value !== 'number' || !Number.isFinite(value))
    throw new JwtSvidError('jwt_svid_malformed', `its ${name} is not a number`)
  return value * 1000
}
