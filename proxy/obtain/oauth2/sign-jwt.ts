// Signs the short-lived assertions that the proxy makes itself (RFC 7523).
import { createPrivateKey, type KeyObject, randomUUID } from 'node:crypto'
import { Refusal } from '../../refusal.ts'

export interface Assertion {
  readonly issuer: string
  readonly subject: string
  readonly audience: string
  /** What else it says. */
  readonly claims?: Readonly<Record<string, unknown>>
  /** Epoch milliseconds. */
  readonly now: number
  /** Seconds. */
  readonly lifetime: number
}

export interface Signer {
  /** PEM or JWK. */
  readonly key: string
  readonly keyId: string | undefined
  readonly algorithm: string | undefined
}

/**
 * @returns a compact JWS
 * @throws Refusal `credential_unavailable` when the key cannot sign
 */
export async function signAssertion(assertion: Assertion, signer: Signer): Promise<string> {
  const { key, keyId } = readKey(signer.key)
  const kid = signer.keyId ?? keyId
  const issuedAt = Math.floor(assertion.now / 1000)
  // At its first use, for it costs each start 20 ms otherwise, and few configurations sign.
  const { SignJWT } = await import('jose')
  try {
    return await new SignJWT({ ...assertion.claims })
      .setProtectedHeader({ alg: signer.algorithm ?? algorithmOf(key), ...(kid === undefined ? {} : { kid }) })
      .setIssuer(assertion.issuer)
      .setSubject(assertion.subject)
      .setAudience(assertion.audience)
      .setJti(randomUUID())
      .setIssuedAt(issuedAt)
      .setExpirationTime(issuedAt + assertion.lifetime)
      .sign(key)
  } catch (cause) {
    if (cause instanceof Refusal) throw cause
    throw new Refusal('credential_unavailable', { detail: 'the signing key does not fit the algorithm', cause })
  }
}

function readKey(text: string): { key: KeyObject; keyId: string | undefined } {
  try {
    if (!text.trimStart().startsWith('{')) return { key: createPrivateKey(text), keyId: undefined }
    const jwk = JSON.parse(text)
    return {
      key: createPrivateKey({ key: jwk, format: 'jwk' }),
      keyId: typeof jwk.kid === 'string' ? jwk.kid : undefined,
    }
  } catch {
    // No cause: a parser's message may quote the key.
    throw new Refusal('credential_unavailable', { detail: 'the signing key is neither a PEM nor a JWK private key' })
  }
}

const curves: Record<string, string> = { prime256v1: 'ES256', secp384r1: 'ES384', secp521r1: 'ES512' }

function algorithmOf(key: KeyObject): string {
  switch (key.asymmetricKeyType) {
    case 'rsa':
      return 'RS256'
    case 'rsa-pss':
      return 'PS256'
    case 'ed25519':
      return 'EdDSA'
    case 'ec': {
      const algorithm = curves[key.asymmetricKeyDetails?.namedCurve ?? '']
      if (algorithm !== undefined) return algorithm
    }
  }
  throw new Refusal('credential_unavailable', { detail: 'no algorithm fits the signing key' })
}
