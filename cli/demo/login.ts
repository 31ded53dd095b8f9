// The authorization server of the demo: users sign in to it, it makes access tokens, and it exchanges a user's token for a narrower one.
import { randomBytes } from 'node:crypto'
import { exportJWK, exportPKCS8, generateKeyPair } from 'jose'
import { type AuthorizationServer, startAuthorizationServer } from '../../test/support/authorization-server.ts'
import { application as app, client, statements } from './configuration.ts'
import { type Application, signIn, type User } from './sign-in.ts'

export interface Login {
  readonly server: AuthorizationServer
  /** Of Postern, where it asks for tokens. */
  readonly clientSecret: string
  /** PEM of the key with which Postern says who acts for whom. */
  readonly statementKey: string
  readonly ada: User
  /** Whether Postern, and nobody else, has had this access token revoked. */
  isRevoked(token: string): boolean
  /** @returns the ID token of Ada, who has just signed in */
  signIn(): Promise<string>
}

const redirectUri = 'https://app.demo.example/signed-in'

/** @param resource name of the API as a resource (RFC 8707) */
export async function startLogin(resource: string): Promise<Login> {
  const clientSecret = randomBytes(24).toString('base64url')
  const ada = { name: 'ada', password: randomBytes(12).toString('base64url'), email: 'ada@demo.example' }
  const { privateKey, publicKey } = await generateKeyPair('ES256', { extractable: true })
  const statementKeys = { keys: [await exportJWK(publicKey)] }
  const server = await startAuthorizationServer({
    clients: [{ id: client, auth: { method: 'client_secret_basic', secret: clientSecret } }],
    resources: { [resource]: { scopes: ['contacts.read', 'contacts.write'] } },
    trusted: [{ issuer: statements, keys: () => statementKeys }],
    // oidc-provider keeps no JWTs, so it cannot revoke them (RFC 7009 §2.2.1): `isRevoked` is our list of those.
    revocationStatus: () => 200,
    signIn: { client: app, redirectUri, users: { [ada.name]: ada } },
  })
  const application: Application = { issuer: server.issuer, ca: server.ca, client: app, redirectUri }
  const statementKey = await exportPKCS8(privateKey)
  const proof = `Basic ${Buffer.from(`${client}:${clientSecret}`).toString('base64')}`
  const isRevoked = (token: string) =>
    server.calls.some(
      ({ path, form, authorization }) =>
        path === '/token/revocation' && authorization === proof && form.get('token') === token,
    )
  return { server, clientSecret, statementKey, ada, isRevoked, signIn: () => signIn(ada, application) }
}
