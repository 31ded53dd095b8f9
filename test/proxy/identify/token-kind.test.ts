// Telling the kinds of token apart: one kind for every text, never by anything but the subject.
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import type { Caller, Connection } from '../../../proxy/exchange.ts'
import { OneKindOfToken, tokenKindOf } from '../../../proxy/identify/token-kind.ts'
import { Secret } from '../../../proxy/secret.ts'
import { signJwt } from '../../support/jwt.ts'
import { makeKey } from '../../support/pki.ts'

const { privateKey } = makeKey()
const token = (claims: object | string) =>
  signJwt({ alg: 'ES256', kid: 'k' }, typeof claims === 'string' ? claims : { ...claims }, privateKey)

describe('a token', () => {
  it.each([
    ['of a service account', { sub: 'system:serviceaccount:agents:worker' }, 'kubernetes-token'],
    ['of a workload', { sub: 'spiffe://acme.example/worker' }, 'jwt-svid'],
    [
      'of a workload that names a cluster',
      { sub: 'spiffe://acme.example/a', iss: 'https://cluster', 'kubernetes.io': {} },
      'jwt-svid',
    ],
    ['of a user of the cluster', { sub: 'system:node:one' }, 'jwt-svid'],
    ['without a subject', { iss: 'https://cluster' }, 'jwt-svid'],
    ['whose subject is no text', { sub: ['system:serviceaccount:agents:worker'] }, 'jwt-svid'],
    ['whose payload is no object', '[]', 'jwt-svid'],
    // Both verifiers read the last of two, and so does this.
    ['with two subjects', '{"sub":"spiffe://acme.example/a","sub":"system:serviceaccount:a:b"}', 'kubernetes-token'],
  ])('%s is left to one verifier', (_what, claims, kind) => {
    expect(tokenKindOf(token(claims))).toBe(kind)
  })

  it('of whatever text has one kind', () => {
    fc.assert(
      fc.property(fc.oneof(fc.string(), fc.json().map(token)), (text) => {
        expect(['jwt-svid', 'kubernetes-token']).toContain(tokenKindOf(text))
      }),
    )
  })
})

describe('an attestor among those of other tokens', () => {
  const caller = { proofs: ['kubernetes-token'] } as unknown as Caller
  const asked: string[] = []
  const attestor = new OneKindOfToken('kubernetes-token', {
    name: 'kubernetes-token',
    epoch: 7,
    attest: async ({ id }) => {
      asked.push(id)
      return caller
    },
  })
  const presenting = (id: string, value: string | undefined): Connection => ({
    id,
    listener: 'l',
    accept: 'https-proxy',
    transport: 'tcp',
    remoteAddress: undefined,
    remotePort: undefined,
    localAddress: undefined,
    localPort: undefined,
    peerCertificates: [],
    proxyAuthorization: value === undefined ? undefined : new Secret('proxy-authorization', value),
  })

  it('is asked about its own kind and nothing else', async () => {
    const { signal } = new AbortController()
    const account = token({ sub: 'system:serviceaccount:agents:worker' })
    expect(await attestor.attest(presenting('own', `Bearer ${account}`), signal)).toBe(caller)
    expect(
      await attestor.attest(presenting('other', `Bearer ${token({ sub: 'spiffe://a/b' })}`), signal),
    ).toBeUndefined()
    expect(await attestor.attest(presenting('basic', 'Basic YTpi'), signal)).toBeUndefined()
    expect(await attestor.attest(presenting('none', undefined), signal)).toBeUndefined()
    expect(asked).toEqual(['own'])
    expect(attestor.epoch).toBe(7)
  })
})
