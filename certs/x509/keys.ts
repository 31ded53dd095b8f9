// Keys and signatures of certificates: which are accepted, and whether a signature verifies.
import { createPublicKey, type KeyObject, verify } from 'node:crypto'
import { type AlgorithmIdentifier, readAlgorithm, sameBytes } from './certificate.ts'
import { DerReader } from './der-reader.ts'
import { tags } from './der-tags.ts'
import { oid as encodedOid, nullValue } from './der-writer.ts'
import { oids } from './oids.ts'

type Family = 'ec' | 'rsa' | 'ed25519'

export interface PublicKey {
  readonly family: Family
  readonly key: KeyObject
}

/** What was signed, how, and the signature: of a certificate or of a revocation list. */
export interface Signed {
  readonly signed: Uint8Array
  readonly signatureAlgorithm: AlgorithmIdentifier
  readonly signature: Uint8Array
}

/** No MD5 and no SHA-1, since both allow two certificates under one signature; no RSA-PSS, which SPIFFE authorities do not use. */
const algorithms: ReadonlyMap<string, { readonly family: Family; readonly hash: string | undefined }> = new Map([
  [oids.ecdsaWithSha256, { family: 'ec', hash: 'sha256' }],
  [oids.ecdsaWithSha384, { family: 'ec', hash: 'sha384' }],
  [oids.ecdsaWithSha512, { family: 'ec', hash: 'sha512' }],
  [oids.sha256WithRsa, { family: 'rsa', hash: 'sha256' }],
  [oids.sha384WithRsa, { family: 'rsa', hash: 'sha384' }],
  [oids.sha512WithRsa, { family: 'rsa', hash: 'sha512' }],
  [oids.ed25519, { family: 'ed25519', hash: undefined }],
])

const curves = [oids.p256, oids.p384, oids.p521].map(encodedOid)
const derNull = nullValue()

/**
 * The key in a SubjectPublicKeyInfo, if it is of a kind and strength that is accepted: ECDSA on P-256, P-384 or P-521
 * by name, RSA from 2048 to 8192 bits with a usual exponent (a huge one makes each check a matter of seconds), Ed25519.
 * @returns undefined otherwise
 * @throws DerError
 */
export function acceptedKey(spki: Uint8Array): PublicKey | undefined {
  const fields = DerReader.only(spki, tags.sequence)
  const family = familyOf(readAlgorithm(fields.sequence()))
  fields.octets()
  fields.end()
  if (family === undefined) return undefined
  try {
    const key = createPublicKey({ key: Buffer.from(spki), type: 'spki', format: 'der' })
    return family === 'rsa' && !isSoundRsa(key) ? undefined : { family, key }
  } catch {
    // Not a point of the curve, not a modulus, and the like.
    return undefined
  }
}

/** @returns 'unaccepted' when the algorithm is not one of ours */
export function checkSignature(
  { signed, signatureAlgorithm, signature }: Signed,
  issuer: PublicKey,
): 'valid' | 'invalid' | 'unaccepted' {
  const algorithm = algorithms.get(signatureAlgorithm.oid)
  if (algorithm === undefined) return 'unaccepted'
  if (algorithm.family !== issuer.family || !hasParametersOf(algorithm.family, signatureAlgorithm)) return 'invalid'
  try {
    return verify(algorithm.hash, signed, issuer.key, signature) ? 'valid' : 'invalid'
  } catch {
    return 'invalid'
  }
}

function familyOf(algorithm: AlgorithmIdentifier): Family | undefined {
  const { oid, parameters } = algorithm
  if (oid === oids.rsaEncryption) return hasParametersOf('rsa', algorithm) ? 'rsa' : undefined
  if (oid === oids.ed25519) return hasParametersOf('ed25519', algorithm) ? 'ed25519' : undefined
  const named = oid === oids.ecPublicKey && parameters !== undefined
  // A curve by name only: parameters written out may hold a generator that the attacker chose (CVE-2020-0601).
  return named && curves.some((curve) => sameBytes(curve, parameters)) ? 'ec' : undefined
}

/** RSA carries NULL (RFC 4055 §5), the others nothing (RFC 5758 §3.2, RFC 8410 §3). */
function hasParametersOf(family: Family, { parameters }: AlgorithmIdentifier): boolean {
  return family === 'rsa' ? parameters !== undefined && sameBytes(parameters, derNull) : parameters === undefined
}

function isSoundRsa(key: KeyObject): boolean {
  const { modulusLength = 0, publicExponent = 0n } = key.asymmetricKeyDetails ?? {}
  const usual = publicExponent >= 65_537n && publicExponent < 1n << 32n && publicExponent % 2n === 1n
  return modulusLength >= 2048 && modulusLength <= 8192 && usual
}
