import { describe, expect, it } from 'vitest'
import { z } from 'zod'
import { credentialSchema } from '../../../proxy/obtain/settings.ts'

function problems(value: unknown): string[] {
  const result = credentialSchema.safeParse(value)
  return result.success ? [] : result.error.issues.map(({ path, message }) => `${path.join('.')}: ${message}`)
}

const bound = { for: ['crm'] }
const client = { id: 'postern', auth: 'client_secret_basic', secret: '${env:CLIENT_SECRET}' }
const tokens = {
  kind: 'oauth2-client-credentials',
  ...bound,
  tokenEndpoint: 'https://login.example/token',
  client,
}

describe('a credential is refused at load', () => {
  const cases: [why: string, value: unknown, problem: RegExp][] = [
    ['when it is of no known kind', { kind: 'magic', ...bound }, /^kind: /],
    ['when it is bound to nothing', { kind: 'env', variable: 'TOKEN' }, /^for: /],
    ['when it is bound to an empty list', { kind: 'env', variable: 'TOKEN', for: [] }, /^for: at least one/],
    ['when a key is not known', { kind: 'env', variable: 'TOKEN', ...bound, value: 'x' }, /Unrecognized key.*value/],
    ['when its ttl is nothing', { kind: 'env', variable: 'TOKEN', ...bound, ttl: '0s' }, /^ttl: longer than nothing/],
    ['when a variable is no name', { kind: 'env', variable: 'A B', ...bound }, /^variable: the name/],
    ['when a user name would end early', { kind: 'env', variable: 'A', ...bound, username: 'a:b' }, /^username: /],
    ['when a command is empty', { kind: 'exec', command: [], ...bound }, /^command/],
    ['when a command is one string for a shell', { kind: 'exec', command: 'cat x', ...bound }, /^command: /],
    [
      'when a secret stands in it',
      { ...tokens, client: { ...client, secret: 'hunter2' } },
      /^client.secret: a reference such as/,
    ],
    ['when there is neither issuer nor token endpoint', { ...tokens, tokenEndpoint: undefined }, /^issuer: .*needed/],
    ['when the token endpoint is cleartext', { ...tokens, tokenEndpoint: 'http://login.example/t' }, /not an HTTPS/],
    [
      'when it is cleartext and only loopback may be',
      { ...tokens, tokenEndpoint: 'http://login.example/t', allowCleartextLoopback: true },
      /HTTP is for loopback only/,
    ],
    [
      'when it is cleartext loopback and nobody said that it may be',
      { ...tokens, tokenEndpoint: 'http://127.0.0.1:8080/t' },
      /allowCleartextLoopback is not set/,
    ],
    ['when an endpoint is no URL', { ...tokens, tokenEndpoint: 'login.example/token' }, /not an absolute URL/],
    [
      'when an endpoint holds a password',
      { ...tokens, tokenEndpoint: 'https://a:b@login.example/' },
      /user information/,
    ],
    ['when an endpoint has a fragment', { ...tokens, tokenEndpoint: 'https://login.example/#' }, /fragment/],
    ['when an issuer has a query', { ...tokens, issuer: 'https://login.example/?a' }, /issuer has a query/],
    ['when a scope has a space', { ...tokens, scopes: ['a b'] }, /^scopes.0: a scope without spaces/],
    ['when a resource is relative', { ...tokens, resource: ['/v1'] }, /^resource.0: an absolute URI/],
    ['when a range is none', { ...tokens, addresses: ['10.0.0'] }, /^addresses.0: not a range such as/],
    ['when a range is too narrow', { ...tokens, addresses: ['10.0.0.0/33'] }, /^addresses.0: a prefix has at most/],
    ['when a range is everything', { ...tokens, addresses: ['0.0.0.0/0'] }, /^addresses.0: wider than any private/],
    ['when a range holds all of IPv4', { ...tokens, addresses: ['::/64'] }, /^addresses.0: this range holds every/],
    ['when a parameter is the proxy’s own', { ...tokens, parameters: { client_id: 'x' } }, /settings of their own/],
    [
      'when a certificate has no key',
      { ...tokens, client: { auth: 'tls_client_auth', certificate: '/c.pem' } },
      /go together/,
    ],
    ['when a client has no proof of any kind', { ...tokens, client: { id: 'x', auth: 'password' } }, /^client.auth: /],
    ['when a client is missing', { ...tokens, client: undefined }, /^client: /],
    [
      'when an exchange has no subject',
      { kind: 'oauth2-token-exchange', ...bound, issuer: 'https://login.example' },
      /^subject: /,
    ],
    [
      'when a refresh token has no file',
      { kind: 'oauth2-refresh-token', ...bound, issuer: 'https://login.example' },
      /^refreshTokenFile: /,
    ],
  ]
  it.each(cases)('%s', (_why, value, problem) => {
    expect(problems(value).join('\n')).toMatch(problem)
  })
})

describe('a credential is read', () => {
  it('as in the shortest form of each kind', () => {
    const shortest = [
      { kind: 'env', variable: 'TOKEN', ...bound },
      { kind: 'file', path: '/run/secrets/token', ...bound },
      { kind: 'exec', command: ['pass'], ...bound },
      { ...tokens, client: { auth: 'jwt-spiffe' } },
      { kind: 'oauth2-token-exchange', ...bound, issuer: 'https://login.example', subject: { from: 'svid' } },
      { kind: 'oauth2-refresh-token', ...bound, issuer: 'https://login.example', refreshTokenFile: '/var/lib/token' },
    ]
    for (const value of shortest) expect(problems(value)).toEqual([])
  })

  it('with cleartext on loopback where that is said', () => {
    for (const host of ['127.0.0.1:80', '127.1.2.3', 'localhost:1', '[::1]:9'])
      expect(problems({ ...tokens, tokenEndpoint: `http://${host}/t`, allowCleartextLoopback: true })).toEqual([])
  })

  it('with durations in milliseconds and short token types spelled out', () => {
    const settings = credentialSchema.parse({
      kind: 'oauth2-token-exchange',
      ...bound,
      issuer: 'https://login.example',
      subject: { from: 'secret', token: '${file:/t}', type: 'id_token' },
      requestedTokenType: 'access_token',
    })
    expect(settings).toMatchObject({
      ttl: 300_000,
      timeout: 10_000,
      subject: { type: 'urn:ietf:params:oauth:token-type:id_token' },
      requestedTokenType: 'urn:ietf:params:oauth:token-type:access_token',
    })
  })
})

it('describes each key, for editors', () => {
  const schema = z.toJSONSchema(credentialSchema, { io: 'input', unrepresentable: 'any' })
  const bare: string[] = []
  const visit = (node: unknown, path: string): void => {
    if (typeof node !== 'object' || node === null) return
    const { properties, anyOf, oneOf, items } = node as Record<string, unknown>
    for (const [key, value] of Object.entries((properties ?? {}) as Record<string, Record<string, unknown>>)) {
      if (value.description === undefined) bare.push(`${path}.${key}`)
      visit(value, `${path}.${key}`)
    }
    for (const part of [...((anyOf ?? oneOf ?? []) as unknown[]), items]) visit(part, path)
  }
  visit(schema, '')
  expect(bare).toEqual([])
})
