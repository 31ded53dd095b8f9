// Access token for the proxy itself as an OAuth client (RFC 6749 §4.4).
import * as z from 'zod'
import { endingKeys } from './common-settings.ts'
import { clientSchema } from './oauth2/client-settings.ts'
import { checkDelegated, Narrowing, optionalDelegatedKey } from './oauth2/narrowing.ts'
import { checkServer, serverKeys } from './oauth2/server-settings.ts'
import { tokenLease } from './oauth2/token-lease.ts'
import { TokenServer } from './oauth2/token-server.ts'
import type { CredentialProvider, Lease, Need } from './provider.ts'
import type { Surroundings } from './surroundings.ts'

export const clientCredentialsSchema = z
  .strictObject({
    kind: z.literal('oauth2-client-credentials').describe('An access token for the proxy itself (RFC 6749 §4.4).'),
    ...endingKeys,
    ...serverKeys,
    client: clientSchema,
    delegated: optionalDelegatedKey,
  })
  .superRefine(checkServer)
  .superRefine(checkDelegated)
  .describe('An access token for the proxy itself as an OAuth client (RFC 6749 §4.4).')

export class ClientCredentialsProvider implements CredentialProvider {
  readonly kind = 'oauth2-client-credentials'
  readonly #name: string
  readonly #server: TokenServer
  /** Undefined: the same for all. */
  readonly #narrowing: Narrowing | undefined

  constructor(name: string, settings: z.output<typeof clientCredentialsSchema>, surroundings: Surroundings) {
    this.#name = name
    this.#server = new TokenServer(settings, surroundings)
    this.#narrowing = settings.delegated && new Narrowing(settings.scopes, settings.delegated)
  }

  get revokesAt(): string {
    return this.#server.revokesAt
  }

  partition(need: Need): string {
    return this.#narrowing?.of(need)?.key ?? ''
  }

  async obtain(need: Need, signal: AbortSignal): Promise<Lease> {
    const scopes = this.#narrowing?.scopesFor(need)
    const token = await this.#server.token(
      [['grant_type', 'client_credentials']],
      {
        ...(scopes === undefined ? {} : { scopes }),
        exchange: false,
        requestedTokenType: undefined,
        grantEnded: 'credential_unavailable',
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
}
