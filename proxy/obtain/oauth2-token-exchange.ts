// Access token in exchange for another token (RFC 8693).
import * as z from 'zod'
import { endingKeys } from './common-settings.ts'
import { clientSchema } from './oauth2/client-settings.ts'
import { checkDelegated, delegatedKey, Narrowing } from './oauth2/narrowing.ts'
import { partitionOf, securityToken, securityTokenSchema, tokenType } from './oauth2/security-token.ts'
import { checkServer, serverKeys } from './oauth2/server-settings.ts'
import { tokenLease } from './oauth2/token-lease.ts'
import { type Form, TokenServer } from './oauth2/token-server.ts'
import type { CredentialProvider, Lease, Need } from './provider.ts'
import type { Surroundings } from './surroundings.ts'

export const tokenExchangeSchema = z
  .strictObject({
    kind: z.literal('oauth2-token-exchange').describe('An access token in exchange for another token (RFC 8693).'),
    ...endingKeys,
    ...serverKeys,
    client: clientSchema.optional(),
    delegated: delegatedKey.default({}),
    subject: securityTokenSchema.describe('Whose right it is: the subject_token.'),
    actor: securityTokenSchema.optional().describe('Who acts with it: the actor_token.'),
    requestedTokenType: tokenType
      .optional()
      .describe('What to ask for (RFC 8693 §3), short or as URI. An answer of another type is refused.'),
  })
  .superRefine(checkServer)
  .superRefine(checkDelegated)
  .describe('An access token in exchange for another token (RFC 8693).')

type Settings = z.output<typeof tokenExchangeSchema>

export class TokenExchangeProvider implements CredentialProvider {
  readonly kind = 'oauth2-token-exchange'
  readonly #name: string
  readonly #settings: Settings
  readonly #surroundings: Surroundings
  readonly #server: TokenServer
  readonly #narrowing: Narrowing

  constructor(name: string, settings: Settings, surroundings: Surroundings) {
    this.#name = name
    this.#settings = settings
    this.#surroundings = surroundings
    this.#server = new TokenServer(settings, surroundings)
    this.#narrowing = new Narrowing(settings.scopes, settings.delegated)
  }

  get revokesAt(): string {
    return this.#server.revokesAt
  }

  /** Under a delegation, all of it; and what subject and actor speak of. */
  partition(need: Need): string {
    const { subject, actor } = this.#settings
    const narrowed = this.#narrowing.of(need)
    const spoken = partitionOf(subject, need) || partitionOf(actor, need)
    if (narrowed === undefined) return subject.from === 'principal' ? `${spoken} ${need.caller.id}` : spoken
    // The chain holds the caller and every agent; the user's token alone is not in it.
    return subject.from === 'principal' ? `${narrowed.key} ${spoken}` : narrowed.key
  }

  async obtain(need: Need, signal: AbortSignal): Promise<Lease> {
    const { subject, requestedTokenType } = this.#settings
    const scopes = this.#narrowing.scopesFor(need)
    const token = await this.#server.token(
      await this.#grant(need),
      {
        scopes,
        exchange: true,
        requestedTokenType,
        grantEnded: subject.from === 'principal' ? 'consent_required' : 'credential_unavailable',
      },
      signal,
    )
    return tokenLease(this.#name, this.kind, token)
  }

  revoke(lease: Lease, signal: AbortSignal): Promise<void> {
    return this.#server.revoke(lease.secret.reveal(), signal)
  }

  close(): void {
    this.#server.close()
  }

  async #grant(need: Need): Promise<Form> {
    const { subject, actor, requestedTokenType } = this.#settings
    const { audience } = this.#server
    const grant: [string, string][] = [
      ['grant_type', 'urn:ietf:params:oauth:grant-type:token-exchange'],
      ['subject_token', await securityToken(subject, 'subject', need, audience, this.#surroundings)],
      ['subject_token_type', subject.type],
    ]
    if (actor !== undefined)
      grant.push(
        ['actor_token', await securityToken(actor, 'actor', need, audience, this.#surroundings)],
        ['actor_token_type', actor.type],
      )
    if (requestedTokenType !== undefined) grant.push(['requested_token_type', requestedTokenType])
    return grant
  }
}
