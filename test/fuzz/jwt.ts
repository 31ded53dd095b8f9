// Inputs of the targets that read tokens: a header and a payload as text, to be signed, or a whole token that is not.
import { sign } from 'node:crypto'
import { makeKey } from '../support/pki.ts'

/** The key by which tokens are signed; made anew in each process. */
export const key = makeKey('p256')

/** A line for the header, the rest for the payload. Undefined: a token as it stands, without line ends. */
export function partsOf(text: string): { readonly header: string; readonly payload: string } | undefined {
  const end = text.indexOf('\n')
  return end === -1 ? undefined : { header: text.slice(0, end), payload: text.slice(end + 1) }
}

export function signed(header: string, payload: string): string {
  const input = `${Buffer.from(header).toString('base64url')}.${Buffer.from(payload).toString('base64url')}`
  const signature = sign('sha256', Buffer.from(input), { key: key.privateKey, dsaEncoding: 'ieee-p1363' })
  return `${input}.${signature.toString('base64url')}`
}

/** One with a signature that is none. */
export function unsigned(header: string, payload: string): string {
  return `${Buffer.from(header).toString('base64url')}.${Buffer.from(payload).toString('base64url')}.${'A'.repeat(86)}`
}

export const tokenWords = [
  ...['{', '}', '"', ',', ':', '[', ']', 'null', 'true', '-1', '1e999', '\n', '.', '..', '=', '-', '_', '\\u0000', 'é'],
  ...[
    '"alg":',
    '"kid":',
    '"typ":',
    '"crit":',
    '"jwk":',
    '"b64":false',
    '"sub":',
    '"aud":',
    '"exp":',
    '"iat":',
    '"nbf":',
    '"iss":',
  ],
  ...[
    'none',
    'HS256',
    'ES256',
    'RS256',
    'ES384',
    'JWT',
    'at+jwt',
    'application/',
    'k1',
    'eyJ',
    '"__proto__":',
    'spiffe://',
  ],
]
