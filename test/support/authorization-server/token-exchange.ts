// Token exchange (RFC 8693) as a grant type of oidc-provider: JWTs of trusted issuers become access tokens for one resource, never wider than the subject token.
import { createLocalJWKSet, decodeJwt, type JSONWebKeySet, type JWTPayload, jwtVerify } from 'jose'
import type Provider from 'oidc-provider'
import type { Context, errors as ErrorClasses } from 'oidc-provider'
import { exchangeGrant, type ProtectedResource, type RegisteredClient } from '../authorization-server.ts'

export interface TrustedIssuer {
  /** `iss` of its tokens; JWT-SVIDs may have none, then: the trust domain of `sub`. */
  readonly issuer: string
  keys(): JSONWebKeySet
}

interface Exchange {
  readonly clients: readonly RegisteredClient[]
  readonly resources: Readonly<Record<string, ProtectedResource>>
  readonly defaultResource?: string
  readonly trusted?: readonly TrustedIssuer[]
  /** Asked at each exchange: how its answer departs from what it should be. */
  readonly amiss?: () => Amiss
}

/** What a token server may do wrong, or leave unsaid. */
export interface Amiss {
  /** Granted besides what was asked for. */
  readonly wider?: readonly string[]
  /** Says nothing of the scope, which means that it is as asked (RFC 6749 §5.1). */
  readonly silent?: boolean
}

const jwtType = 'urn:ietf:params:oauth:token-type:jwt'
const accessTokenType = 'urn:ietf:params:oauth:token-type:access_token'

/** What the exchange adds to a token's claims, until it is signed. */
const claims = new WeakMap<object, { sub: string; act?: unknown }>()

export function exchangedClaims(token: object): Record<string, unknown> | undefined {
  return claims.get(token)
}

export function addTokenExchange(
  provider: Provider,
  errors: typeof ErrorClasses,
  issuer: string,
  own: JSONWebKeySet,
  options: Exchange,
): void {
  const verify = async (token: unknown, type: unknown): Promise<JWTPayload> => {
    if (typeof token !== 'string' || (type !== jwtType && type !== accessTokenType))
      throw new errors.InvalidRequest('only JWTs are exchanged here')
    try {
      const { iss, sub = '' } = decodeJwt(token)
      const from = iss ?? /^spiffe:\/\/[^/]+/.exec(sub)?.[0]
      const keys = from === issuer ? own : options.trusted?.find((trusted) => trusted.issuer === from)?.keys()
      if (keys === undefined) throw new Error('not an issuer that is trusted')
      // A token of this server is for whoever it was given to; any other must be meant for this server.
      const audience = from === issuer ? {} : { audience: issuer }
      const { payload } = await jwtVerify(token, createLocalJWKSet(keys), {
        ...audience,
        requiredClaims: ['sub', 'exp'],
      })
      return payload
    } catch {
      throw new errors.InvalidRequest('a token to exchange is not valid')
    }
  }

  const exchange = async (context: Context): Promise<void> => {
    const { client, params } = context.oidc
    const subject = await verify(params.subject_token, params.subject_token_type)
    const actor =
      params.actor_token === undefined ? undefined : await verify(params.actor_token, params.actor_token_type)

    const resource = [params.resource ?? options.defaultResource].flat()
    const [name] = resource
    const known = name === undefined ? undefined : options.resources[name]
    if (name === undefined || known === undefined || resource.length !== 1) throw new errors.InvalidTarget()

    const scopes = typeof params.scope === 'string' ? params.scope.split(' ') : [...known.scopes]
    const held = typeof subject.scope === 'string' ? subject.scope.split(' ') : known.scopes
    const allowed = options.clients.find(({ id }) => id === client.clientId)?.scopes ?? known.scopes
    if (!scopes.every((scope) => known.scopes.includes(scope) && held.includes(scope) && allowed.includes(scope)))
      throw new errors.InvalidScope('wider than the subject token, the resource or the client')

    const { wider = [], silent = false } = options.amiss?.() ?? {}
    const token = new provider.ClientCredentials({ client, scope: [...scopes, ...wider].join(' ') })
    token.resourceServer = new provider.ResourceServer(name, {
      audience: name,
      scope: known.scopes.join(' '),
      accessTokenTTL: known.lifetime ?? 300,
      accessTokenFormat: known.format ?? 'jwt',
      jwt: { sign: { alg: 'ES256' } },
    })
    claims.set(token, {
      sub: subject.sub ?? '',
      // An actor that tells who acted before it is believed (RFC 8693 §4.1); so is a subject, where there is no actor.
      ...(actor?.sub === undefined
        ? subject.act === undefined
          ? {}
          : { act: subject.act }
        : { act: actor.act ?? { sub: actor.sub } }),
    })
    context.body = {
      access_token: await token.save(),
      issued_token_type: accessTokenType,
      token_type: 'Bearer',
      expires_in: token.expiration,
      ...(silent ? {} : { scope: token.scope }),
    }
  }

  provider.registerGrantType(
    exchangeGrant,
    exchange,
    [
      'subject_token',
      'subject_token_type',
      'actor_token',
      'actor_token_type',
      'requested_token_type',
      'scope',
      'resource',
      'audience',
    ],
    ['resource', 'audience'],
  )
}
