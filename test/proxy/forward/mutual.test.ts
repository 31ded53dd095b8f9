// What the proxy and an upstream prove to one another, each time over a real TLS handshake.
import { spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, rename, rm, writeFile } from 'node:fs/promises'
import { createServer, type RequestListener } from 'node:http'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { setImmediate as turn } from 'node:timers/promises'
import { createServer as createTlsServer, type TLSSocket, type TlsOptions } from 'node:tls'
import { afterEach, describe, expect, it, vi } from 'vitest'
import { certificatePem } from '../../../certs/pem.ts'
import type { SvidSource, TrustBundle, X509Svid } from '../../../certs/source.ts'
import { parseSpiffeId } from '../../../certs/spiffe-id.ts'
import { subjectAltName } from '../../../certs/x509/issue.ts'
import type { Destination } from '../../../proxy/exchange.ts'
import { lookAgainAfter } from '../../../proxy/forward/certificate-file.ts'
import { PooledForwarder } from '../../../proxy/forward/dispatcher.ts'
import { type MutualFor, mutualTls } from '../../../proxy/forward/mutual.ts'
import { createResolver } from '../../../proxy/forward/resolver.ts'
import { readReference } from '../../../proxy/obtain/reference.ts'
import { readSmallFile } from '../../../proxy/obtain/small-file.ts'
import { Refusal } from '../../../proxy/refusal.ts'
import { destinationAt, injectedTo, textOf } from '../../support/injected.ts'
import {
  type Authority,
  type Bent,
  keyPem,
  makeAuthority,
  makeBundle,
  makeKey,
  makeServerCertificate,
  makeSvid,
  ownSvid,
} from '../../support/pki.ts'
import { httpsUpstream } from '../../support/upstream.ts'

const closing: (() => Promise<unknown>)[] = []
afterEach(async () => {
  for (const close of closing.splice(0).reverse()) await close()
})

const host = 'crm.other.example'
const ours = 'spiffe://acme.example/postern'
const theirs = 'spiffe://other.example/ns/x/sa/y'
const hour = 3_600_000

interface Identity extends SvidSource {
  held: X509Svid | undefined
  bundles: readonly TrustBundle[]
}

/** A source that holds what the test puts into it. */
function identity(held: X509Svid | undefined, ...bundles: readonly TrustBundle[]): Identity {
  return {
    held,
    bundles,
    svid() {
      if (this.held === undefined) throw new Error('there is no identity yet')
      return this.held
    },
    bundle(trustDomain) {
      return this.bundles.find((bundle) => bundle.trustDomain === trustDomain)
    },
    jwt: async () => {
      throw new Error('none')
    },
    async *updates() {},
  }
}

const readers = (now = Date.now) => ({
  file: readSmallFile,
  reference: (reference: Parameters<typeof readReference>[0]) => readReference(reference, { environment: {} }),
  now,
})

/** Sends one GET after another to one destination. */
function sending(port: number, more: Partial<Destination>, mutualFor: MutualFor) {
  const forwarder = new PooledForwarder(
    createResolver(() => ({ [host]: ['127.0.0.1'] })),
    () => false,
    mutualFor,
  )
  closing.push(() => forwarder.close(new Error('test over')))
  const destination = destinationAt(host, port, more)
  const send = (request = {}) => forwarder.forward(injectedTo(destination, request), new AbortController().signal)
  return {
    send,
    async text(): Promise<string> {
      const text = await textOf(await send())
      // A connection is free again in the turn after the end of its answer.
      await turn()
      return text
    },
    /** The refusal's reason and detail. */
    async refused(): Promise<string> {
      try {
        await textOf(await send())
      } catch (error) {
        if (error instanceof Refusal) return `${error.status} ${error.message}`
        throw error
      }
      return 'answered'
    },
  }
}

/** Tells who called: the names in the certificate that was presented, its serial, and whether the session is a resumed one. */
const whoCalls: RequestListener = (request, response) => {
  const socket = request.socket as TLSSocket
  const { subjectaltname = 'nobody', serialNumber = '' } = socket.getPeerCertificate()
  response.end(`${subjectaltname} ${serialNumber} ${socket.isSessionReused()}`)
}

/** An upstream that lets in whom `clients` has signed. */
async function asking(clients: Authority, tls: TlsOptions = {}, listener = whoCalls) {
  const upstream = await httpsUpstream([host], listener, {
    tls: { requestCert: true, rejectUnauthorized: true, ca: clients.pem, ...tls },
  })
  closing.push(() => upstream.close())
  return upstream
}

/** An upstream with an X509-SVID. */
async function workload(
  chain: readonly Uint8Array[],
  key: string,
  listener: RequestListener = (_, response) => response.end('in'),
) {
  const upstream = await httpsUpstream([], listener, { tls: { cert: chain.map(certificatePem).join(''), key } })
  closing.push(() => upstream.close())
  return upstream
}

describe('the SVID of the proxy as client certificate', () => {
  const root = makeAuthority()

  it('is shown to an upstream that asks for one', async () => {
    const upstream = await asking(root)
    const svids = identity(ownSvid(makeAuthority({ parent: root }), ours))
    const { text } = sending(
      upstream.port,
      { ca: [upstream.ca], clientCertificate: 'svid' },
      mutualTls({ svids, readers: readers() }),
    )
    expect(await text()).toContain(`URI:${ours}`)
  })

  it('is not shown where the destination does not say so', async () => {
    const upstream = await asking(root, { rejectUnauthorized: false })
    const { text } = sending(
      upstream.port,
      { ca: [upstream.ca] },
      mutualTls({ svids: identity(ownSvid(root, ours)), readers: readers() }),
    )
    expect(await text()).toContain('nobody')
  })

  it('does not keep a server that asks for none from being verified as usual', async () => {
    const upstream = await httpsUpstream(['someone.example'], (_, response) => response.end())
    closing.push(() => upstream.close())
    const svids = identity(ownSvid(root, ours))
    const { refused } = sending(
      upstream.port,
      { ca: [upstream.ca], clientCertificate: 'svid' },
      mutualTls({ svids, readers: readers() }),
    )
    expect(await refused()).toContain('502 upstream_untrusted')
    expect(upstream.connections()).toBe(1)
  })

  it('that is not there (yet, or any more) is a refusal by name, and nothing is connected to', async () => {
    const upstream = await asking(root)
    const svids = identity(undefined)
    const { refused, text } = sending(
      upstream.port,
      { ca: [upstream.ca], clientCertificate: 'svid' },
      mutualTls({ svids, readers: readers() }),
    )
    expect(await refused()).toBe('503 client_certificate_unavailable: there is no identity yet')
    expect(upstream.connections()).toBe(0)
    svids.held = ownSvid(root, ours)
    expect(await text()).toContain(ours)
    // Withdrawn: a connection that was kept is of no use any more.
    svids.held = undefined
    expect(await refused()).toContain('client_certificate_unavailable')
    expect(upstream.connections()).toBe(1)
  })

  it('is refused by name where there is no source of identity at all', async () => {
    const { refused } = sending(1, { clientCertificate: 'svid' }, mutualTls({ svids: undefined, readers: readers() }))
    expect(await refused()).toBe('503 client_certificate_unavailable: the proxy has no identity')
  })

  it('is the newest one at each new connection, and a kept connection of the one before is not used', async () => {
    const upstream = await asking(root)
    const svids = identity(ownSvid(root, ours))
    const { text } = sending(
      upstream.port,
      { ca: [upstream.ca], clientCertificate: 'svid' },
      mutualTls({ svids, readers: readers() }),
    )
    const before = await text()
    expect(await text()).toBe(before)
    expect(upstream.connections()).toBe(1)
    svids.held = ownSvid(root, ours)
    const after = await text()
    expect(after).not.toBe(before)
    expect(await text()).toBe(after)
    expect(upstream.connections()).toBe(2)
    // No session of the certificate before is taken up again.
    for (const told of [before, after]) expect(told).toMatch(/ false$/)
  })

  it('of before goes on under an answer that has begun, and its connection ends with it', async () => {
    const held: { end(text: string): void }[] = []
    const closed: string[] = []
    const upstream = await asking(root, {}, (request, response) => {
      request.socket.once('close', () => closed.push(request.url ?? ''))
      response.write('first half, ')
      held.push(response)
    })
    const svids = identity(ownSvid(root, ours))
    const { send } = sending(
      upstream.port,
      { ca: [upstream.ca], clientCertificate: 'svid' },
      mutualTls({ svids, readers: readers() }),
    )
    const one = await send()
    svids.held = ownSvid(root, ours)
    const other = await send()
    expect(upstream.connections()).toBe(2)
    for (const response of held) response.end('second half')
    expect(await Promise.all([textOf(one), textOf(other)])).toEqual(Array(2).fill('first half, second half'))
    await vi.waitFor(() => expect(closed).toHaveLength(1))
  })

  it('rotated under load loses no request', async () => {
    const upstream = await asking(root)
    const svids = identity(ownSvid(root, ours))
    const { text } = sending(
      upstream.port,
      { ca: [upstream.ca], clientCertificate: 'svid' },
      mutualTls({ svids, readers: readers() }),
    )
    let asked = 0
    const caller = async () => {
      for (let time = 0; time < 25; time += 1) {
        if (asked++ % 10 === 0) svids.held = ownSvid(root, ours)
        expect(await text()).toContain(ours)
      }
    }
    await Promise.all([caller(), caller(), caller(), caller()])
  })

  it('goes with an upgrade too', async () => {
    const upstream = await asking(root)
    upstream.server.on('upgrade', (request, socket) => {
      socket.end(
        `HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n${(request.socket as TLSSocket).getPeerCertificate().subjectaltname}`,
      )
    })
    const svids = identity(ownSvid(root, ours))
    const { send } = sending(
      upstream.port,
      { ca: [upstream.ca], clientCertificate: 'svid' },
      mutualTls({ svids, readers: readers() }),
    )
    const { status, tunnel } = await send({ upgrade: 'websocket' })
    expect(status).toBe(101)
    let heard = ''
    for await (const chunk of tunnel ?? []) heard += chunk
    expect(heard).toContain(ours)
  })

  it.each(['TLSv1.2', 'TLSv1.3'] as const)(
    'that OpenSSL does not accept over %s is a refusal by name',
    async (version) => {
      const port = await openssl(version, makeAuthority())
      if (port === undefined) return console.warn('skipped: there is no openssl s_server here')
      const svids = identity(ownSvid(root, ours))
      const { refused } = sending(
        port.port,
        { ca: [port.ca], clientCertificate: 'svid' },
        mutualTls({ svids, readers: readers() }),
      )
      expect(await refused()).toContain('502 upstream_rejected_certificate')
    },
  )

  it('is accepted by OpenSSL', async () => {
    const server = await openssl('TLSv1.3', root)
    if (server === undefined) return console.warn('skipped: there is no openssl s_server here')
    const svids = identity(ownSvid(root, ours))
    const { text } = sending(
      server.port,
      { ca: [server.ca], clientCertificate: 'svid' },
      mutualTls({ svids, readers: readers() }),
    )
    expect(await text()).toContain('Client certificate')
  })
})

/** `openssl s_server`, which demands a certificate that `clients` has signed. Undefined where it is missing. */
async function openssl(version: 'TLSv1.2' | 'TLSv1.3', clients: Authority) {
  if (spawnSync('openssl', ['version']).status !== 0) return undefined
  const folder = await mkdtemp(join(tmpdir(), 'postern-openssl-'))
  closing.push(() => rm(folder, { recursive: true, force: true }))
  const authority = makeAuthority()
  const { cert, key } = makeServerCertificate(authority, [host])
  const at = (name: string) => join(folder, name)
  await Promise.all([writeFile(at('cert'), cert), writeFile(at('key'), key), writeFile(at('clients'), clients.pem)])
  const only = version === 'TLSv1.2' ? '-tls1_2' : '-tls1_3'
  const files = ['-cert', at('cert'), '-key', at('key'), '-CAfile', at('clients')]
  const server = spawn('openssl', [
    's_server',
    '-accept',
    '127.0.0.1:0',
    '-www',
    only,
    '-Verify',
    '3',
    '-verify_return_error',
    ...files,
  ])
  server.stderr.resume()
  closing.push(async () => {
    if (server.exitCode !== null || server.signalCode !== null) return
    server.kill('SIGKILL')
    await once(server, 'exit')
  })
  for await (const line of createInterface(server.stdout)) {
    const port = /^ACCEPT .*:(\d+)/.exec(line)?.[1]
    if (port === undefined) continue
    server.stdout.resume()
    return { port: Number(port), ca: authority.pem }
  }
  throw new Error('openssl s_server ended')
}

describe('a client certificate from files', () => {
  const root = makeAuthority()

  async function files() {
    const folder = await mkdtemp(join(tmpdir(), 'postern-files-'))
    closing.push(() => rm(folder, { recursive: true, force: true }))
    const certificate = join(folder, 'client.pem')
    const key = join(folder, 'client.key')
    const put = async (path: string, text: string) => {
      await writeFile(`${path}.new`, text)
      await rename(`${path}.new`, path)
    }
    return {
      certificate,
      key,
      wanted: { certificate, key: { from: 'file', path: key } as const },
      put,
      async pair(name: string, bent: Bent = {}) {
        const made = makeSvid(root, name, bent)
        await put(certificate, made.chain.map(certificatePem).join(''))
        await put(key, keyPem(made.key))
      },
    }
  }

  it('is shown, and another one after the files have changed', async () => {
    let now = Date.now()
    const upstream = await asking(root)
    const { wanted, pair } = await files()
    await pair('urn:one')
    const { text } = sending(
      upstream.port,
      { ca: [upstream.ca], clientCertificate: wanted },
      mutualTls({ svids: undefined, readers: readers(() => now) }),
    )
    expect(await text()).toContain('urn:one')
    await pair('urn:two')
    now += lookAgainAfter
    expect(await text()).toContain('urn:two')
    expect(upstream.connections()).toBe(2)
    now += lookAgainAfter
    expect(await text()).toContain('urn:two')
    expect(upstream.connections()).toBe(2)
  })

  it('of which one half has been replaced is the one of before, until the other half is', async () => {
    let now = Date.now()
    const upstream = await asking(root)
    const { wanted, pair, put, key } = await files()
    await pair('urn:one')
    const { text } = sending(
      upstream.port,
      { ca: [upstream.ca], clientCertificate: wanted },
      mutualTls({ svids: undefined, readers: readers(() => now) }),
    )
    expect(await text()).toContain('urn:one')
    await put(key, keyPem(makeKey()))
    now += lookAgainAfter
    expect(await text()).toContain('urn:one')
    await pair('urn:two')
    now += lookAgainAfter
    expect(await text()).toContain('urn:two')
  })

  it.each([
    ['that is missing', async () => {}, /client\.pem: ENOENT/],
    [
      'that is no certificate',
      async ({ put, certificate, key }: Awaited<ReturnType<typeof files>>) => {
        await put(certificate, 'nonsense')
        await put(key, keyPem(makeKey()))
      },
      /the certificate cannot be parsed/,
    ],
    [
      'with the key of another',
      async ({ pair, put, key }: Awaited<ReturnType<typeof files>>) => {
        await pair('urn:one')
        await put(key, keyPem(makeKey()))
      },
      /the private key is not that of the certificate/,
    ],
    [
      'with a key that is none',
      async ({ pair, put, key }: Awaited<ReturnType<typeof files>>) => {
        await pair('urn:one')
        await put(key, '-----BEGIN PRIVATE KEY-----\nc2VjcmV0\n-----END PRIVATE KEY-----\n')
      },
      /the private key cannot be parsed$/,
    ],
    [
      'that has expired',
      ({ pair }: Awaited<ReturnType<typeof files>>) => pair('urn:one', { notAfter: Date.now() - hour / 2 }),
      /it has expired/,
    ],
  ])('%s is a refusal by name', async (_what, arrange, detail) => {
    const there = await files()
    await arrange(there)
    const { refused } = sending(
      1,
      { clientCertificate: there.wanted },
      mutualTls({ svids: undefined, readers: readers() }),
    )
    const told = await refused()
    expect(told).toMatch(/^503 client_certificate_unavailable/)
    expect(told).toMatch(detail)
  })

  it('expires under a connection that is kept', async () => {
    let now = Date.now()
    const upstream = await asking(root)
    const { wanted, pair } = await files()
    await pair('urn:one')
    const { text, refused } = sending(
      upstream.port,
      { ca: [upstream.ca], clientCertificate: wanted },
      mutualTls({ svids: undefined, readers: readers(() => now) }),
    )
    expect(await text()).toContain('urn:one')
    now += 2 * hour
    expect(await refused()).toContain('client_certificate_unavailable')
    expect(upstream.connections()).toBe(1)
  })
})

describe('an upstream that must prove to be one workload', () => {
  const root = makeAuthority()
  const stranger = makeAuthority()
  const trusting = () =>
    identity(ownSvid(makeAuthority(), ours), makeBundle('other.example', root), makeBundle('acme.example', stranger))
  const must = { spiffeId: parseSpiffeId(theirs) }
  const to = (port: number, svids = trusting()) => sending(port, must, mutualTls({ svids, readers: readers() }))

  it('is spoken to when it is that one, under whatever host name', async () => {
    const { chain, key } = makeSvid(makeAuthority({ parent: makeAuthority({ parent: root }) }), theirs)
    const upstream = await workload(chain, keyPem(key))
    expect(await to(upstream.port).text()).toBe('in')
  })

  it.each<[string, () => ReturnType<typeof makeSvid>, string]>([
    [
      'another workload of the same domain',
      () => makeSvid(root, 'spiffe://other.example/ns/x/sa/z'),
      'upstream_wrong_identity: the host is spiffe://other.example/ns/x/sa/z, and was to be spiffe://other.example/ns/x/sa/y',
    ],
    [
      'one whose ID is the beginning of it',
      () => makeSvid(root, 'spiffe://other.example/ns/x/sa'),
      'upstream_wrong_identity',
    ],
    [
      'one with two URIs, the right one among them',
      () =>
        makeSvid(root, theirs, {
          subjectAltName: subjectAltName(false, { uri: theirs }, { uri: 'spiffe://other.example/z' }),
        }),
      'upstream_svid_invalid: svid_many_uri_sans',
    ],
    [
      'a workload of another trusted domain',
      () => makeSvid(stranger, 'spiffe://acme.example/ns/x/sa/y'),
      'upstream_wrong_identity',
    ],
    [
      'the right ID, signed by the authority of another trusted domain',
      () => makeSvid(stranger, theirs),
      'upstream_svid_invalid: svid_no_path_to_root',
    ],
    [
      'one of a domain that is not trusted',
      () => makeSvid(root, 'spiffe://nobody.example/ns/x/sa/y'),
      'upstream_svid_invalid: svid_untrusted_domain',
    ],
    [
      'the right one, expired',
      () => makeSvid(root, theirs, { notAfter: Date.now() - 1_000 }),
      'upstream_svid_invalid: svid_expired',
    ],
    [
      'the right one, not valid yet',
      () => makeSvid(root, theirs, { notBefore: Date.now() + hour / 2 }),
      'upstream_svid_invalid: svid_not_yet_valid',
    ],
    ['an authority', () => ({ ...makeAuthority({ uri: theirs }), chain: [] }), 'upstream_svid_invalid: svid_'],
  ])('is refused, before a byte of the request is sent, when it is %s', async (_what, make, told) => {
    const { certificate, chain, key } = make()
    let asked = 0
    const upstream = await workload(chain.length === 0 ? [certificate] : chain, keyPem(key), (_, response) => {
      asked += 1
      response.end('in')
    })
    expect(await to(upstream.port).refused()).toContain(`502 ${told}`)
    expect(asked).toBe(0)
  })

  it('is refused when it has a certificate of a web server, of an authority that the system trusts or the bundle holds', async () => {
    const { cert, key } = makeServerCertificate(root, [host])
    const upstream = await httpsUpstream([], () => {}, { tls: { cert, key } })
    closing.push(() => upstream.close())
    expect(await to(upstream.port).refused()).toContain('502 upstream_svid_invalid: svid_no_uri_san')
  })

  it('is refused when the key in the handshake is not that of the certificate', async () => {
    const { chain } = makeSvid(root, theirs)
    // OpenSSL does not take such a pair, so the server shows the SVID of the workload behind a certificate of its own.
    const own = makeSvid(stranger, 'spiffe://acme.example/thief')
    const upstream = await workload([...own.chain, ...chain], keyPem(own.key))
    expect(await to(upstream.port).refused()).toContain('upstream_wrong_identity')
  })

  it('is not believed on a kept connection any more when the bundle of its domain has changed', async () => {
    const { chain, key } = makeSvid(root, theirs)
    const upstream = await workload(chain, keyPem(key))
    const svids = trusting()
    const { text, refused } = to(upstream.port, svids)
    expect(await text()).toBe('in')
    svids.bundles = [makeBundle('other.example', stranger)]
    expect(await refused()).toContain('upstream_svid_invalid: svid_no_path_to_root')
    svids.bundles = []
    expect(await refused()).toContain('upstream_svid_invalid: svid_untrusted_domain')
  })

  it('can demand the SVID of the proxy in turn', async () => {
    const { chain, key } = makeSvid(root, theirs)
    const clients = makeAuthority()
    const upstream = await asking(clients, { cert: chain.map(certificatePem).join(''), key: keyPem(key) })
    const svids = identity(ownSvid(clients, ours), makeBundle('other.example', root))
    const { text } = sending(
      upstream.port,
      { ...must, clientCertificate: 'svid' },
      mutualTls({ svids, readers: readers() }),
    )
    expect(await text()).toContain(`URI:${ours}`)
  })

  it('is refused in good time when it does not speak TLS at all', async () => {
    const clear = createServer().listen(0, '127.0.0.1')
    await once(clear, 'listening')
    closing.push(async () => clear.close())
    const address = clear.address()
    const port = typeof address === 'object' && address !== null ? address.port : 0
    expect(await to(port).refused()).toMatch(/^502 upstream_un(?:reachable|trusted)/)
  })
})

it('a resumed session is never offered where somebody proves an identity', async () => {
  const root = makeAuthority()
  const { chain, key } = makeSvid(root, theirs)
  const told: boolean[] = []
  const server = createTlsServer({ cert: chain.map(certificatePem).join(''), key: keyPem(key) }, (socket) => {
    told.push(socket.isSessionReused())
    socket.on('error', () => {})
    socket.once('data', () => socket.end('HTTP/1.1 204 No Content\r\nConnection: close\r\n\r\n'))
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  closing.push(async () => server.close())
  const address = server.address()
  const port = typeof address === 'object' && address !== null ? address.port : 0
  const svids = identity(undefined, makeBundle('other.example', root))
  const { text } = sending(port, { spiffeId: parseSpiffeId(theirs) }, mutualTls({ svids, readers: readers() }))
  for (let time = 0; time < 3; time += 1) await text()
  expect(told).toEqual([false, false, false])
})
