import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { metadataUrls, parseMetadata } from '../../../../proxy/obtain/oauth2/metadata.ts'
import { Refusal } from '../../../../proxy/refusal.ts'

const issuer = 'https://login.example/tenant'

describe('metadata stands', () => {
  const cases: [issuer: string, urls: [string, string]][] = [
    [
      'https://login.example',
      [
        'https://login.example/.well-known/oauth-authorization-server',
        'https://login.example/.well-known/openid-configuration',
      ],
    ],
    [
      'https://login.example/',
      [
        'https://login.example/.well-known/oauth-authorization-server',
        'https://login.example/.well-known/openid-configuration',
      ],
    ],
    [
      'https://login.example:8443/a/b',
      [
        'https://login.example:8443/.well-known/oauth-authorization-server/a/b',
        'https://login.example:8443/a/b/.well-known/openid-configuration',
      ],
    ],
  ]
  it.each(cases)('for %s, first where RFC 8414 says, then where OpenID Connect does', (of, urls) => {
    expect(metadataUrls(of)).toEqual(urls)
  })
})

it('prefers the endpoints for clients with a certificate only for those', () => {
  const json = {
    issuer,
    token_endpoint: 'https://login.example/token',
    revocation_endpoint: 'https://login.example/revoke',
    mtls_endpoint_aliases: { token_endpoint: 'https://mtls.login.example/token' },
  }
  expect(parseMetadata({ status: 200, json, retryAfter: undefined }, issuer, false)).toEqual({
    tokenEndpoint: 'https://login.example/token',
    revocationEndpoint: 'https://login.example/revoke',
    mtls: { tokenEndpoint: 'https://mtls.login.example/token', revocationEndpoint: undefined },
  })
})

it('gives HTTPS endpoints of the issuer that was asked for, or refuses', () => {
  const near = (...values: string[]) =>
    fc.oneof({ weight: 3, arbitrary: fc.constantFrom(...values) }, fc.webUrl(), fc.string(), fc.jsonValue())
  const documents = fc.record(
    {
      issuer: near(issuer, `${issuer}/`),
      token_endpoint: near('https://login.example/t', 'http://login.example/t', 'https://a:b@login.example/t'),
      revocation_endpoint: near('https://login.example/r', 'http://127.0.0.1/r'),
      mtls_endpoint_aliases: fc.oneof(fc.record({ token_endpoint: near('https://mtls.example/') }), fc.jsonValue()),
    },
    { requiredKeys: [] },
  )
  fc.assert(
    fc.property(fc.oneof(documents, fc.jsonValue()), (json) => {
      try {
        const { tokenEndpoint, revocationEndpoint, mtls } = parseMetadata(
          { status: 200, json, retryAfter: undefined },
          issuer,
          false,
        )
        expect(Object(json).issuer).toBe(issuer)
        for (const url of [tokenEndpoint, revocationEndpoint, mtls.tokenEndpoint, mtls.revocationEndpoint])
          if (url !== undefined) expect(new URL(url)).toMatchObject({ protocol: 'https:', username: '', password: '' })
      } catch (error) {
        if (!(error instanceof Refusal)) throw error
        expect(error.reason).toBe('credential_unavailable')
      }
    }),
    { numRuns: 2_000 },
  )
})
