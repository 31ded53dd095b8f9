// One token of a delegation chain: a JWT whose bytes are canonical JSON, and whose objects are closed.
import { parseSpiffeId, pathOf, type SpiffeId, SpiffeIdError } from '../../certs/spiffe-id.ts'
import { canonical } from './canonical.ts'
import { type Constraint, readConstraints, writeConstraint } from './constraints.ts'
import { ChainError, malformed } from './error.ts'
import { type PublicKey, publicKeyOf } from './keys.ts'
import { isScope } from './scope.ts'
import { isObject, type JsonObject, type JsonValue, readJson } from './strict-json.ts'

/** Bytes; a token of usual size has 1,300. */
export const longestToken = 64 * 1024
export const algorithm = 'Ed25519'
/** How many tokens a chain may ever have. */
export const mostTokens = 8

const type = 'at+jwt'
const detailType = 'agent_delegation'
const mostScopes = 256
const mostAudiences = 16
const longestText = 2048

export interface Claims {
  readonly iss: string
  /** The principal. */
  readonly sub: string
  readonly agent: SpiffeId
  readonly audience: readonly string[]
  /** Epoch seconds, as are the next two. */
  readonly iat: number
  readonly nbf: number
  readonly exp: number
  readonly jti: string
  readonly txn: string
  /** Of the agent: verifies what it hands on. */
  readonly key: PublicKey
  readonly depth: number
  /** In tokens, the root included. */
  readonly maxDepth: number | undefined
  readonly parentHash: string | undefined
  readonly scopes: readonly string[]
  readonly constraints: readonly Constraint[]
  readonly status: { readonly uri: string; readonly index: number } | undefined
}

/** Well-formed; nothing of it is verified. */
export interface Token {
  readonly algorithm: string
  readonly keyId: string | undefined
  readonly claims: Claims
  /** The first two parts, as signed. */
  readonly input: string
  readonly signature: Uint8Array
}

/** @throws ChainError of step 1 */
export function readToken(text: string): Token {
  if (text.length > longestToken) malformed(`a token is longer than ${longestToken} bytes`)
  const [header, payload, signature, more] = text.split('.')
  if (header === undefined || payload === undefined || signature === undefined || more !== undefined) {
    return malformed('a token has not three parts')
  }
  const { alg, kid } = readHeader(readPart(header))
  return {
    algorithm: alg,
    keyId: kid,
    claims: readClaims(readPart(payload)),
    input: `${header}.${payload}`,
    signature: decode(signature),
  }
}

/** The two parts that are signed. */
export function writeInput(keyId: string | undefined, claims: Claims): string {
  const header = { alg: algorithm, typ: type, ...(keyId === undefined ? {} : { kid: keyId }) }
  return `${encode(header)}.${encode(payloadOf(claims))}`
}

function payloadOf(claims: Claims): JsonObject {
  const { key, maxDepth, parentHash, status } = claims
  return {
    iss: claims.iss,
    sub: claims.sub,
    client_id: claims.agent,
    aud: claims.audience,
    iat: claims.iat,
    nbf: claims.nbf,
    exp: claims.exp,
    jti: claims.jti,
    txn: claims.txn,
    cnf: { jwk: { kty: 'OKP', crv: 'Ed25519', alg: algorithm, x: key.x } },
    del_depth: claims.depth,
    ...(maxDepth === undefined ? {} : { del_max_depth: maxDepth }),
    ...(parentHash === undefined ? {} : { par_hash: parentHash }),
    authorization_details: [
      { type: detailType, scopes: claims.scopes, constraints: claims.constraints.map(writeConstraint) },
    ],
    ...(status === undefined ? {} : { status: { status_list: { idx: status.index, uri: status.uri } } }),
  }
}

function encode(value: JsonObject): string {
  return Buffer.from(canonical(value)).toString('base64url')
}

/** Buffer passes over what is not base64url, and over stray bits at the end: only one spelling of the bytes is taken. */
function decode(part: string): Buffer {
  const bytes = Buffer.from(part, 'base64url')
  if (bytes.toString('base64url') !== part) malformed('a part of a token is not base64url')
  return bytes
}

function readPart(part: string): JsonObject {
  const bytes = decode(part)
  const value = readJson(bytes)
  if (!isObject(value)) return malformed('a part of a token is not a JSON object')
  if (!bytes.equals(Buffer.from(canonical(value)))) {
    throw new ChainError('chain_non_canonical', 'the bytes of a token are not those of its canonical form')
  }
  return value
}

function readHeader(header: JsonObject): { readonly alg: string; readonly kid: string | undefined } {
  closed('the header', header, ['alg', 'typ'], ['kid'])
  if (header.typ !== type) malformed(`the type of a token is not ${type}`)
  return { alg: text(header, 'alg'), kid: header.kid === undefined ? undefined : text(header, 'kid') }
}

const required = [
  'iss',
  'sub',
  'client_id',
  'aud',
  'iat',
  'exp',
  'jti',
  'txn',
  'cnf',
  'del_depth',
  'authorization_details',
] as const
const optional = ['nbf', 'del_max_depth', 'par_hash', 'status'] as const

function readClaims(payload: JsonObject): Claims {
  closed('the payload', payload, required, optional)
  const iat = count(payload, 'iat')
  const { scopes, constraints } = readDetail(payload.authorization_details)
  return {
    iss: text(payload, 'iss'),
    sub: text(payload, 'sub'),
    agent: readAgent(text(payload, 'client_id')),
    audience: readAudience(payload.aud),
    iat,
    nbf: payload.nbf === undefined ? iat : count(payload, 'nbf'),
    exp: count(payload, 'exp'),
    jti: text(payload, 'jti'),
    txn: text(payload, 'txn'),
    key: readConfirmation(payload.cnf),
    depth: count(payload, 'del_depth'),
    maxDepth: payload.del_max_depth === undefined ? undefined : readMaxDepth(payload),
    parentHash: payload.par_hash === undefined ? undefined : text(payload, 'par_hash'),
    scopes,
    constraints,
    status: payload.status === undefined ? undefined : readStatus(payload.status),
  }
}

function readAgent(id: string): SpiffeId {
  let agent: SpiffeId
  try {
    agent = parseSpiffeId(id)
  } catch (error) {
    if (error instanceof SpiffeIdError) return malformed(`client_id is ${error.message}`)
    throw error
  }
  return pathOf(agent) === '' ? malformed('client_id names a trust domain, not a workload') : agent
}

/** One name alone may stand without a list (RFC 7519 §4.1.3). */
function readAudience(value: JsonValue | undefined): readonly string[] {
  const names = typeof value === 'string' ? [value] : value
  if (!Array.isArray(names) || names.length === 0 || names.length > mostAudiences || !names.every(isText)) {
    return malformed('aud is not a list of names')
  }
  return names
}

function readConfirmation(value: JsonValue | undefined): PublicKey {
  const { jwk } = closed('cnf', value, ['jwk'])
  // Closed, so that neither a private key nor a second kind of key hides in it.
  const { kty, crv, alg = algorithm, x } = closed('cnf.jwk', jwk, ['kty', 'crv', 'x'], ['alg'])
  if (kty !== 'OKP' || crv !== 'Ed25519' || alg !== algorithm) malformed('cnf.jwk is not an Ed25519 key')
  if (typeof x !== 'string' || decode(x).length !== 32) return malformed('cnf.jwk is not an Ed25519 key')
  return publicKeyOf(x)
}

function readMaxDepth(payload: JsonObject): number {
  const depth = count(payload, 'del_max_depth')
  return depth >= 1 && depth <= mostTokens ? depth : malformed(`del_max_depth is not from 1 to ${mostTokens}`)
}

function readDetail(value: JsonValue | undefined) {
  if (!Array.isArray(value) || value.length !== 1) return malformed('authorization_details has not exactly one entry')
  const detail = closed('the authorization detail', value[0], ['type', 'scopes', 'constraints'])
  if (detail.type !== detailType) malformed(`the type of the authorization detail is not ${detailType}`)
  return { scopes: readScopes(detail.scopes), constraints: readConstraints(detail.constraints) }
}

/**
 * A list of scopes as a token or a request for one holds it.
 * @throws ChainError chain_malformed
 */
export function readScopes(value: JsonValue | undefined): readonly string[] {
  if (!Array.isArray(value) || value.length === 0) return malformed('scopes are empty or no list')
  if (value.length > mostScopes) malformed(`more than ${mostScopes} scopes`)
  if (!value.every((scope) => typeof scope === 'string' && isScope(scope)))
    return malformed('a scope is not well-formed')
  return new Set(value).size === value.length ? value : malformed('a scope stands twice')
}

function readStatus(value: JsonValue): { uri: string; index: number } {
  const list = closed('status_list', closed('status', value, ['status_list']).status_list, ['idx', 'uri'])
  return { uri: text(list, 'uri'), index: count(list, 'idx') }
}

function closed(
  what: string,
  value: JsonValue | undefined,
  needed: readonly string[],
  allowed: readonly string[] = [],
): JsonObject {
  if (!isObject(value)) return malformed(`${what} is not an object`)
  for (const name of needed) if (value[name] === undefined) malformed(`${what} has no ${name}`)
  for (const name of Object.keys(value)) {
    if (!needed.includes(name) && !allowed.includes(name)) malformed(`${what} has a member that is not known`)
  }
  return value
}

function text(object: JsonObject, name: string): string {
  const value = object[name]
  return isText(value) ? value : malformed(`${name} is empty, too long or no text`)
}

function count(object: JsonObject, name: string): number {
  const value = object[name]
  if (typeof value !== 'number' || !Number.isSafeInteger(value) || value < 0) return malformed(`${name} is not a count`)
  return value
}

function isText(value: JsonValue | undefined): value is string {
  return typeof value === 'string' && value !== '' && value.length <= longestText
}
