// Validates a JWT-SVID against the bundle of its own trust domain: JWT-SVID §2 to §6, in go-spiffe's order, closed.

import { parseSpiffeId, pathOf, type SpiffeId, SpiffeIdError, trustDomainOf } from '../spiffe-id.ts'
import type { BundleLookup } from '../svid/validate.ts'
import { type Claims, checkTerms, termsOf } from './claims.ts'
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

/** @throws JwtSvidError, and nothing else */
export async function validateJwtSvid({ token, audience, bundleFor, now }: JwtSvidQuestion): Promise<ValidJwtSvid> {
  // 1. The form, and a header in which nothing but the algorithm, the key's name and the type stands.
  const compact = readCompact(token)
  // 2. The claims that must be there. They are unverified, and serve to find the key only.
  const claims = readClaims(compact)
  const id = subjectOf(claims)
  const terms = termsOf(claims)
  // 3. The signature, with a key of this identity's domain alone.
  const authorities = bundleFor(trustDomainOf(id))?.jwtAuthorities
  if (authorities === undefined)
    throw new JwtSvidError('jwt_svid_untrusted_domain', 'there are no JWT keys of this trust domain')
  if (authorities.length === 0)
    throw new JwtSvidError('jwt_svid_unknown_key', 'the bundle of this trust domain has no keys for JWT-SVIDs')
  await verifySignature(compact, authorities)
  // 4. Meant for us, and now.
  checkTerms(terms, audience, now)
  return { id, expiresAt: terms.expiresAt }
}

function subjectOf({ sub }: Claims): SpiffeId {
  if (sub === undefined || sub === '') throw new JwtSvidError('jwt_svid_no_subject', 'it has no subject')
  if (typeof sub !== 'string') throw new JwtSvidError('jwt_svid_malformed', 'its subject is not text')
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
