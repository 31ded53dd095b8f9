// Ed25519 keys of delegation (RFC 8037): one for each agent, held in memory by the proxy beside it; and what a root is trusted by.
import { createHash, createPublicKey, generateKeyPairSync, type KeyObject, sign, verify } from 'node:crypto'

/** Public half, as `cnf.jwk` carries it. */
export interface PublicKey {
  /** 32 bytes, base64url. */
  readonly x: string
  /** RFC 7638, SHA-256, base64url. */
  readonly thumbprint: string
}

/** A key that signs what its holder hands on. Nothing gives the private half out. */
export class DelegationKey {
  readonly public: PublicKey
  readonly #private: KeyObject

  constructor(privateKey: KeyObject) {
    const { x } = createPublicKey(privateKey).export({ format: 'jwk' })
    if (privateKey.asymmetricKeyType !== 'ed25519' || x === undefined) throw new TypeError('not an Ed25519 key')
    this.public = publicKeyOf(x)
    this.#private = privateKey
  }

  static generate(): DelegationKey {
    return new DelegationKey(generateKeyPairSync('ed25519').privateKey)
  }

  sign(input: string): Buffer {
    return sign(null, Buffer.from(input, 'latin1'), this.#private)
  }
}

/** @param x 32 bytes, base64url */
export function publicKeyOf(x: string): PublicKey {
  // RFC 7638 §3.2 and RFC 8037 §2: required members alone, in this order.
  const thumbprint = createHash('sha256').update(`{"crv":"Ed25519","kty":"OKP","x":"${x}"}`).digest('base64url')
  return { x, thumbprint }
}

/** The issuer of what the holder of a key signs (RFC 9278). */
export function issuerOf(key: PublicKey): string {
  return `urn:ietf:params:oauth:jwk-thumbprint:sha-256:${key.thumbprint}`
}

/** @throws Error when the 32 bytes are no point of the curve, where OpenSSL looks */
export function verifier(key: PublicKey): KeyObject {
  return createPublicKey({ key: { kty: 'OKP', crv: 'Ed25519', x: key.x }, format: 'jwk' })
}

/** @param key an Ed25519 key: the algorithm is that of the key, whatever the token says */
export function isSigned(input: string, signature: Uint8Array, key: KeyObject): boolean {
  return verify(null, Buffer.from(input, 'latin1'), key, signature)
}

/** The pinned keys of who may begin a chain. */
export interface Roots {
  /** @returns undefined when the issuer is not trusted, or has no such key. */
  find(issuer: string, keyId: string): KeyObject | undefined
}

/** @throws TypeError when one is not an Ed25519 key: a root is pinned to its algorithm */
export function pinnedRoots(
  keys: readonly { readonly issuer: string; readonly keyId: string; readonly key: KeyObject }[],
): Roots {
  const pinned = new Map<string, Map<string, KeyObject>>()
  for (const { issuer, keyId, key } of keys) {
    if (key.type !== 'public' || key.asymmetricKeyType !== 'ed25519') {
      throw new TypeError(`the key ${keyId} of ${issuer} is not a public Ed25519 key`)
    }
    const ofIssuer = pinned.get(issuer) ?? new Map<string, KeyObject>()
    pinned.set(issuer, ofIssuer.set(keyId, key))
  }
  return { find: (issuer, keyId) => pinned.get(issuer)?.get(keyId) }
}
