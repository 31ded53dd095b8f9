// Client authentication with a JWT-SVID (draft-ietf-oauth-spiffe-client-auth), which oidc-provider does not have: checked here, then handed on as a client that it knows.
import { createLocalJWKSet, type JSONWebKeySet, jwtVerify } from 'jose'
import type { RegisteredClient } from '../authorization-server.ts'

const spiffeAssertion = 'urn:ietf:params:oauth:client-assertion-type:jwt-spiffe'

/** Whose JWT-SVIDs are believed; asked at each request. */
export interface SpiffeTrust {
  readonly trustDomain: string
  /** The trust domain's keys with `use: jwt-svid`. */
  keys(): JSONWebKeySet
}

interface Registrations {
  readonly clients: readonly RegisteredClient[]
  readonly spiffe?: SpiffeTrust
}

/**
 * @param issuer of the authorization server, the only audience that is good
 * @returns the form as oidc-provider is to see it; undefined when the assertion proves nothing
 */
export async function admitSpiffeClient(
  form: URLSearchParams,
  issuer: string,
  { clients, spiffe }: Registrations,
): Promise<URLSearchParams | undefined> {
  if (form.get('client_assertion_type') !== spiffeAssertion) return form
  const subject = await subjectOf(form.get('client_assertion') ?? '', issuer, spiffe)
  const client = clients.find(({ auth }) => auth.method === 'jwt-spiffe' && auth.spiffeId === subject)
  if (subject === undefined || client === undefined) return undefined
  const claimed = form.get('client_id')
  if (claimed !== null && claimed !== subject && claimed !== client.id) return undefined
  const admitted = new URLSearchParams(form)
  admitted.delete('client_assertion')
  admitted.delete('client_assertion_type')
  admitted.set('client_id', client.id)
  admitted.set('client_secret', passOf(client.id))
  return admitted
}

/** What stands in for the proof towards oidc-provider, once it was checked. Chosen anew by each process. */
export function passOf(id: string): string {
  return `${processPass}-${id}`
}

const processPass = crypto.randomUUID()

/** The rules of JWT-SVID §3–4: a plain JOSE type, one audience, an end, a subject of the trust domain. */
async function subjectOf(
  assertion: string,
  issuer: string,
  spiffe: SpiffeTrust | undefined,
): Promise<string | undefined> {
  if (spiffe === undefined) return undefined
  try {
    const { payload } = await jwtVerify(assertion, createLocalJWKSet(spiffe.keys()), {
      audience: issuer,
      requiredClaims: ['sub', 'aud', 'exp'],
      algorithms: ['ES256', 'ES384', 'ES512', 'RS256', 'RS384', 'RS512', 'PS256', 'PS384', 'PS512'],
    })
    const audiences = [payload.aud].flat()
    const ofDomain = payload.sub?.startsWith(`spiffe://${spiffe.trustDomain}/`) === true
    return audiences.length === 1 && ofDomain ? payload.sub : undefined
  } catch {
    return undefined
  }
}
