// Who a user is, by a token that a sign-in server made: ID token, access token (RFC 9068), ID-JAG or Txn-Token. It becomes the root of delegations.
import { JwtSvidError } from '../../certs/jwt-svid/error.ts'
import { verifySignature } from '../../certs/jwt-svid/key.ts'
import type { JsonObject } from '../../policy/delegation/strict-json.ts'
import { Refusal } from '../refusal.ts'
import type { Secret } from '../secret.ts'
import type { KeySet } from './key-set.ts'
import { invalid, readUserJwt } from './user-token/jwt.ts'
import { checkKind, kindOf, type UserTokenKind } from './user-token/kinds.ts'

/** A server that users sign in to, and what its tokens must say. */
export interface UserIssuer {
  /** The only audience that a token may have. */
  readonly audience: string
  readonly keys: Pick<KeySet, 'keysFor'>
  readonly tokens: readonly UserTokenKind[]
  /** The claim that says who the user is. */
  readonly principal: string
  /** Put before it. */
  readonly prefix: string
  readonly algorithms: readonly string[]
  /** Milliseconds since it was issued. */
  readonly maxAge: number
}

/** By `iss`, to the byte. */
export type UserIssuers = ReadonlyMap<string, UserIssuer>

export interface VerifiedUser {
  /** No user of another issuer has the same. */
  readonly id: string
  readonly issuer: string
  readonly kind: UserTokenKind
  readonly claims: Readonly<Record<string, unknown>>
  /** Epoch milliseconds at which the token ends. */
  readonly expiresAt: number
  readonly token: Secret
}

/** How far the issuer's clock may be ahead of ours. An expiry has none: a token that ends must not begin anything. Milliseconds. */
const leeway = 30_000

const longestId = 256

/**
 * @param now epoch milliseconds
 * @throws Refusal `user_token_*`
 */
export async function verifyUserToken(token: Secret, issuers: UserIssuers, now: number): Promise<VerifiedUser> {
  const { compact, type, claims } = token.judgedBy(readUserJwt)
  // 1. Of an issuer that is configured, a kind that is taken from it, an algorithm that is. Still unverified: it serves
  //    to find the key only, and no other server is ever asked.
  const { iss: issuer } = claims
  const pinned = typeof issuer === 'string' ? issuers.get(issuer) : undefined
  if (typeof issuer !== 'string' || pinned === undefined)
    throw new Refusal('user_token_issuer_unknown', { detail: 'users of its issuer are not known here' })
  const kind = kindOf(type)
  if (kind === undefined || !pinned.tokens.includes(kind)) throw invalid('it is of a kind that is not taken')
  if (!pinned.algorithms.includes(compact.algorithm)) throw unsigned('its algorithm is not taken')
  // 2. The signature, with a key of this issuer alone.
  const keys = await pinned.keys.keysFor(compact.keyId)
  if (keys === undefined)
    throw new Refusal('user_token_keys_unavailable', { detail: 'the keys of the issuer cannot be read' })
  try {
    await verifySignature(compact, keys)
  } catch (error) {
    if (error instanceof JwtSvidError) throw unsigned(error.detail, error)
    throw error
  }
  // 3. Meant for us and nobody else, and now.
  checkAudience(claims, pinned.audience)
  const expiresAt = checkTime(claims, pinned.maxAge, now)
  // 4. What its kind must say, and who the user is.
  checkKind(kind, claims, pinned.audience)
  return { id: pinned.prefix + principalOf(claims, pinned.principal), issuer, kind, claims, expiresAt, token }
}

/** A token that others may use too could have been taken from them. */
function checkAudience({ aud }: JsonObject, audience: string): void {
  const audiences = Array.isArray(aud) ? aud : [aud]
  if (audiences.length !== 1 || audiences[0] !== audience)
    throw new Refusal('user_token_audience', { detail: 'its audience is not the one configured, and that alone' })
}

function checkTime(claims: JsonObject, maxAge: number, now: number): number {
  const expiresAt = dateOf(claims, 'exp')
  const issuedAt = dateOf(claims, 'iat')
  if (expiresAt === undefined || issuedAt === undefined) throw invalid('it does not say when it was issued and ends')
  const notBefore = dateOf(claims, 'nbf') ?? issuedAt
  if (Math.max(issuedAt, notBefore) - leeway > now)
    throw new Refusal('user_token_not_yet_valid', { detail: 'it is not valid yet' })
  if (expiresAt <= now) throw new Refusal('user_token_expired', { detail: 'it has expired' })
  if (issuedAt + maxAge <= now) throw new Refusal('user_token_expired', { detail: 'it was issued too long ago' })
  return expiresAt
}

/** @returns epoch milliseconds; undefined when the claim is not there */
function dateOf(claims: JsonObject, name: string): number | undefined {
  const value = claims[name]
  if (value === undefined) return undefined
  if (typeof value !== 'number' || value < 0) throw invalid(`its ${name} is not a date`)
  return value * 1_000
}

function principalOf(claims: JsonObject, name: string): string {
  if (!isName(claims.sub)) throw invalid('it has no subject')
  const id = claims[name]
  if (!isName(id)) throw invalid(`its claim ${name} is no name of a user`)
  // Anybody can sign up with the address of somebody else.
  if (name === 'email' && claims.email_verified !== undefined && claims.email_verified !== true)
    throw invalid('its issuer says that the address is not verified')
  return id
}

/** It is shown to people and compared with rules: nothing in it may be invisible. */
function isName(value: unknown): value is string {
  return typeof value === 'string' && value.length <= longestId && /^[^\p{C}\p{Z}]+( [^\p{C}\p{Z}]+)*$/u.test(value)
}

function unsigned(detail: string, cause?: unknown): Refusal {
  return new Refusal('user_token_signature', { detail, cause })
}
