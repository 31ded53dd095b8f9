// A real authorization server on loopback HTTPS: oidc-provider, with token exchange and SPIFFE client authentication added.
import { once } from 'node:events'
import type { IncomingMessage, ServerResponse } from 'node:http'
import { createServer } from 'node:https'
import type { AddressInfo } from 'node:net'
import { Readable } from 'node:stream'
import type { TLSSocket } from 'node:tls'
import { exportJWK, generateKeyPair, type JSONWebKeySet, type JWK } from 'jose'
import type { Context, ResourceServerInfo } from 'oidc-provider'
import { loadOidcProvider } from './authorization-server/load.ts'
import { answerSignIn, application, type SignIn, signInSettings } from './authorization-server/sign-in.ts'
import { admitSpiffeClient, passOf, type SpiffeTrust } from './authorization-server/spiffe-client.ts'
import {
  type Amiss,
  addTokenExchange,
  exchangedClaims,
  type TrustedIssuer,
} from './authorization-server/token-exchange.ts'
import { TokenStore } from './authorization-server/token-store.ts'
import { makeAuthority, makeServerCertificate } from './pki.ts'

export const exchangeGrant = 'urn:ietf:params:oauth:grant-type:token-exchange'

/** Who may ask for tokens. */
export interface RegisteredClient {
  readonly id: string
  readonly auth:
    | { readonly method: 'client_secret_basic' | 'client_secret_post'; readonly secret: string }
    | { readonly method: 'private_key_jwt'; readonly keys: JSONWebKeySet }
    /** `sanUri` for X509-SVIDs. */
    | { readonly method: 'tls_client_auth'; readonly sanUri: string }
    /** A JWT-SVID with this subject. */
    | { readonly method: 'jwt-spiffe'; readonly spiffeId: string }
    | { readonly method: 'none' }
  /** What it may ask for at all; a resource's whole list without it. */
  readonly scopes?: readonly string[]
}

export interface ProtectedResource {
  readonly scopes: readonly string[]
  /** Seconds; 300 without it. */
  readonly lifetime?: number
  /** `jwt` without it. Opaque ones can be revoked. */
  readonly format?: 'jwt' | 'opaque'
}

export interface AuthorizationServerOptions {
  readonly clients: readonly RegisteredClient[]
  /** By resource indicator (RFC 8707). */
  readonly resources: Readonly<Record<string, ProtectedResource>>
  /** What a request without resource indicator means. */
  readonly defaultResource?: string
  /** The application that users sign in to; without it nobody does. */
  readonly signIn?: SignIn
  /** Whose JWT-SVIDs authenticate clients. */
  readonly spiffe?: SpiffeTrust
  /** Whose JWTs are exchanged; this server's own are always. */
  readonly trusted?: readonly TrustedIssuer[]
  /** Asked at each exchange: how its answer departs from what it should be. */
  readonly amiss?: () => Amiss
  /** Asked at each call to the revocation endpoint: a status to answer with instead. */
  readonly revocationStatus?: () => number | undefined
  /** PEM of the authorities of client certificates. */
  readonly clientAuthorities?: readonly string[]
  readonly port?: number
}

/** One request to an endpoint that takes forms, as it came. */
interface RecordedCall {
  readonly path: string
  readonly form: URLSearchParams
  readonly authorization: string | undefined
  /** SHA-256 of the client certificate, where one was presented. */
  readonly certificate: string | undefined
}

export interface AuthorizationServer extends AsyncDisposable {
  readonly issuer: string
  readonly tokenEndpoint: string
  readonly revocationEndpoint: string
  /** PEM of the authority of its certificate. */
  readonly ca: string
  /** Public keys of its JWT access tokens. */
  readonly keys: JSONWebKeySet
  readonly calls: readonly RecordedCall[]
  /** Calls to the token endpoint. */
  readonly tokenCalls: number
  /** Signs a user in without a browser: a refresh token, as from an authorization code. */
  grantRefreshToken(grant: RefreshGrant): Promise<string>
  /** Whether a token that it gave is known still. */
  knows(token: string): boolean
}

interface RefreshGrant {
  readonly client: string
  readonly account: string
  readonly resource: string
  readonly scopes: readonly string[]
}

export async function startAuthorizationServer(options: AuthorizationServerOptions): Promise<AuthorizationServer> {
  const authority = makeAuthority()
  const server = createServer({
    ...makeServerCertificate(authority, ['127.0.0.1', 'localhost']),
    requestCert: true,
    rejectUnauthorized: false,
    ca: [...(options.clientAuthorities ?? [])],
  })
  server.listen(options.port ?? 0, '127.0.0.1')
  await once(server, 'listening')
  const issuer = `https://127.0.0.1:${(server.address() as AddressInfo).port}`

  const signing = await signingKey()
  const store = new TokenStore()
  const { default: Provider, errors } = await loadOidcProvider()
  const settings = configuration(options, store, signing.privateJwk, errors.InvalidTarget)
  const provider = new Provider(issuer, settings)
  provider.on('server_error', (_context, error) => console.error(error))
  addTokenExchange(provider, errors, issuer, { keys: [signing.publicJwk] }, options)

  const calls: RecordedCall[] = []
  const handle = provider.callback()
  server.on('request', async (request: IncomingMessage, response: ServerResponse) => {
    if (options.signIn !== undefined && (await answerSignIn(provider, options.signIn, request, response))) return
    if (request.method !== 'POST') return handle(request, response)
    const form = new URLSearchParams(await readAll(request))
    calls.push({
      path: request.url ?? '',
      form: new URLSearchParams(form),
      authorization: request.headers.authorization,
      certificate: (request.socket as TLSSocket).getPeerX509Certificate()?.fingerprint256,
    })
    const status = request.url === '/token/revocation' ? options.revocationStatus?.() : undefined
    if (status !== undefined) {
      response.writeHead(status).end()
      return
    }
    const admitted = await admitSpiffeClient(form, issuer, options)
    if (admitted === undefined) {
      response.writeHead(401, { 'content-type': 'application/json' }).end('{"error":"invalid_client"}')
      return
    }
    handle(withBody(request, admitted.toString()), response)
  })

  return {
    issuer,
    tokenEndpoint: `${issuer}/token`,
    revocationEndpoint: `${issuer}/token/revocation`,
    ca: authority.pem,
    keys: { keys: [signing.publicJwk] },
    calls,
    get tokenCalls() {
      return calls.filter(({ path }) => path === '/token').length
    },
    async grantRefreshToken({ client: id, account, resource, scopes }) {
      const client = await provider.Client.find(id)
      if (client === undefined) throw new Error(`no client is called ${id}`)
      const grant = new provider.Grant({ clientId: id, accountId: account })
      grant.addResourceScope(resource, scopes.join(' '))
      const grantId = await grant.save()
      const scope = ['offline_access', ...scopes].join(' ')
      const gty = 'authorization_code'
      return new provider.RefreshToken({ client, accountId: account, grantId, gty, scope, resource }).save()
    },
    knows: (token) => store.has(token),
    async [Symbol.asyncDispose]() {
      server.closeAllConnections()
      server.close()
      await once(server, 'close')
    },
  }
}

async function signingKey(): Promise<{ privateJwk: JWK; publicJwk: JWK }> {
  const { privateKey, publicKey } = await generateKeyPair('ES256', { extractable: true })
  const about = { kid: 'signing', alg: 'ES256', use: 'sig' }
  return {
    privateJwk: { ...(await exportJWK(privateKey)), ...about },
    publicJwk: { ...(await exportJWK(publicKey)), ...about },
  }
}

function configuration(
  { clients, resources, defaultResource, signIn }: AuthorizationServerOptions,
  store: TokenStore,
  signing: JWK,
  InvalidTarget: new () => Error,
): Record<string, unknown> {
  const allowed = new Map(clients.map(({ id, scopes }) => [id, scopes]))
  return {
    adapter: store.adapter,
    jwks: { keys: [signing] },
    cookies: { keys: ['it lives as long as this process'] },
    clients: [...clients.map(metadataOf), ...(signIn === undefined ? [] : [application(signIn)])],
    clientAuthMethods: ['client_secret_basic', 'client_secret_post', 'private_key_jwt', 'tls_client_auth', 'none'],
    enabledJWA: { clientAuthSigningAlgValues: ['ES256', 'ES384', 'RS256', 'PS256', 'EdDSA'] },
    findAccount: (_: Context, accountId: string) => ({ accountId, claims: () => ({ sub: accountId }) }),
    ...(signIn === undefined ? {} : signInSettings(signIn)),
    rotateRefreshToken: true,
    ttl: {
      ...{ AccessToken: lifetimeOf, ClientCredentials: lifetimeOf, Grant: 86_400, RefreshToken: 86_400 },
      ...{ Interaction: 600, Session: 86_400, IdToken: 3_600 },
    },
    formats: {
      customizers: {
        jwt: (_: Context, token: object, parts: { payload: Record<string, unknown> }) =>
          void Object.assign(parts.payload, exchangedClaims(token)),
      },
    },
    features: {
      devInteractions: { enabled: false },
      clientCredentials: { enabled: true },
      introspection: { enabled: true, allowedPolicy: () => true },
      revocation: { enabled: true, allowedPolicy: () => true },
      userinfo: { enabled: false },
      resourceIndicators: {
        enabled: true,
        defaultResource: () => defaultResource,
        useGrantedResource: () => true,
        getResourceServerInfo: (_: Context, resource: string, client: { clientId: string }): ResourceServerInfo => {
          const known = resources[resource]
          if (known === undefined) throw new InvalidTarget()
          const scopes = allowed.get(client.clientId) ?? known.scopes
          return {
            audience: resource,
            scope: known.scopes.filter((scope) => scopes.includes(scope)).join(' '),
            accessTokenTTL: known.lifetime ?? 300,
            accessTokenFormat: known.format ?? 'jwt',
            jwt: { sign: { alg: 'ES256' } },
          }
        },
      },
      mTLS: {
        enabled: true,
        tlsClientAuth: true,
        getCertificate: ({ req }: Context) => req.socket.getPeerX509Certificate(),
        certificateAuthorized: ({ req }: Context) => req.socket.authorized,
        certificateSubjectMatches: ({ req }: Context, property: string, expected: string) =>
          property === 'tls_client_auth_san_uri' &&
          req.socket.getPeerX509Certificate()?.subjectAltName?.split(', ').includes(`URI:${expected}`) === true,
      },
    },
  }
}

function lifetimeOf(_: Context, token: { resourceServer?: ResourceServerInfo }): number {
  return token.resourceServer?.accessTokenTTL ?? 300
}

/** As oidc-provider wants it (RFC 7591). */
function metadataOf({ id, auth }: RegisteredClient): Record<string, unknown> {
  const common = {
    client_id: id,
    redirect_uris: [],
    response_types: [],
    grant_types: ['client_credentials', 'refresh_token', exchangeGrant],
    id_token_signed_response_alg: 'ES256',
  }
  switch (auth.method) {
    case 'client_secret_basic':
    case 'client_secret_post':
      return { ...common, token_endpoint_auth_method: auth.method, client_secret: auth.secret }
    case 'private_key_jwt':
      return { ...common, token_endpoint_auth_method: auth.method, jwks: auth.keys }
    case 'tls_client_auth':
      return { ...common, token_endpoint_auth_method: auth.method, tls_client_auth_san_uri: auth.sanUri }
    case 'jwt-spiffe':
      return { ...common, token_endpoint_auth_method: 'client_secret_post', client_secret: passOf(id) }
    case 'none':
      return { ...common, token_endpoint_auth_method: 'none' }
  }
}

async function readAll(request: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = []
  for await (const chunk of request) chunks.push(chunk)
  return Buffer.concat(chunks).toString()
}

/** The same request with its body still to be read: oidc-provider wants to do that itself. */
function withBody(request: IncomingMessage, text: string): IncomingMessage {
  const body = Readable.from([Buffer.from(text)])
  request.headers['content-length'] = String(Buffer.byteLength(text))
  return Object.defineProperties(request, {
    readable: { value: true },
    iterator: { value: (options: { destroyOnReturn: boolean }) => body.iterator(options) },
  })
}
