// The configuration of credentials: a closed union of kinds, each of which describes itself in its own file.
import * as z from 'zod'
import { envSchema } from './env.ts'
import { execSchema } from './exec.ts'
import { fileSchema } from './file.ts'
import { clientCredentialsSchema } from './oauth2-client-credentials.ts'
import { refreshTokenSchema } from './oauth2-refresh-token.ts'
import { tokenExchangeSchema } from './oauth2-token-exchange.ts'

export const credentialSchema = z
  .discriminatedUnion('kind', [
    envSchema,
    fileSchema,
    execSchema,
    clientCredentialsSchema,
    tokenExchangeSchema,
    refreshTokenSchema,
  ])
  .describe('A credential: where it comes from, and where it may be sent.')

export type CredentialSettings = z.output<typeof credentialSchema>
