// Which signature a key makes (RFC 7518 §3.1, RFC 8037), for the kinds of keys that SVIDs have.
import { constants, type KeyObject } from 'node:crypto'

export interface Scheme {
  /** `alg` of the JWS. */
  readonly alg: string
  /** null: the scheme brings its own. */
  readonly hash: string | null
  readonly options: {
    readonly dsaEncoding?: 'ieee-p1363'
    readonly padding?: number
    readonly saltLength?: number
  }
}

const ecdsa = (alg: string, hash: string): Scheme => ({ alg, hash, options: { dsaEncoding: 'ieee-p1363' } })

const curves: Readonly<Record<string, Scheme>> = {
  prime256v1: ecdsa('ES256', 'sha256'),
  secp384r1: ecdsa('ES384', 'sha384'),
  secp521r1: ecdsa('ES512', 'sha512'),
}

const rsa: Scheme = {
  alg: 'PS256',
  hash: 'sha256',
  options: { padding: constants.RSA_PKCS1_PSS_PADDING, saltLength: 32 },
}

/** The one scheme of a key; undefined where none is used. The key decides, never what a signature says of itself. */
export function schemeOf({ asymmetricKeyType, asymmetricKeyDetails }: KeyObject): Scheme | undefined {
  switch (asymmetricKeyType) {
    case 'ec':
      return curves[asymmetricKeyDetails?.namedCurve ?? '']
    case 'rsa':
      return rsa
    case 'ed25519':
      return { alg: 'EdDSA', hash: null, options: {} }
    default:
      return undefined
  }
}
