// An access token as a lease.
import { makeSecret } from '../make-secret.ts'
import type { Lease } from '../provider.ts'
import type { Token } from './token-server.ts'

/** @param credential its name in the configuration */
export function tokenLease(credential: string, kind: string, token: Token): Lease {
  return {
    credential,
    kind,
    secret: makeSecret(credential, token.accessToken, 'the access token'),
    username: undefined,
    expiresAt: token.expiresAt,
    scopes: token.scopes,
    cache: 'miss',
  }
}
