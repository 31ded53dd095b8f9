// Which public keys of a bundle verify a JWT-SVID, and the verification itself.
import { compactVerify, type JWK } from 'jose'
import type { Compact } from './compact.ts'
import { JwtSvidError } from './error.ts'

/**
 * Checks the signature with the key that the token names.
 * @param authorities the keys of the trust domain that the token claims to be of
 * @throws JwtSvidError `jwt_svid_unknown_key`, `jwt_svid_weak_key`, `jwt_svid_bad_signature`
 */
export async function verifySignature(compact: Compact, authorities: readonly JWK[]): Promise<void> {
  const found = authorities.filter(({ kid }) => kid === compact.keyId)
  const [authority] = found
  if (authority === undefined) throw unknown('the bundle has no such key')
  if (found.length > 1) throw unknown('the bundle has more than one key of this name')
  const key = verifying(authority)
  if (key instanceof JwtSvidError) throw key
  try {
    await compactVerify(compact.token, key, { algorithms: [compact.algorithm] })
  } catch (cause) {
    // A key of another kind than the algorithm is refused by jose too, with errors of several classes.
    throw new JwtSvidError('jwt_svid_bad_signature', 'the signature does not verify with the key that it names', cause)
  }
}

/** Keys are replaced, never changed, so what was made of one serves as long as it does; jose keeps its own form by it. */
const made = new WeakMap<JWK, JWK | JwtSvidError>()

function verifying(authority: JWK): JWK | JwtSvidError {
  const known = made.get(authority)
  if (known !== undefined) return known
  const key = verifyingKey(authority)
  made.set(authority, key)
  return key
}

/** The public part alone, without `use`: jose knows `sig` only, and SPIFFE's is `jwt-svid`. */
function verifyingKey({ kty, use, alg, key_ops, crv, x, y, n, e }: JWK): JWK | JwtSvidError {
  if (use !== undefined && use !== 'jwt-svid' && use !== 'sig') return unknown('the key is for another use')
  const common = { ...(alg === undefined ? {} : { alg }), ...(key_ops === undefined ? {} : { key_ops }) }
  if (kty === 'EC' && typeof crv === 'string' && typeof x === 'string' && typeof y === 'string')
    return { ...common, kty, crv, x, y }
  if (kty !== 'RSA' || typeof n !== 'string' || typeof e !== 'string')
    return unknown('the key is neither an EC nor an RSA public key')
  const weakness = rsaWeakness(Buffer.from(n, 'base64url'), Buffer.from(e, 'base64url'))
  return weakness === undefined ? { ...common, kty, n, e } : new JwtSvidError('jwt_svid_weak_key', weakness)
}

function unknown(detail: string): JwtSvidError {
  return new JwtSvidError('jwt_svid_unknown_key', detail)
}

function rsaWeakness(modulus: Buffer, exponent: Buffer): string | undefined {
  const n = numberOf(modulus)
  // RFC 7518 §3.3.
  if (n >> 2047n === 0n) return 'the RSA key is shorter than 2048 bits'
  // RFC 8017 §3.1: odd, and greater than 1, with which anything signs itself.
  const e = numberOf(exponent)
  if (e < 3n || (e & 1n) === 0n) return 'the exponent of the RSA key is not sound'
  if (hasRocaFingerprint(n)) return 'the RSA key is of the kind that CVE-2017-15361 lets factor'
  return undefined
}

function numberOf(bytes: Buffer): bigint {
  return bytes.length === 0 ? 0n : BigInt(`0x${bytes.toString('hex')}`)
}

/** Moduli of the broken generator are a power of 65537 by each of these primes (Nemec et al., CCS 2017, §3); others hardly ever by all. */
const rocaPrimes = [11, 13, 17, 19, 37, 53, 61, 71, 73, 79, 97, 103, 107, 109, 127, 151, 157] as const

function hasRocaFingerprint(n: bigint): boolean {
  return rocaPrimes.every((prime) => {
    const rest = Number(n % BigInt(prime))
    const step = 65_537 % prime
    for (let power = 1, turn = 0; turn < prime; turn++, power = (power * step) % prime) if (power === rest) return true
    return false
  })
}
