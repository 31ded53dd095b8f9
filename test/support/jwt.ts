// Tokens for tests, sound and bent: any header, any payload, signed all the same.
import { type KeyObject, sign } from 'node:crypto'
import type { JWK } from 'jose'
import type { KeyPair } from './pki.ts'

export type Json = Readonly<Record<string, unknown>>

const hashes: Readonly<Record<string, string>> = { ES256: 'sha256', ES384: 'sha384', ES512: 'sha512', RS256: 'sha256' }

/** A JWS in compact form. Text is taken as it is, anything else as JSON. */
export function signJwt(header: Json | string, payload: Json | string, key: KeyObject, hash = 'sha256'): string {
  const part = (value: Json | string) =>
    Buffer.from(typeof value === 'string' ? value : JSON.stringify(value)).toString('base64url')
  const alg = typeof header === 'string' ? undefined : header.alg
  const signed = `${part(header)}.${part(payload)}`
  const signature = sign(typeof alg === 'string' ? (hashes[alg] ?? hash) : hash, Buffer.from(signed), {
    key,
    dsaEncoding: 'ieee-p1363',
  })
  return `${signed}.${signature.toString('base64url')}`
}

/** The public half as a key of a set. */
export function publicJwk({ privateKey }: KeyPair, kid: string, more: Json = {}): JWK {
  const { kty = '', crv, x, y, n, e } = privateKey.export({ format: 'jwk' })
  const key = kty === 'RSA' ? { kty, n, e } : { kty, crv, x, y }
  return { ...key, kid, ...more } as JWK
}
