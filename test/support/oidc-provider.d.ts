// The part of oidc-provider that the tests use; the package brings no types.
declare module 'oidc-provider' {
  import type { IncomingMessage, ServerResponse } from 'node:http'
  import type { TLSSocket } from 'node:tls'

  export interface Client {
    readonly clientId: string
  }

  export interface Context {
    readonly req: IncomingMessage & { readonly socket: TLSSocket }
    body: unknown
    readonly oidc: {
      readonly client: Client
      /** While a user signs in. */
      readonly session: { readonly accountId: string }
      readonly provider: Provider
      readonly params: Readonly<Record<string, string | readonly string[] | undefined>>
    }
  }

  export interface ResourceServerInfo {
    scope: string
    audience?: string
    accessTokenTTL?: number
    accessTokenFormat?: 'jwt' | 'opaque'
    jwt?: { sign: { alg: string } }
  }

  interface Saved {
    save(): Promise<string>
  }

  interface ResourceServer {
    readonly scopes: ReadonlySet<string>
  }

  interface AccessTokenLike extends Saved {
    resourceServer: ResourceServer
    scope: string | undefined
    readonly expiration: number
  }

  interface Grant extends Saved {
    addResourceScope(resource: string, scope: string): void
    addOIDCScope(scope: string): void
  }

  export default class Provider {
    constructor(issuer: string, configuration: Record<string, unknown>)
    callback(): (request: IncomingMessage, response: ServerResponse) => void
    on(event: 'server_error', listener: (context: Context, error: Error) => void): void
    registerGrantType(
      name: string,
      handler: (context: Context) => Promise<void>,
      parameters: readonly string[],
      repeatable: readonly string[],
    ): void
    interactionFinished(
      request: IncomingMessage,
      response: ServerResponse,
      result: { readonly login: { readonly accountId: string } },
    ): Promise<void>
    readonly Client: { find(id: string): Promise<Client | undefined> }
    readonly Grant: new (fields: {
      clientId: string
      accountId: string
    }) => Grant
    readonly RefreshToken: new (fields: {
      client: Client
      accountId: string
      grantId: string
      gty: string
      scope: string
      resource: string
    }) => Saved
    readonly ClientCredentials: new (fields: {
      client: Client
      scope: string | undefined
    }) => AccessTokenLike
    readonly ResourceServer: new (
      identifier: string,
      info: ResourceServerInfo,
    ) => ResourceServer
  }

  export const errors: Record<
    'InvalidRequest' | 'InvalidTarget' | 'InvalidGrant' | 'InvalidScope',
    new (
      description?: string,
    ) => Error
  >
}
