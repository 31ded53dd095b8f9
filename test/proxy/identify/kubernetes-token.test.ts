// Service-account tokens bent one way at a time, each refused with its reason; a sound one gives the pod too.
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { parseTrustDomain } from '../../../certs/spiffe-id.ts'
import type { Caller, Connection } from '../../../proxy/exchange.ts'
import { KubernetesTokenAttestor } from '../../../proxy/identify/kubernetes-token.ts'
import { Refusal } from '../../../proxy/refusal.ts'
import { Secret } from '../../../proxy/secret.ts'
import { type Json, publicJwk, signJwt } from '../../support/jwt.ts'
import { makeKey } from '../../support/pki.ts'

const issuer = 'https://kubernetes.default.svc.cluster.local'
const audience = 'spiffe://acme.example/egress'
const now = 1_800_000_000_000
const seconds = now / 1000
const key = makeKey('rsa2048')
const keys = [publicJwk(key, 'k1')]
const header = { alg: 'RS256', kid: 'k1' }
const pod = { name: 'worker-7d4b9', uid: '5a1c2b4e-0000-4000-8000-1234567890ab' }
const bound = {
  namespace: 'agents',
  node: { name: 'node-1', uid: '1' },
  pod,
  serviceaccount: { name: 'research.er', uid: '2' },
}
const claims = {
  iss: issuer,
  sub: 'system:serviceaccount:agents:research.er',
  aud: [audience],
  exp: seconds + 3600,
  iat: seconds,
  nbf: seconds,
  jti: 'x',
  'kubernetes.io': bound,
}

async function outcome(token: string, found: typeof keys | 'none' = keys): Promise<Caller | string | undefined> {
  const connection: Connection = {
    id: 'c1',
    listener: 'pods',
    accept: 'https-proxy',
    transport: 'tcp',
    remoteAddress: '10.1.1.1',
    remotePort: 40000,
    localAddress: '10.1.1.2',
    localPort: 15003,
    peerCertificates: [],
    proxyAuthorization: new Secret('proxy-authorization', `Bearer ${token}`),
  }
  const attestor = new KubernetesTokenAttestor({
    trustDomain: parseTrustDomain('acme.example'),
    issuer,
    audience,
    keys: { keysFor: async () => (found === 'none' ? undefined : found) },
    now: () => now,
    kernel: undefined,
  })
  try {
    return await attestor.attest(connection, AbortSignal.timeout(5_000))
  } catch (error) {
    if (error instanceof Refusal) return error.reason
    throw error
  }
}

const signed = (head: Json, body: Json) => signJwt(head, body, key.privateKey)
const withClaims = (more: Json) => signed(header, { ...claims, ...more })
const withBound = (more: Json) => withClaims({ 'kubernetes.io': { ...bound, ...more } })

describe('a bent service-account token', () => {
  it.each<[string, string, string]>([
    ['that is none', 'abc', 'kubernetes_token_malformed'],
    ['signed with HMAC', signed({ ...header, alg: 'HS256' }, claims), 'kubernetes_token_malformed'],
    ['that names no key', signed({ alg: 'RS256' }, claims), 'kubernetes_token_malformed'],
    ['of another issuer', withClaims({ iss: `${issuer}/` }), 'kubernetes_token_wrong_issuer'],
    ['without an issuer', withClaims({ iss: undefined }), 'kubernetes_token_wrong_issuer'],
    ['with a list of issuers', withClaims({ iss: [issuer] }), 'kubernetes_token_wrong_issuer'],
    ['without an expiry', withClaims({ exp: undefined }), 'kubernetes_token_malformed'],
    ['without an audience', withClaims({ aud: undefined }), 'kubernetes_token_malformed'],
    ['for the cluster itself', withClaims({ aud: [issuer] }), 'kubernetes_token_wrong_audience'],
    ['that has expired', withClaims({ exp: seconds - 61 }), 'kubernetes_token_expired'],
    ['that begins later', withClaims({ nbf: seconds + 61 }), 'kubernetes_token_not_yet_valid'],
    ['of the old kind, bound to nothing', withClaims({ 'kubernetes.io': undefined }), 'kubernetes_token_no_account'],
    ['bound to a text', withClaims({ 'kubernetes.io': 'agents' }), 'kubernetes_token_no_account'],
    ['of no namespace', withBound({ namespace: undefined }), 'kubernetes_token_no_account'],
    ['of a namespace with a path in it', withBound({ namespace: 'a/sa/b' }), 'kubernetes_token_no_account'],
    ['of a namespace of dots', withBound({ namespace: '..' }), 'kubernetes_token_no_account'],
    ['of an account of dots', withBound({ serviceaccount: { name: '..' } }), 'kubernetes_token_no_account'],
    [
      'of another account than its subject',
      withBound({ serviceaccount: { name: 'admin' } }),
      'kubernetes_token_no_account',
    ],
    ['of a user', withClaims({ sub: 'jane' }), 'kubernetes_token_no_account'],
    ['of a pod without a uid', withBound({ pod: { name: 'worker' } }), 'kubernetes_token_malformed'],
    [
      'of a pod with a line end in its name',
      withBound({ pod: { ...pod, name: 'a\nb' } }),
      'kubernetes_token_malformed',
    ],
    ['of an unknown key', signed({ ...header, kid: 'k2' }, claims), 'kubernetes_token_unknown_key'],
    [
      'signed by somebody else',
      signJwt({ ...header, alg: 'ES256' }, claims, makeKey('p256').privateKey),
      'kubernetes_token_bad_signature',
    ],
  ])('%s is refused', async (_, token, reason) => {
    expect(await outcome(token)).toBe(reason)
  })

  it('is refused where there are no keys to verify it with', async () => {
    expect(await outcome(signed(header, claims), 'none')).toBe('kubernetes_keys_unavailable')
  })

  it('is refused for a reason, whatever it claims', async () => {
    await fc.assert(
      fc.asyncProperty(fc.constantFrom(...Object.keys(claims)), fc.jsonValue(), async (name, value) => {
        const result = await outcome(withClaims({ [name]: value }))
        if (typeof result === 'string') expect(result).toMatch(/^kubernetes_/)
        else expect(result?.id).toBe('spiffe://acme.example/ns/agents/sa/research.er')
      }),
      { numRuns: 150 },
    )
  })
})

describe('a sound service-account token', () => {
  it('gives the ID of the account, the pod, and until when', async () => {
    expect(await outcome(signed(header, claims))).toEqual({
      id: 'spiffe://acme.example/ns/agents/sa/research.er',
      proofs: ['kubernetes-token'],
      expiresAt: now + 3_660_000,
      pod,
    })
  })

  it('need not be of a pod', async () => {
    expect(await outcome(withBound({ pod: undefined }))).not.toHaveProperty('pod')
  })
})
