// The public keys in a JWK set that verify tokens: JWT-SVIDs, or WIT-SVIDs. Each is known by its `kid`.
import type { JWK } from 'jose'
import { BundleError } from './error.ts'
import type { JsonObject } from './json.ts'
import { keysOf, readObject, textOf } from './members.ts'

const curves: ReadonlySet<string> = new Set(['P-256', 'P-384', 'P-521'])
/** Members that only a private or symmetric key has (RFC 7518 §6.2.2, §6.3.2, §6.4). */
const secret = ['d', 'p', 'q', 'dp', 'dq', 'qi', 'oth', 'k'] as const

/**
 * A JWK set of one purpose, as the Workload API gives it for JWT-SVIDs: what `use` says is not asked.
 * @throws BundleError
 */
export function readKeySet(text: string): readonly JWK[] {
  const keys = keysOf(readObject(text)).flatMap((key) => readSigningKey(key) ?? [])
  checkDistinct(keys)
  return keys
}

/**
 * @returns undefined when it is of a kind that no SVID is signed with; such an element is passed over (§4.2.1)
 * @throws BundleError when it is malformed, not public, or has no identifier (JWT-SVID §6.1, WIT-SVID §6.1; as go-spiffe)
 */
export function readSigningKey(key: JsonObject): JWK | undefined {
  checkPublic(key)
  const kty = textOf(key, 'kty')
  if (kty === undefined) throw new BundleError('bundle_bad_key', 'a key has no type')
  const kid = textOf(key, 'kid')
  if (kid === undefined || kid === '') throw new BundleError('bundle_no_key_id', 'a key has no identifier')
  const alg = textOf(key, 'alg')
  const use = textOf(key, 'use')
  const common = { kid, ...(alg === undefined ? {} : { alg }), ...(use === undefined ? {} : { use }) }
  if (kty === 'RSA') return { ...common, kty, n: number(key, 'n'), e: number(key, 'e') }
  if (kty !== 'EC') return undefined
  const crv = textOf(key, 'crv')
  if (crv === undefined) throw new BundleError('bundle_bad_key', 'a key has no curve')
  return curves.has(crv) ? { ...common, kty, crv, x: number(key, 'x'), y: number(key, 'y') } : undefined
}

/** Of two keys of one name a token could mean either (WIT-SVID §6.1: across JWT- and WIT-SVIDs). */
export function checkDistinct(keys: readonly JWK[]): void {
  if (new Set(keys.map(({ kid }) => kid)).size < keys.length)
    throw new BundleError('bundle_duplicate_key_id', 'two keys for tokens have the same identifier')
}

/** Whoever shows a private key has shown it to everybody. @throws BundleError */
export function checkPublic(key: JsonObject): void {
  if (secret.some((name) => key.has(name))) throw new BundleError('bundle_private_key', 'a key is not public')
}

/** Base64url of a number (RFC 7518 §2). */
function number(key: JsonObject, name: string): string {
  const text = textOf(key, name)
  if (text === undefined || text === '' || Buffer.from(text, 'base64url').toString('base64url') !== text)
    throw new BundleError('bundle_bad_key', `the member ${name} of a key is not a number in base64url`)
  return text
}
