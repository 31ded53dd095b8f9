// Federated trust domains against real HTTPS servers: what each trouble is called, and that nothing is lost by it.

import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import type { RequestListener } from 'node:http'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { beforeEach, describe, expect, onTestFinished, test, vi } from 'vitest'
import { certificatePem } from '../../../certs/pem.ts'
import type { SvidSource } from '../../../certs/source.ts'
import { parseSpiffeId, parseTrustDomain } from '../../../certs/spiffe-id.ts'
import { federationStatus, openTrust, type Trust } from '../../../cli/wire/federation.ts'
import type { FederationSettings } from '../../../proxy/identify/settings.ts'
import { type Authority, keyPem, makeAuthority, makeBundle, makeSvid, ownSvid } from '../../support/pki.ts'
import { type HttpsUpstream, httpsUpstream } from '../../support/upstream.ts'

const acme = parseTrustDomain('acme.example')
const b = parseTrustDomain('b.example')
const root = makeAuthority()
const other = makeAuthority()
const local = makeAuthority()
const endpointId = parseSpiffeId('spiffe://b.example/bundles')

function document(roots: readonly Authority[], more: object = {}): string {
  const keys = roots.map(({ certificate }) => ({
    kty: 'EC',
    use: 'x509-svid',
    x5c: [Buffer.from(certificate).toString('base64')],
  }))
  return JSON.stringify({ keys, ...more })
}

const source: SvidSource = {
  svid: () => ownSvid(local, 'spiffe://acme.example/postern'),
  bundle: (domain) =>
    [makeBundle('acme.example', local), makeBundle('w.example', other)].find((each) => each.trustDomain === domain),
  jwt: async () => '',
  updates: async function* () {},
}

let problems: string[]
let taken: number
let clock: number
beforeEach(() => {
  problems = []
  taken = 0
  clock = 0
})

async function opened(federation: Record<string, FederationSettings>): Promise<Trust> {
  const trust = await openTrust({ trustDomain: acme, identity: { source: 'embedded' }, federation }, source, {
    resolve: async () => ['127.0.0.1'],
    isOwn: () => false,
    now: () => Date.now() + clock,
    patience: 500,
    onRefresh: (_, problem) => {
      if (problem === undefined) taken += 1
      else problems.push(problem.message.replace(/:\d+/, ''))
    },
  })
  onTestFinished(() => trust.close())
  return trust
}

/** A server with a certificate of the web. */
async function web(listener: RequestListener): Promise<{ server: HttpsUpstream; settings: FederationSettings }> {
  const server = await httpsUpstream(['b.example'], listener)
  onTestFinished(() => server.close())
  const settings: FederationSettings = {
    source: 'https_web',
    url: `https://b.example:${server.port}/bundle`,
    addresses: ['127.0.0.0/8'],
    refresh: 1_000,
    ca: [server.ca],
  }
  return { server, settings }
}

/** A server that is this workload. */
async function workload(id: string, listener: RequestListener, authority = root): Promise<HttpsUpstream> {
  const { chain, key } = makeSvid(authority, id)
  const tls = { cert: chain.map(certificatePem).join(''), key: keyPem(key) }
  const server = await httpsUpstream([], listener, { tls })
  onTestFinished(() => server.close())
  return server
}

async function spiffe({ port }: HttpsUpstream, anchor: string = root.pem): Promise<FederationSettings> {
  const folder = await mkdtemp(join(tmpdir(), 'postern-federation-'))
  onTestFinished(() => rm(folder, { recursive: true }))
  const bundle = join(folder, 'bundle.pem')
  await writeFile(bundle, anchor)
  return {
    source: 'https_spiffe',
    url: `https://b.example:${port}/bundle`,
    addresses: ['127.0.0.0/8'],
    refresh: 1_000,
    endpointId,
    bundle,
  }
}

const rootsOf = (trust: Trust) => trust.bundle(b)?.x509Authorities.map((der) => Buffer.from(der))
const der = ({ certificate }: Authority) => Buffer.from(certificate)
const nothing: RequestListener = () => {}

describe('profile https_web', () => {
  test('the bundle is there at the start, and of no other domain', async () => {
    const { settings } = await web((_, response) => response.end(document([root], { spiffe_sequence: 3 })))
    const trust = await opened({ 'b.example': settings })
    expect(rootsOf(trust)).toEqual([der(root)])
    expect(trust.bundle(parseTrustDomain('c.example'))).toBeUndefined()
    expect(federationStatus(trust)).toEqual([
      {
        trust_domain: 'b.example',
        state: 'held',
        sequence: '3',
        refreshed_at: expect.any(String),
        next_refresh: expect.any(String),
      },
    ])
  })

  const redirect =
    (location: string): RequestListener =>
    (request, response) =>
      request.url === '/elsewhere'
        ? response.end(document([root]))
        : response.writeHead(302, { location: location.replace('PORT', String(request.socket.localPort)) }).end()

  test('a redirect to HTTPS is followed, and asked for anew the next time', async () => {
    const asked: (string | undefined)[] = []
    const { settings } = await web((request, response) => {
      asked.push(request.url)
      redirect('https://b.example:PORT/elsewhere')(request, response)
    })
    const trust = await opened({ 'b.example': settings })
    expect(rootsOf(trust)).toEqual([der(root)])
    await vi.waitFor(() => expect(taken).toBe(2), 3_000)
    expect(asked).toEqual(['/bundle', '/elsewhere', '/bundle', '/elsewhere'])
  })

  test.each<[string, RequestListener, RegExp]>([
    [
      'a redirect to cleartext',
      redirect('http://b.example:PORT/elsewhere'),
      /redirects to cleartext or another scheme$/,
    ],
    ['a redirect with user information', redirect('https://a:b@b.example:PORT/elsewhere'), /user information$/],
    ['redirects without end', redirect('/again'), /redirects more than 5 times$/],
    [
      'a redirect to another host',
      redirect('https://evil.example:PORT/elsewhere'),
      /evil\.example was not connected to: upstream_untrusted/,
    ],
    ['no answer', nothing, /gave no whole answer within 500 ms$/],
    [
      'an answer in drops',
      (_, response) => void setInterval(() => response.write(' '), 50).unref(),
      /gave no whole answer within 500 ms$/,
    ],
    [
      '100 MB',
      (_, response) => {
        let left = 100
        const more = () => {
          while (left-- > 0 && response.write(Buffer.alloc(1024 * 1024, 0x20)));
          if (left < 0) response.end(document([other], { spiffe_sequence: 9 }))
        }
        response.on('drain', more)
        more()
      },
      /answered with more than 1048576 bytes$/,
    ],
    ['not found', (_, response) => response.writeHead(404).end(document([other])), /answered 404$/],
    ['garbage', (_, response) => response.end('<html>'), /bundle_not_json/],
    [
      'a member twice',
      (_, response) => response.end(`{"keys":[],${document([other]).slice(1)}`),
      /bundle_duplicate_member/,
    ],
    [
      'a lower sequence',
      (_, response) => response.end(document([other], { spiffe_sequence: 1 })),
      /bundle_older: its sequence 1 is lower than 2/,
    ],
  ])('%s: the bundle of before stays, and it says why', async (_, listener, problem) => {
    let first = true
    const { settings } = await web((request, response) => {
      if (!first) return listener(request, response)
      first = false
      return response.end(document([root], { spiffe_sequence: 2 }))
    })
    const trust = await opened({ 'b.example': settings })
    expect(rootsOf(trust)).toEqual([der(root)])
    await vi.waitFor(() => expect(problems).toEqual([expect.stringMatching(problem)]), 4_000)
    expect(rootsOf(trust)).toEqual([der(root)])
    expect(federationStatus(trust)).toMatchObject([{ state: 'held', sequence: '2', problem: expect.any(String) }])
  })

  test('connection refused, and the server comes back: the bundle of before, then the new one', async () => {
    const { server, settings } = await web((_, response) => response.end(document([root])))
    const trust = await opened({ 'b.example': settings })
    await server.close()
    await vi.waitFor(() => expect(problems).toEqual([expect.stringMatching(/ECONNREFUSED/)]), 4_000)
    expect(rootsOf(trust)).toEqual([der(root)])
  })

  test('a certificate that the web does not know, and a private address that was not named, are refused', async () => {
    const { settings } = await web((_, response) => response.end(document([root])))
    if (settings.source !== 'https_web') throw new Error('not the web')
    const trust = await opened({ 'b.example': { ...settings, ca: [] } })
    expect(federationStatus(trust)).toMatchObject([
      { state: 'waiting', problem: expect.stringMatching(/upstream_untrusted/) },
    ])
    const guarded = await opened({ 'b.example': { ...settings, addresses: [] } })
    expect(federationStatus(guarded)).toMatchObject([
      { state: 'waiting', problem: expect.stringMatching(/blocked_address/) },
    ])
  })
})

describe('profile https_spiffe', () => {
  test('an endpoint with exactly the ID is believed, without a certificate of the web or a name in it', async () => {
    const server = await workload(endpointId, (_, response) => response.end(document([root])))
    expect(rootsOf(await opened({ 'b.example': await spiffe(server) }))).toEqual([der(root)])
  })

  test.each<[string, string, Authority, RegExp]>([
    ['of somebody else', 'spiffe://b.example/other', root, /the server is spiffe:\/\/b\.example\/other, not /],
    ['of another trust domain', 'spiffe://c.example/bundles', root, /svid_untrusted_domain/],
    ['of an authority that is not in the bundle', endpointId, other, /svid_no_path_to_root/],
  ])('a certificate %s is refused before anything is asked', async (_, id, authority, problem) => {
    let asked = false
    const server = await workload(
      id,
      (_request, response) => {
        asked = true
        response.end(document([root]))
      },
      authority,
    )
    const trust = await opened({ 'b.example': await spiffe(server) })
    expect(trust.bundle(b)).toBeUndefined()
    expect(federationStatus(trust)).toMatchObject([{ state: 'waiting', problem: expect.stringMatching(problem) }])
    expect(asked).toBe(false)
  })

  test('a certificate of the web is no X509-SVID', async () => {
    const { server } = await web((_, response) => response.end(document([root])))
    const trust = await opened({ 'b.example': await spiffe(server) })
    expect(federationStatus(trust)).toMatchObject([{ state: 'waiting', problem: expect.stringMatching(/svid_/) }])
  })

  test('a redirect must lead to the same identity', async () => {
    const twin = await workload(endpointId, (_, response) => response.end(document([root])))
    const stranger = await workload('spiffe://b.example/other', (_, response) => response.end(document([other])))
    const to = ({ port }: HttpsUpstream) =>
      workload(endpointId, (_, response) => response.writeHead(307, { location: `https://x.example:${port}/` }).end())
    expect(rootsOf(await opened({ 'b.example': await spiffe(await to(twin)) }))).toEqual([der(root)])
    const trust = await opened({ 'b.example': await spiffe(await to(stranger)) })
    expect(federationStatus(trust)).toMatchObject([
      { state: 'waiting', problem: expect.stringMatching(/x\.example:\d+ was not connected to: .*the server is/) },
    ])
  })

  test('the bundle refreshes itself: the endpoint announces a new root, then proves itself by it', async () => {
    let roots = [root, other]
    const server = await workload(endpointId, (_, response) => response.end(document(roots)))
    const trust = await opened({ 'b.example': await spiffe(server) })
    expect(rootsOf(trust)).toEqual([der(root), der(other)])
    const { chain, key } = makeSvid(other, endpointId)
    server.server.setSecureContext({ cert: chain.map(certificatePem).join(''), key: keyPem(key) })
    roots = [other]
    await vi.waitFor(() => expect(rootsOf(trust)).toEqual([der(other)]), 3_000)
    expect(problems).toEqual([])
  })

  test.each([86_400_000, -86_400_000])(
    'a clock that jumps by %i ms loses nothing: the endpoint is not believed meanwhile, and is again',
    async (jump) => {
      const server = await workload(endpointId, (_, response) => response.end(document([root])))
      const trust = await opened({ 'b.example': await spiffe(server) })
      clock = jump
      await vi.waitFor(
        () => expect(problems).toEqual([expect.stringMatching(jump > 0 ? /svid_expired/ : /svid_not_yet_valid/)]),
        3_000,
      )
      expect(rootsOf(trust)).toEqual([der(root)])
      clock = 0
      const before = taken
      await vi.waitFor(() => expect(taken).toBeGreaterThan(before), 3_000)
    },
  )
})

test('a file, and what the Workload API gives, count where they are named', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'postern-federation-'))
  onTestFinished(() => rm(folder, { recursive: true }))
  const path = join(folder, 'd.json')
  await writeFile(path, document([root]))
  const trust = await opened({ 'b.example': { source: 'file', path }, 'w.example': { source: 'workload-api' } })
  const w = parseTrustDomain('w.example')
  expect(rootsOf(trust)).toEqual([der(root)])
  expect(trust.bundle(w)?.x509Authorities).toHaveLength(1)
  const { epoch } = trust
  await writeFile(path, document([]))
  await vi.waitFor(() => expect(federationStatus(trust)).toMatchObject([{ state: 'empty' }, { state: 'held' }]), 3_000)
  expect(trust.epoch).toBeGreaterThan(epoch)
  await writeFile(path, 'garbage')
  await vi.waitFor(() => expect(problems).toHaveLength(1), 3_000)
  expect(federationStatus(trust)).toMatchObject([
    { state: 'empty', problem: expect.stringMatching(/no CERTIFICATE in PEM/) },
    {},
  ])
  await trust.prepare(new Map())()
  expect(trust.bundle(w)).toBeUndefined()
})
