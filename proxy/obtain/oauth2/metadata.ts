// What a token server says of itself (RFC 8414), believed only when it names the issuer that was asked for.
import { Refusal } from '../../refusal.ts'
import { endpointProblem } from './endpoint.ts'
import type { JsonAnswer } from './json-call.ts'

export interface Metadata {
  readonly tokenEndpoint: string
  readonly revocationEndpoint: string | undefined
  /** The same for clients that present a certificate (RFC 8705 §5). */
  readonly mtls: { readonly tokenEndpoint: string | undefined; readonly revocationEndpoint: string | undefined }
}

/** Where metadata may stand, in the order of asking: RFC 8414 §3.1 goes between host and path; OpenID Connect Discovery §4 after it. */
export function metadataUrls(issuer: string): readonly [string, string] {
  const { origin, pathname } = new URL(issuer)
  const path = pathname.replace(/\/$/, '')
  return [
    `${origin}/.well-known/oauth-authorization-server${path}`,
    `${origin}${path}/.well-known/openid-configuration`,
  ]
}

/** @throws Refusal `credential_unavailable` */
export function parseMetadata(answer: JsonAnswer, issuer: string, allowCleartextLoopback: boolean): Metadata {
  if (answer.status !== 200) throw wrong(issuer, `was answered with ${answer.status}`)
  const json = answer.json
  if (typeof json !== 'object' || json === null || Array.isArray(json)) throw wrong(issuer, 'is not a JSON object')
  const document: Readonly<Record<string, unknown>> = { ...json }
  // Compared as it is, without any normalisation (RFC 8414 §3.3): a server must not speak for another.
  if (document.issuer !== issuer) throw wrong(issuer, 'names another issuer')
  const endpoint = (source: Readonly<Record<string, unknown>>, key: string): string | undefined => {
    const value = source[key]
    if (value === undefined) return undefined
    if (typeof value !== 'string') throw wrong(issuer, `has a ${key} that is no text`)
    const problem = endpointProblem(value, allowCleartextLoopback)
    if (problem !== undefined) throw wrong(issuer, `has a ${key} that ${problem}`)
    return value
  }
  const tokenEndpoint = endpoint(document, 'token_endpoint')
  if (tokenEndpoint === undefined) throw wrong(issuer, 'has no token_endpoint')
  const aliases = document.mtls_endpoint_aliases
  const mtls = typeof aliases === 'object' && aliases !== null ? { ...aliases } : {}
  return {
    tokenEndpoint,
    revocationEndpoint: endpoint(document, 'revocation_endpoint'),
    mtls: {
      tokenEndpoint: endpoint(mtls, 'token_endpoint'),
      revocationEndpoint: endpoint(mtls, 'revocation_endpoint'),
    },
  }
}

function wrong(issuer: string, what: string): Refusal {
  return new Refusal('credential_unavailable', { detail: `the metadata of ${issuer} ${what}` })
}
