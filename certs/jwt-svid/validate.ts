// Validates a JWT-SVID against the bundle of its own trust domain: JWT-SVID §2 to §6, in go-spiffe's order, closed.

import { parseSpiffeId, pathOf, type SpiffeId, SpiffeIdError, trustDomainOf } from '../spiffe-id.ts'
import type { BundleLookup } from '../svid/validate.ts'
import { readClaims, readCompact } from './compact.ts'
import { JwtSvidError } from './error.ts'
import { verifySignature } from './key.ts'

export interface JwtSvidQuestion {
  readonly token: string
  /** What the token must be meant for: one of its audiences, to the byte. */
  readonly audience: string
  readonly bundleFor: BundleLookup
  /** Epoch milliseconds. */
  readonly now: number
}

export interface ValidJwtSvid {
  readonly id: SpiffeId
  /** Epoch milliseconds until which it is accepted: its expiry, and the leeway. */
  readonly expiresAt: number
}

/** How far clocks may differ, as with go-spiffe. Milliseconds. */
export const leeway = 60_000

/** @throws JwtSvidError, and nothing else */
export async function validateJwtSvid({ token, audience, bundleFor, now }: JwtSvidQuestion): Promise<ValidJwtSvid> {
  // 1. The form, and a header in which nothing but the algorithm, the key's name and the type stands.
  const compact = readCompact(token)
  // 2. The claims that must be there. They are unverified, and serve to find the key only.
  const claims = readClaims(compact)
  const id = subjectOf(claims)
  const audiences = audiencesOf(claims)
  const expiry = dateOf(claims, 'exp')
  if (expiry === undefined) throw new JwtSvidError('jwt_svid_no_expiry', 'it has no expiry')
  const notBefore = dateOf(claims, 'nbf') ?? Number.NEGATIVE_INFINITY
  const issuedAt = dateOf(claims, 'iat') ?? Number.NEGATIVE_INFINITY
  // 3. The signature, with a key of this identity's domain alone.
  const authorities = bundleFor(trustDomainOf(id))?.jwtAuthorities
  if (authorities === undefined)
    throw new JwtSvidError('jwt_svid_untrusted_domain', 'there are no JWT keys of this trust domain')
  await verifySignature(compact, authorities)
  // 4. Meant for us, and now.
  if (!audiences.includes(audience)) throw new JwtSvidError('jwt_svid_wrong_audience', 'it is meant for others')
  if (now + leeway < Math.max(notBefore, issuedAt))
    throw new JwtSvidError('jwt_svid_not_yet_valid', 'it is not valid yet')
  const expiresAt = expiry + leeway
  if (now > expiresAt) throw new JwtSvidError('jwt_svid_expired', 'it has expired')
  return { id, expiresAt }
}

function subjectOf({ sub }: Readonly<Record<string, unknown>>): SpiffeId {
  if (sub === undefined || sub === '') throw new JwtSvidError('jwt_svid_no_subject', 'it has no subject')
  if (typeof sub !== 'string') throw malformed('its subject is not text')
  const id = parse(sub)
  if (pathOf(id) === '') throw new JwtSvidError('jwt_svid_no_path', 'its subject is a trust domain')
  return id
}

function parse(text: string): SpiffeId {
  try {
    return parseSpiffeId(text)
  } catch (error) {
    if (error instanceof SpiffeIdError) throw new JwtSvidError('jwt_svid_bad_id', error.message, error)
    throw error
  }
}

/** One audience stands as text, several as a list (RFC 7519 §4.1.3). */
function audiencesOf({ aud }: Readonly<Record<string, unknown>>): readonly string[] {
  const list: readonly unknown[] = aud === undefined ? [] : Array.isArray(aud) ? aud : [aud]
  if (list.length === 0) throw new JwtSvidError('jwt_svid_no_audience', 'it has no audience')
  return list.map((each) => {
    if (typeof each !== 'string') throw malformed('an audience is not text')
    return each
  })
}

/** @returns epoch milliseconds; undefined when the claim is not there */
function dateOf(claims: Readonly<Record<string, unknown>>, name: string): number | undefined {
  const value = claims[name]
  if (value === undefined) return undefined
  // JSON has no infinity, but a number may be too large for a double.
  if (typeof value !== 'number' || !Number.isFinite(value)) throw malformed(`its ${name} is not a number`)
  return value * 1000
}

function malformed(detail: string): JwtSvidError {
  return new JwtSvidError('jwt_svid_malformed', detail)
}
