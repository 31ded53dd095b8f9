// The tokens that a token exchange starts from: whose right it is (subject), and who acts with it (actor).
import { createHash } from 'node:crypto'
import * as z from 'zod'
import { secretReference } from '../../config/scalars.ts'
import { Refusal } from '../../refusal.ts'
import type { Secret } from '../../secret.ts'
import { span } from '../common-settings.ts'
import type { Need } from '../provider.ts'
import { readReference } from '../reference.ts'
import type { Surroundings } from '../surroundings.ts'
import { ownJwt } from './client-authentication.ts'
import { signingKeys } from './client-settings.ts'
import { signAssertion } from './sign-jwt.ts'
import { statementOf } from './statement.ts'

/** The names of RFC 8693 §3, short; or any URI. */
export const tokenType = z
  .union([
    z.enum(['access_token', 'refresh_token', 'id_token', 'saml1', 'saml2', 'jwt']),
    z.string().regex(/^[a-z][a-z0-9+.-]*:\S+$/, 'a URI, or one of the types of RFC 8693 §3'),
  ])
  .transform((type) => (type.includes(':') ? type : `urn:ietf:params:oauth:token-type:${type}`))

const audience = z.string().min(1).optional().describe('Its audience; without it, the issuer of the token server.')
const type = tokenType.prefault('jwt').describe('What kind of token it is (RFC 8693 §3), short or as URI.')

const statement = {
  type,
  audience,
  issuer: z.string().min(1).describe('`iss` of the statement: what the token server knows the signing key by.'),
  lifetime: span.prefault('1m').describe('How long the statement is good.'),
  ...signingKeys,
}

export const securityTokenSchema = z.discriminatedUnion('from', [
  z.strictObject({ from: z.literal('svid').describe('The JWT-SVID of the proxy.'), type, audience }),
  z.strictObject({
    from: z.literal('secret').describe('A token that somebody else puts there.'),
    type,
    token: secretReference.describe('Where it stands; read at each exchange.'),
  }),
  z.strictObject({
    from: z.literal('caller').describe('A short-lived statement, signed by the proxy, of who the caller is.'),
    ...statement,
  }),
  z.strictObject({
    from: z
      .literal('chain')
      .describe(
        'A short-lived statement, signed by the proxy, of the delegation chain: all its agents in a nested `act`, the caller outermost (RFC 8693 §4.1). As subject it speaks of the principal, as actor of the caller. The chain itself is never sent.',
      ),
    ...statement,
  }),
  z.strictObject({
    from: z.literal('principal').describe('The verified token of the user who stands at the root of the delegation.'),
    type,
  }),
])

export type SecurityTokenSettings = z.output<typeof securityTokenSchema>

/** What of a need goes into the token, so that another's is never served. */
export function partitionOf(settings: SecurityTokenSettings | undefined, { caller, principal, chain }: Need): string {
  switch (settings?.from) {
    case 'caller':
      return caller.id
    case 'chain':
      return JSON.stringify([principal.kind, principal.id, caller.id, chain.hops.map(({ id }) => id)])
    case 'principal':
      return principal.token === undefined ? `no token of ${caller.id}` : digestOf(principal.token)
    default:
      return ''
  }
}

const digests = new WeakMap<Secret, string>()

/** Of a user's token: two sign-ins of one user may be worth different things. Made once for each. */
function digestOf(token: Secret): string {
  const known = digests.get(token)
  if (known !== undefined) return known
  const digest = createHash('sha256').update(token.reveal()).digest('base64url')
  digests.set(token, digest)
  return digest
}

/**
 * @param role what the token is in the exchange
 * @param server what it is addressed to, unless the settings say otherwise
 * @throws Refusal `credential_unavailable`; `consent_required` when no user has signed in
 */
export async function securityToken(
  settings: SecurityTokenSettings,
  role: 'subject' | 'actor',
  need: Need,
  server: string,
  surroundings: Surroundings,
): Promise<string> {
  switch (settings.from) {
    case 'svid':
      return ownJwt(surroundings, [settings.audience ?? server])
    case 'secret':
      return readReference(settings.token, surroundings)
    case 'principal': {
      const { token } = need.principal
      if (token === undefined)
        throw new Refusal('consent_required', { detail: 'no token of a user is at the root of the delegation' })
      return token.reveal()
    }
    case 'caller':
    case 'chain': {
      // From what was proven, never from anything that the caller wrote.
      const { subject, claims } =
        settings.from === 'caller' ? { subject: need.caller.id, claims: {} } : statementOf(need, role)
      return signAssertion(
        {
          issuer: settings.issuer,
          subject,
          audience: settings.audience ?? server,
          claims,
          now: surroundings.clock(),
          lifetime: Math.ceil(settings.lifetime / 1000),
        },
        { key: await readReference(settings.key, surroundings), keyId: settings.keyId, algorithm: settings.algorithm },
      )
    }
  }
}
