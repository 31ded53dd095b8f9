// The attestor behind a real TLS server that lets every certificate in, against hostile and sound clients.
import { constants } from 'node:crypto'
import { once } from 'node:events'
import type { AddressInfo } from 'node:net'
import { connect, createServer, type Server, type TLSSocket, type TlsOptions } from 'node:tls'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { certificatePem } from '../../../certs/pem.ts'
import type { TrustBundle } from '../../../certs/source.ts'
import type { Caller, Connection } from '../../../proxy/exchange.ts'
import { X509SvidAttestor } from '../../../proxy/identify/x509-svid.ts'
import { Refusal } from '../../../proxy/refusal.ts'
import { hostileSvids } from '../../support/hostile-svids.ts'
import {
  type KeyPair,
  keyPem,
  makeAuthority,
  makeBundle,
  makeKey,
  makeServerCertificate,
  makeSvid,
} from '../../support/pki.ts'

const agent = 'spiffe://acme.example/agent'

function connection(peerCertificates: readonly Uint8Array[]): Connection {
  return {
    id: 'c1',
    listener: 'mesh',
    accept: 'https-proxy',
    transport: 'tcp',
    remoteAddress: '127.0.0.1',
    remotePort: 40000,
    localAddress: '127.0.0.1',
    localPort: 15002,
    peerCertificates,
    proxyAuthorization: undefined,
  }
}

function attestor(bundles: readonly TrustBundle[], now: () => number = Date.now): X509SvidAttestor {
  const byDomain = new Map(bundles.map((bundle) => [bundle.trustDomain, bundle]))
  return new X509SvidAttestor({ bundleFor: (domain) => byDomain.get(domain), now })
}

async function attest(chain: readonly Uint8Array[], bundles: readonly TrustBundle[]): Promise<Caller | string> {
  try {
    return (await attestor(bundles).attest(connection(chain))) ?? 'no evidence'
  } catch (error) {
    if (error instanceof Refusal) return error.reason
    throw error
  }
}

describe('X509SvidAttestor', () => {
  const root = makeAuthority()
  const bundles = [makeBundle('acme.example', root)]

  test('has nothing to say where no certificate was presented', async () => {
    expect(await attest([], bundles)).toBe('no evidence')
  })

  test('refuses with the reason of the validation, and a detail for the record', async () => {
    const { chain } = makeSvid(root, 'spiffe://other.example/agent')
    const refused = attestor(bundles).attest(connection(chain))
    await expect(refused).rejects.toBeInstanceOf(Refusal)
    await expect(refused).rejects.toMatchObject({
      reason: 'svid_untrusted_domain',
      detail: 'there is no bundle of this trust domain',
      status: 403,
    })
  })

  test('tells the caller by its ID, with serial and the end of the proof', async () => {
    const notAfter = Math.floor(Date.now() / 1000) * 1000 + 60_000
    const { chain } = makeSvid(root, agent, { serial: Uint8Array.of(0x12, 0x34), notAfter })
    expect(await attest(chain, bundles)).toEqual({
      id: agent,
      proofs: ['x509-svid'],
      serial: '1234',
      expiresAt: notAfter,
    })
  })

  test('asks for the bundle anew each time', async () => {
    let bundle: TrustBundle | undefined = bundles[0]
    const attesting = new X509SvidAttestor({ bundleFor: () => bundle, now: Date.now })
    const { chain } = makeSvid(root, agent)
    expect((await attesting.attest(connection(chain)))?.id).toBe(agent)
    bundle = undefined
    await expect(attesting.attest(connection(chain))).rejects.toMatchObject({ reason: 'svid_untrusted_domain' })
  })
})

interface Seen {
  readonly chain: readonly Uint8Array[]
  readonly resumed: boolean
}

/** A TLS server that asks for a certificate and takes any, and clients of it. */
class Handshakes {
  readonly #authority = makeAuthority()
  readonly #server: Server
  #seen: (seen: Seen) => void = () => {}

  constructor(options: TlsOptions = {}) {
    this.#server = createServer(
      {
        ...makeServerCertificate(this.#authority, ['localhost']),
        requestCert: true,
        rejectUnauthorized: false,
        minVersion: 'TLSv1.3',
        ciphers: 'DEFAULT@SECLEVEL=0',
        ...options,
      },
      (socket) => {
        socket.on('error', () => {})
        this.#seen({ chain: presented(socket), resumed: socket.isSessionReused() })
        socket.end('hello')
      },
    )
    this.#server.on('tlsClientError', () => {})
  }

  async open(): Promise<void> {
    this.#server.listen(0, '127.0.0.1')
    await once(this.#server, 'listening')
  }

  close(): void {
    this.#server.close()
  }

  /** @returns what the server saw (undefined when the handshake failed), and the session to resume */
  async shake(
    chain: readonly Uint8Array[],
    key: KeyPair,
    resumed?: Buffer,
  ): Promise<{ readonly seen: Seen | undefined; readonly session: Buffer | undefined }> {
    let seen: Seen | undefined
    let session: Buffer | undefined
    this.#seen = (each) => {
      seen = each
    }
    const socket = connect({
      port: (this.#server.address() as AddressInfo).port,
      host: '127.0.0.1',
      servername: 'localhost',
      ca: this.#authority.pem,
      cert: chain.map(certificatePem).join(''),
      key: keyPem(key),
      ciphers: 'DEFAULT@SECLEVEL=0',
      session: resumed,
    })
    socket.on('session', (each) => {
      session = each
    })
    socket.resume()
    await once(socket, 'close')
    return { seen, session }
  }
}

/** Certificates as the peer sent them. */
function presented(socket: TLSSocket): readonly Uint8Array[] {
  const chain: Uint8Array[] = []
  for (let each = socket.getPeerX509Certificate(); each !== undefined; each = each.issuerCertificate)
    chain.push(each.raw)
  return chain
}

const hex = (chain: readonly Uint8Array[] | undefined) => chain?.map((der) => Buffer.from(der).toString('hex'))

describe('over TLS', () => {
  const handshakes = new Handshakes({ secureOptions: constants.SSL_OP_NO_TICKET })
  beforeAll(() => handshakes.open())
  afterAll(() => handshakes.close())

  const presentable = hostileSvids().flatMap((each) => (each.key === undefined ? [] : [{ ...each, key: each.key }]))

  test('enough hostile clients come this way', () => {
    expect(presentable.length).toBeGreaterThan(40)
  })

  test.each(presentable)(
    'a client is let in by TLS and refused by us: $what, $reason',
    async ({ chain, key, bundles, reason }) => {
      const { seen } = await handshakes.shake(chain, key)
      expect(hex(seen?.chain)).toEqual(hex(chain))
      expect(await attest(seen?.chain ?? [], bundles)).toBe(reason)
    },
  )

  test.each(['p256', 'p384', 'p521', 'rsa2048', 'ed25519'] as const)(
    'a sound client with a key of %s and two intermediates is told',
    async (kind) => {
      const root = makeAuthority({ key: makeKey(kind) })
      const middle = makeAuthority({ parent: makeAuthority({ parent: root }) })
      const { chain, key } = makeSvid(middle, agent, { key: makeKey(kind) })
      const { seen } = await handshakes.shake(chain, key)
      expect(await attest(seen?.chain ?? [], [makeBundle('acme.example', root)])).toMatchObject({ id: agent })
    },
  )

  test('no session is resumed where tickets are off, so the chain is whole each time', async () => {
    const { chain, key } = makeSvid(makeAuthority({ parent: makeAuthority() }), agent)
    const { session } = await handshakes.shake(chain, key)
    const { seen } = await handshakes.shake(chain, key, session)
    expect(seen?.resumed).toBe(false)
    expect(hex(seen?.chain)).toEqual(hex(chain))
  })
})

describe('over a resumed session, which a server with tickets allows', () => {
  const handshakes = new Handshakes()
  beforeAll(() => handshakes.open())
  afterAll(() => handshakes.close())

  test('the leaf comes back alone, and a caller with intermediates is refused', async () => {
    const root = makeAuthority()
    const { chain, key } = makeSvid(makeAuthority({ parent: root }), agent)
    const { session } = await handshakes.shake(chain, key)
    const { seen } = await handshakes.shake(chain, key, session)
    expect(seen?.resumed).toBe(true)
    expect(hex(seen?.chain)).toEqual(hex(chain.slice(0, 1)))
    expect(await attest(seen?.chain ?? [], [makeBundle('acme.example', root)])).toBe('svid_no_path_to_root')
  })

  test('a caller whose SVID has expired, or whose bundle is gone, is refused all the same', async () => {
    const root = makeAuthority({ notAfter: Date.now() + 48 * 3_600_000 })
    const { chain, key } = makeSvid(root, agent)
    const { session } = await handshakes.shake(chain, key)
    const { seen } = await handshakes.shake(chain, key, session)
    const again = connection(seen?.chain ?? [])
    const bundle = makeBundle('acme.example', root)
    expect(seen?.resumed).toBe(true)
    expect((await attestor([bundle]).attest(again))?.id).toBe(agent)
    await expect(attestor([]).attest(again)).rejects.toMatchObject({ reason: 'svid_untrusted_domain' })
    const tomorrow = attestor([bundle], () => Date.now() + 24 * 3_600_000)
    await expect(tomorrow.attest(again)).rejects.toMatchObject({ reason: 'svid_expired' })
  })
})
