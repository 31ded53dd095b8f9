// The kinds of token that may speak for a user, told apart by their type, and what each must and must not say.
import type { JsonObject } from '../../../policy/delegation/strict-json.ts'
import { invalid } from './jwt.ts'

export const userTokenKinds = ['id-token', 'access-token', 'id-jag', 'txn-token'] as const
export type UserTokenKind = (typeof userTokenKinds)[number]

const kinds: Readonly<Record<string, UserTokenKind>> = {
  jwt: 'id-token',
  'at+jwt': 'access-token',
  'oauth-id-jag+jwt': 'id-jag',
  'txntoken+jwt': 'txn-token',
}

/**
 * @param type as in the header; ID tokens may have none
 * @returns undefined: of no kind that speaks for a user, such as a logout token or a DPoP proof
 */
export function kindOf(type: string | undefined): UserTokenKind | undefined {
  if (type === undefined) return 'id-token'
  return Object.hasOwn(kinds, type) ? kinds[type] : undefined
}

/** Claims that must be text, besides `iss`, `sub`, `aud`, `exp` and `iat`, which all must have. */
const required: Readonly<Record<UserTokenKind, readonly string[]>> = {
  'id-token': [],
  // RFC 9068 §2.2.
  'access-token': ['client_id', 'jti'],
  // draft-ietf-oauth-identity-assertion-authz-grant.
  'id-jag': ['client_id', 'jti'],
  // draft-ietf-oauth-transaction-tokens.
  'txn-token': ['txn', 'scope', 'req_wl'],
}

/** Access tokens from before RFC 9068 and logout tokens have the type of an ID token, but say what no ID token does. */
const neverInIdTokens = ['scope', 'scp', 'client_id', 'events', 'cnf']
/** What servers call their ID tokens where they tell, which some do in the claims. */
const idTokenMarks: Readonly<Record<string, string>> = { typ: 'ID', token_use: 'id' }

/**
 * @param audience what the token was made for, already checked
 * @throws Refusal `user_token_invalid`
 */
export function checkKind(kind: UserTokenKind, claims: JsonObject, audience: string): void {
  for (const name of required[kind]) {
    const value = claims[name]
    if (typeof value !== 'string' || value === '') throw invalid(`it has no ${name}`)
  }
  if (kind === 'id-token') {
    for (const name of neverInIdTokens)
      if (name in claims) throw invalid(`it has the claim ${name}, which no ID token has`)
    for (const [name, mark] of Object.entries(idTokenMarks))
      if (name in claims && claims[name] !== mark) throw invalid(`its claim ${name} is not that of an ID token`)
    // OpenID Connect Core §3.1.3.7: made for the audience, and handed to nobody else.
    if (claims.azp !== undefined && claims.azp !== audience) throw invalid('it was given to another client')
  }
  // RFC 9068 §5: where no user was there, the client stands in the place of the user.
  if (kind === 'access-token' && claims.sub === claims.client_id) throw invalid('it is of a client, not of a user')
}
