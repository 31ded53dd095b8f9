// A user's token taken apart: JWS compact form, each text in one way only. Nothing is verified here.

import type { Compact } from '../../../certs/jwt-svid/compact.ts'
import { ChainError } from '../../../policy/delegation/error.ts'
import { isObject, type JsonObject, readJson } from '../../../policy/delegation/strict-json.ts'
import { Refusal } from '../../refusal.ts'

export interface UserJwt {
  /** What the signature is checked on. */
  readonly compact: Compact
  /** `typ` of the header, lower case, without `application/` (RFC 7515 §4.1.9). */
  readonly type: string | undefined
  readonly claims: JsonObject
}

/** Characters; sign-in servers that put more into a token are asked to put less. */
export const longestUserToken = 16_384

/** @throws Refusal `user_token_invalid` */
export function readUserJwt(token: string): UserJwt {
  if (token.length > longestUserToken) throw invalid(`it is longer than ${longestUserToken} characters`)
  // Five parts are an encrypted token, and one of the JSON serialisations has no dots.
  const [head = '', body = '', signature = '', ...more] = token.split('.')
  if (head === '' || body === '' || signature === '' || more.length > 0)
    throw invalid('it is not a JWS in compact form')
  const header = objectOf(head, 'header')
  const payload = bytesOf(body, 'payload')
  bytesOf(signature, 'signature')
  const { alg, kid, typ } = header
  if (typeof alg !== 'string') throw invalid('its header names no algorithm')
  // Without it every key would have to be tried.
  if (typeof kid !== 'string' || kid === '') throw invalid('its header names no key')
  if (typ !== undefined && typeof typ !== 'string') throw invalid('its type is not text')
  // What must be understood is not (RFC 7515 §4.1.11), nor is an unencoded payload (RFC 7797).
  if ('crit' in header || 'b64' in header) throw invalid('its header has an extension')
  return {
    compact: { token, algorithm: alg, keyId: kid, payload },
    type: typ?.toLowerCase().replace(/^application\//, ''),
    claims: objectOf(body, 'payload'),
  }
}

/** One text for the same bytes: no padding, no other alphabet, no bits left over (RFC 7515 §2). */
function bytesOf(text: string, what: string): Buffer {
  const bytes = Buffer.from(text, 'base64url')
  if (bytes.toString('base64url') !== text) throw invalid(`its ${what} is not base64url`)
  return bytes
}

function objectOf(text: string, what: string): JsonObject {
  try {
    const value = readJson(bytesOf(text, what))
    if (isObject(value)) return value
  } catch (error) {
    if (error instanceof ChainError) throw invalid(`its ${what} is not JSON that reads in one way only`, error)
    throw error
  }
  throw invalid(`its ${what} is not a JSON object`)
}

/** @param detail holds nothing of what the token says */
export function invalid(detail: string, cause?: unknown): Refusal {
  return new Refusal('user_token_invalid', { detail, cause })
}
