// The tokens that a token exchange starts from: whose right it is (subject), and who acts with it (actor).
import * as z from 'zod'
import { secretReference } from '../../config/scalars.ts'
import { span } from '../common-settings.ts'
import type { Need } from '../provider.ts'
import { readReference } from '../reference.ts'
import type { Surroundings } from '../surroundings.ts'
import { ownIdentity } from './client-authentication.ts'
import { signingKeys } from './client-settings.ts'
import { signAssertion } from './sign-jwt.ts'

/** The names of RFC 8693 §3, short; or any URI. */
export const tokenType = z
  .union([
    z.enum(['access_token', 'refresh_token', 'id_token', 'saml1', 'saml2', 'jwt']),
    z.string().regex(/^[a-z][a-z0-9+.-]*:\S+$/, 'a URI, or one of the types of RFC 8693 §3'),
  ])
  .transform((type) => (type.includes(':') ? type : `urn:ietf:params:oauth:token-type:${type}`))

const audience = z.string().min(1).optional().describe('Its audience; without it, the issuer of the token server.')
const type = tokenType.prefault('jwt').describe('What kind of token it is (RFC 8693 §3), short or as URI.')

export const securityTokenSchema = z.discriminatedUnion('from', [
  z.strictObject({ from: z.literal('svid').describe('The JWT-SVID of the proxy.'), type, audience }),
  z.strictObject({
    from: z.literal('secret').describe('A token that somebody else puts there.'),
    type,
    token: secretReference.describe('Where it stands; read at each exchange.'),
  }),
  z.strictObject({
    from: z.literal('caller').describe('A short-lived statement, signed by the proxy, of who the caller is.'),
    type,
    audience,
    issuer: z.string().min(1).describe('`iss` of the statement: what the token server knows the signing key by.'),
    lifetime: span.prefault('1m').describe('How long the statement is good.'),
    ...signingKeys,
  }),
])

export type SecurityTokenSettings = z.output<typeof securityTokenSchema>

/** What of a need goes into the token, so that another's is never served. */
export function partitionOf(settings: SecurityTokenSettings | undefined, need: Need): string {
  return settings?.from === 'caller' ? need.caller.id : ''
}

/**
 * @param server what it is addressed to, unless the settings say otherwise
 * @throws Refusal `credential_unavailable`
 */
export async function securityToken(
  settings: SecurityTokenSettings,
  need: Need,
  server: string,
  surroundings: Surroundings,
): Promise<string> {
  switch (settings.from) {
    case 'svid':
      return ownIdentity(surroundings).jwt([settings.audience ?? server])
    case 'secret':
      return readReference(settings.token, surroundings)
    case 'caller':
      return signAssertion(
        {
          issuer: settings.issuer,
          // From what was proven of the caller, never from anything that it wrote.
          subject: need.caller.id,
          audience: settings.audience ?? server,
          now: surroundings.clock(),
          lifetime: Math.ceil(settings.lifetime / 1000),
        },
        { key: await readReference(settings.key, surroundings), keyId: settings.keyId, algorithm: settings.algorithm },
      )
  }
}
