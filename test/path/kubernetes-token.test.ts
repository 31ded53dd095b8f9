// A pod that proves itself by its service-account token, against a cluster's key server on loopback: rotation, lies, silence.
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest'
import { parseSpiffeId } from '../../certs/spiffe-id.ts'
import { openGate, type TestGate } from '../support/gate.ts'
import { publicJwk, signJwt } from '../support/jwt.ts'
import { makeKey } from '../support/pki.ts'
import { type HttpsUpstream, httpsUpstream } from '../support/upstream.ts'
import { WireClient } from '../support/wire-client.ts'

const issuer = 'https://kubernetes.default.svc.cluster.local'
const uid = process.getuid?.() ?? 0
const worker = 'spiffe://acme.example/ns/agents/sa/worker'
const pod = { name: 'worker-0', uid: '5a1c2b4e-0000-4000-8000-1234567890ab' }
const [old, fresh] = [makeKey('p256'), makeKey('p256')]
const setOf = (...keys: readonly object[]) => JSON.stringify({ keys })
const oldSet = setOf(publicJwk(old, 'old'))

let upstream: HttpsUpstream
let cluster: HttpsUpstream
let gate: TestGate
let asked = 0
let clusterSays: { readonly status: number; readonly body: string } = { status: 200, body: oldSet }

beforeAll(async () => {
  upstream = await httpsUpstream(['api.example'], (_, response) => response.end('hello'))
  cluster = await httpsUpstream(['cluster.example'], (_, response) => {
    asked += 1
    response.writeHead(clusterSays.status, { 'content-type': 'application/jwk-set+json', location: '/other' })
    response.end(clusterSays.body)
  })
})

afterAll(async () => {
  vi.useRealTimers()
  await gate?.[Symbol.asyncDispose]()
  await upstream.close()
  await cluster.close()
})

function start(
  keys = `{ url: "https://cluster.example:${cluster.port}/openid/v1/jwks", ca: [cluster.pem], addresses: [127.0.0.0/8] }`,
) {
  return openGate(
    `identity: { source: embedded }
kubernetes: { issuer: "${issuer}", keys: ${keys} }
listen:
  - { name: pods, address: "127.0.0.1:0", accept: https-proxy, callers: [kubernetes-token] }
  - { name: both, address: "127.0.0.1:0", accept: https-proxy, callers: [jwt-svid, kubernetes-token] }
  - { name: beside, address: "127.0.0.1:0", accept: http-proxy, callers: [kubernetes-token], uids: { "${uid}": ${worker} } }
resolve: { api.example: [127.0.0.1], cluster.example: [127.0.0.1] }
destinations:
  api: { hosts: [api.example], ports: [${upstream.port}], addresses: [127.0.0.0/8], ca: [ca.pem] }
rules:
  - { name: reads, allow: { agents: ["spiffe://acme.example/ns/agents/*"], to: api, methods: [GET] }, proof: [kubernetes-token] }
  - { name: reads-too, allow: { agents: ["spiffe://acme.example/workload"], to: api, methods: [GET] }, proof: [jwt-svid] }
`,
    { files: { 'ca.pem': upstream.ca, 'cluster.pem': cluster.ca, 'jwks.json': oldSet } },
  )
}

function token(kid: 'old' | 'new', more: object = {}): string {
  const seconds = Math.floor(Date.now() / 1000)
  const claims = {
    iss: issuer,
    sub: 'system:serviceaccount:agents:worker',
    aud: ['spiffe://acme.example/egress'],
    exp: seconds + 600,
    iat: seconds,
    'kubernetes.io': { namespace: 'agents', pod, serviceaccount: { name: 'worker', uid: '2' } },
    ...more,
  }
  return signJwt({ alg: 'ES256', kid }, claims, (kid === 'old' ? old : fresh).privateKey)
}

/** 200, or the reason why not. */
async function call(listener: string, presented: string): Promise<unknown> {
  const authority = `api.example:${upstream.port}`
  const to = { host: '127.0.0.1', port: gate.port(listener) }
  await using client = await WireClient.open(to, listener === 'beside' ? undefined : { rejectUnauthorized: false })
  const connected = await client.tunnel(authority, `Proxy-Authorization: Bearer ${presented}`)
  if (connected.status !== 200) return JSON.parse(connected.text).reason
  await client.secure({ ca: gate.gate.caPem, servername: 'api.example' })
  return (await client.request(['GET /v1 HTTP/1.1', `Host: ${authority}`])).status
}

describe('a service-account token', () => {
  it('is verified with the keys of the cluster, which are asked for when they are needed and not again', async () => {
    // Behind, so that what is made later in the test is valid by the clock of OpenSSL too.
    vi.useFakeTimers({ toFake: ['Date'], now: Date.now() - 30 * 60_000 })
    gate = await start()
    expect(asked).toBe(0)
    expect(await call('pods', token('old', { iss: 'https://evil.example' }))).toBe('kubernetes_token_wrong_issuer')
    expect(asked).toBe(0)
    expect(await call('pods', token('old'))).toBe(200)
    expect(await call('pods', token('old', { aud: [issuer] }))).toBe('kubernetes_token_wrong_audience')
    expect(await call('pods', token('old'))).toBe(200)
    expect(asked).toBe(1)
  })

  it('is told from a JWT-SVID where a listener accepts both, and each is verified by its own kind alone', async () => {
    const svid = await gate.gate.authority?.issueJwt(parseSpiffeId('spiffe://acme.example/workload'), [
      'spiffe://acme.example/egress',
    ])
    expect(await call('both', svid ?? '')).toBe(200)
    expect(await call('both', token('old'))).toBe(200)
    expect(await call('both', token('old', { aud: [issuer] }))).toBe('kubernetes_token_wrong_audience')
    expect(await call('both', token('old', { iss: 'https://evil.example' }))).toBe('kubernetes_token_wrong_issuer')
    // Signed by the cluster and naming a workload: the cluster has no say about those.
    expect(await call('both', token('old', { sub: 'spiffe://acme.example/workload' }))).toBe('jwt_svid_unknown_key')
    expect(await call('both', token('old', { sub: 'somebody' }))).toBe('jwt_svid_bad_id')
    expect(await call('both', `${svid?.slice(0, -4)}AAAA`)).toBe('jwt_svid_bad_signature')
    expect(await call('both', 'nonsense')).toBe('jwt_svid_malformed')
  })

  it('stands in the record by its account and pod, and never itself', async () => {
    const presented = token('old')
    expect(await call('beside', presented)).toBe(200)
    const caller = { spiffe_id: worker, proofs: ['kubernetes-token', 'kernel'], uid, pod }
    const records = await vi.waitFor(async () => {
      const written = await gate.records(0)
      expect(written).toContainEqual(expect.objectContaining({ caller: expect.objectContaining(caller) }))
      return written
    })
    expect(JSON.stringify(records) + gate.log()).not.toContain(presented.split('.')[1])
  })

  it('in clear is worth nothing in the hands of another user than that of its account', async () => {
    const other = { namespace: 'agents', serviceaccount: { name: 'other', uid: '3' } }
    const stolen = token('old', { sub: 'system:serviceaccount:agents:other', 'kubernetes.io': other })
    expect(await call('beside', stolen)).toBe('unidentified_caller')
    expect(await call('pods', stolen)).toBe(200)
  })

  it('of a new key is accepted once the keys may be asked for again, and of the old one no more', async () => {
    clusterSays = { status: 200, body: setOf(publicJwk(fresh, 'new')) }
    expect(await call('pods', token('new'))).toBe('kubernetes_token_unknown_key')
    vi.setSystemTime(Date.now() + 11_000)
    expect(await call('pods', token('new'))).toBe(200)
    expect(await call('pods', token('old'))).toBe('kubernetes_token_unknown_key')
    expect(asked).toBe(2)
  })

  it.each([
    ['redirects', { status: 302, body: oldSet }, '302'],
    ['gives a page', { status: 200, body: '<html>' }, 'it is not JSON'],
    ['is broken', { status: 500, body: oldSet }, '500'],
  ])('goes on to be verified with the keys of before while the cluster %s', async (_, lie, told) => {
    clusterSays = lie
    vi.setSystemTime(Date.now() + 6 * 60_000)
    expect(await call('pods', token('old'))).toBe('kubernetes_token_unknown_key')
    expect(await call('pods', token('new'))).toBe(200)
    expect(gate.log()).toContain(told)
  })

  it('is refused once the keys of before are too old', async () => {
    vi.setSystemTime(Date.now() + 3_600_000)
    expect(await call('pods', token('new'))).toBe('kubernetes_keys_unavailable')
  })

  it('is verified with keys from a file too', async () => {
    vi.useRealTimers()
    await gate[Symbol.asyncDispose]()
    gate = await start('{ file: jwks.json }')
    const before = asked
    expect(await call('pods', token('old'))).toBe(200)
    expect(await call('pods', token('new'))).toBe('kubernetes_token_unknown_key')
    expect(asked).toBe(before)
  })
})
