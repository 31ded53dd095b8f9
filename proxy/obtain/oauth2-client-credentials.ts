// Access token for the proxy itself as an OAuth client (RFC 6749 §4.4).
import * as z from 'zod'
import { endingKeys } from './common-settings.ts'
import { clientSchema } from './oauth2/client-settings.ts'
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
  })
  .superRefine(checkServer)
  .describe('An access token for the proxy itself as an OAuth client (RFC 6749 §4.4).')

export class ClientCredentialsProvider implements CredentialProvider {
  readonly kind = 'oauth2-client-credentials'
  readonly #name: string
  readonly #server: TokenServer

  constructor(name: string, settings: z.output<typeof clientCredentialsSchema>, surroundings: Surroundings) {
    this.#name = name
    this.#server = new TokenServer(settings, surroundings)
  }

  partition(): string {
    return ''
  }

  async obtain(_need: Need, signal: AbortSignal): Promise<Lease> {
    const token = await this.#server.token(
      [['grant_type', 'client_credentials']],
      { exchange: false, requestedTokenType: undefined, grantEnded: 'credential_unavailable' },
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
