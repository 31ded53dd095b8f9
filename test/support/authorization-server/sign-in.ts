// Users who sign in to an application with name and password: an authorization code (RFC 6749 §4.1) for a public client with PKCE, and an ID token for it.
import type { IncomingMessage, ServerResponse } from 'node:http'
import { text } from 'node:stream/consumers'
import type Provider from 'oidc-provider'
import type { Context } from 'oidc-provider'

export interface SignIn {
  /** The application that users sign in to. */
  readonly client: string
  readonly redirectUri: string
  /** By the name under which they sign in, which is the subject of their tokens. */
  readonly users: Readonly<Record<string, { readonly password: string; readonly email: string }>>
}

const scopes = 'openid email'
const page = '/interaction/'

/** The application as oidc-provider wants it (RFC 7591). */
export function application({ client, redirectUri }: SignIn): Record<string, unknown> {
  return {
    client_id: client,
    token_endpoint_auth_method: 'none',
    redirect_uris: [redirectUri],
    response_types: ['code'],
    grant_types: ['authorization_code'],
    scope: scopes,
    id_token_signed_response_alg: 'ES256',
  }
}

/** Settings of oidc-provider. */
export function signInSettings({ users }: SignIn): Record<string, unknown> {
  return {
    claims: { openid: ['sub'], email: ['email', 'email_verified'] },
    findAccount: (_: Context, accountId: string) => {
      const email = users[accountId]?.email
      return { accountId, claims: () => ({ sub: accountId, email, email_verified: email !== undefined }) }
    },
    interactions: { url: (_: Context, { uid }: { uid: string }) => `${page}${uid}` },
    // An application of the house: nobody is asked whether it may know who they are.
    loadExistingGrant: async ({ oidc }: Context) => {
      const grant = new oidc.provider.Grant({ clientId: oidc.client.clientId, accountId: oidc.session.accountId })
      grant.addOIDCScope(scopes)
      await grant.save()
      return grant
    },
  }
}

/** Shows the form, and takes it. @returns false when the request is for something else */
export async function answerSignIn(
  provider: Provider,
  { users }: SignIn,
  request: IncomingMessage,
  response: ServerResponse,
): Promise<boolean> {
  if (request.url?.startsWith(page) !== true) return false
  const form = request.method === 'POST' ? new URLSearchParams(await text(request)) : undefined
  const name = form?.get('name') ?? ''
  if (form !== undefined && users[name]?.password === form.get('password')) {
    await provider.interactionFinished(request, response, { login: { accountId: name } })
    return true
  }
  const status = form === undefined ? 200 : 403
  response.writeHead(status, { 'content-type': 'text/html' })
  response.end('<form method="post"><input name="name"><input name="password" type="password"><button>Sign in</button>')
  return true
}
