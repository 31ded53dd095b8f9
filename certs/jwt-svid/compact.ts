// A JWT-SVID taken apart: JWS compact form, and only what JWT-SVID §2 lets stand in its header. Nothing is verified here.
import { JwtSvidError } from './error.ts'

/** A token of sound form; its signature has not been looked at. */
export interface Compact {
  readonly token: string
  readonly algorithm: string
  readonly keyId: string
  /** What is signed, decoded. */
  readonly payload: Buffer
}

/** Characters. The head of a request may have no more than twice this. */
const longestToken = 16_384

/** JWT-SVID §2.1: of asymmetric keys, and nothing else; `none` and HMAC would let anybody sign. */
const algorithms = new Set(['RS256', 'RS384', 'RS512', 'ES256', 'ES384', 'ES512', 'PS256', 'PS384', 'PS512'])

/** JWT-SVID §2: other parameters must not be there; `jwk`, `jku` and `x5c` would bring a key along. */
const parameters = new Set(['alg', 'kid', 'typ'])

const strictUtf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true })

/** @throws JwtSvidError */
export function readCompact(token: string): Compact {
  if (token.length > longestToken)
    throw new JwtSvidError('jwt_svid_too_long', `it is longer than ${longestToken} characters`)
  // The JSON serialisations have no dots (JWT-SVID §2), and five parts are an encrypted token.
  const [head = '', body = '', signature = '', ...more] = token.split('.')
  if (head === '' || signature === '' || more.length > 0) throw malformed('it is not a JWS in compact form')
  const header = readObject(decode(head, 'header'), 'header')
  const payload = decode(body, 'payload')
  decode(signature, 'signature')

  const { alg, typ, kid } = header
  if (typeof alg !== 'string' || !algorithms.has(alg))
    throw new JwtSvidError('jwt_svid_algorithm', 'its algorithm is not one of the nine of JWT-SVID')
  if (typ !== undefined && typ !== 'JWT' && typ !== 'JOSE')
    throw new JwtSvidError('jwt_svid_type', 'its type is neither JWT nor JOSE')
  if (Object.keys(header).some((name) => !parameters.has(name)))
    throw new JwtSvidError('jwt_svid_header', 'its header has a parameter other than alg, kid and typ')
  // Optional in the specification, demanded by go-spiffe and SPIRE: without it every key would have to be tried.
  if (typeof kid !== 'string' || kid === '') throw new JwtSvidError('jwt_svid_no_key_id', 'its header names no key')
  return { token, algorithm: alg, keyId: kid, payload }
}

/** @throws JwtSvidError `jwt_svid_malformed` */
export function readClaims({ payload }: Compact): Readonly<Record<string, unknown>> {
  return readObject(payload, 'payload')
}

/** One text for the same bytes: no padding, no other alphabet, no bits left over (RFC 7515 §2). */
function decode(text: string, what: string): Buffer {
  const bytes = Buffer.from(text, 'base64url')
  if (bytes.toString('base64url') !== text) throw malformed(`its ${what} is not base64url`)
  return bytes
}

function readObject(bytes: Buffer, what: string): Readonly<Record<string, unknown>> {
  let value: unknown
  try {
    value = JSON.parse(strictUtf8.decode(bytes))
  } catch {
    throw malformed(`its ${what} is not JSON`)
  }
  if (typeof value !== 'object' || value === null || Array.isArray(value))
    throw malformed(`its ${what} is not a JSON object`)
  return { ...value }
}

function malformed(detail: string): JwtSvidError {
  return new JwtSvidError('jwt_svid_malformed', detail)
}
