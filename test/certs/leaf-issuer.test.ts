// Leaves for hosts: which hosts, for how long, and that real clients take exactly them.
import 'reflect-metadata'
import { X509Certificate } from 'node:crypto'
import { once } from 'node:events'
import { type AddressInfo, createServer } from 'node:net'
import { type ConnectionOptions, connect, type SecureContext, TLSSocket } from 'node:tls'
import * as peculiar from '@peculiar/x509'
import { describe, expect, onTestFinished, test } from 'vitest'
import { LeafIssuer } from '../../certs/leaf-issuer.ts'
import { PodAuthority } from '../../certs/pod-authority.ts'

const hour = 3_600_000

/** A server that ends TLS with this context, as the capture does. @returns its port */
async function serve(context: SecureContext, failed: (message: string) => void = () => {}): Promise<number> {
  const server = createServer((raw) => {
    raw.on('error', () => {})
    const secured = new TLSSocket(raw, { isServer: true, secureContext: context })
    secured.on('error', (error) => failed(error.message)).end('hello')
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  onTestFinished(() => void server.close())
  return (server.address() as AddressInfo).port
}

/** @returns 'accepted' or the code of the error, and the certificate that was shown */
async function shake(context: SecureContext, options: ConnectionOptions) {
  const socket = connect({ port: await serve(context), host: '127.0.0.1', ...options })
  onTestFinished(() => void socket.destroy())
  let outcome = 'accepted'
  try {
    await once(socket, 'secureConnect')
  } catch (error) {
    outcome = (error as NodeJS.ErrnoException).code ?? 'error'
  }
  return { outcome, protocol: socket.getProtocol(), leaf: socket.getPeerX509Certificate() }
}

/** Leaves of an authority that began now by the real clock, since TLS clients have no other. */
function house(options: Partial<ConstructorParameters<typeof LeafIssuer>[1]> = {}) {
  const authority = new PodAuthority({ now: Date.now })
  return { ca: authority.certificatePem, leaves: new LeafIssuer(authority, { now: Date.now, ...options }) }
}

async function leafOf(context: SecureContext): Promise<X509Certificate> {
  const { leaf } = await shake(context, { rejectUnauthorized: false })
  if (leaf === undefined) throw new Error('no certificate was shown')
  return leaf
}

describe('LeafIssuer', () => {
  test.each([
    '',
    '*.a.example',
    'a.example.',
    'A.example',
    'a..example',
    '.a.example',
    'a b',
    'a.example:443',
    '[::1]',
    'a/b',
    'a\0b',
    'b\u00fccher.example',
    '-a.example',
    'a-.example',
    `${'a'.repeat(64)}.example`,
    `${'a.'.repeat(127)}aa`,
    'fe80::1%lo',
  ])('mints nothing for %j', (host) => {
    expect(() => house().leaves.contextFor(host)).toThrow(TypeError)
  })

  test('a client refuses the leaf for any other host', async () => {
    const { ca, leaves } = house()
    const context = leaves.contextFor('api.crm.example')
    for (const servername of ['crm.example', 'x.api.crm.example', 'api.crm.example.evil.example']) {
      expect((await shake(context, { ca, servername })).outcome).toBe('ERR_TLS_CERT_ALTNAME_INVALID')
    }
  })

  test('a client that does not trust the authority refuses the leaf', async () => {
    const { outcome } = await shake(house().leaves.contextFor('a.example'), {
      ca: house().ca,
      servername: 'a.example',
    })
    expect(outcome).toBe('UNABLE_TO_VERIFY_LEAF_SIGNATURE')
  })

  test('a client of TLS 1.1 is refused', async () => {
    const refusal = new Promise<string>((resolve) => {
      void serve(house().leaves.contextFor('a.example'), resolve).then((port) => {
        const old = { minVersion: 'TLSv1', maxVersion: 'TLSv1.1', ciphers: 'DEFAULT@SECLEVEL=0' } as const
        connect({ port, rejectUnauthorized: false, ...old }).on('error', () => {})
      })
    })
    expect(await refusal).toContain('unsupported protocol')
  })

  test.each([
    ['a.example', { servername: 'a.example' }],
    ['_dmarc.a-b.example', { servername: '_dmarc.a-b.example' }],
    ['127.0.0.1', { host: '127.0.0.1' }],
    [`${'a'.repeat(63)}.${'b'.repeat(63)}.example`, { servername: `${'a'.repeat(63)}.${'b'.repeat(63)}.example` }],
  ])('a client accepts the leaf for %s', async (host, options) => {
    const { ca, leaves } = house()
    expect((await shake(leaves.contextFor(host), { ca, ...options })).outcome).toBe('accepted')
  })

  test.each(['TLSv1.2', 'TLSv1.3'] as const)('a client of %s is served', async (version) => {
    const { ca, leaves } = house()
    const context = leaves.contextFor('a.example')
    const { protocol } = await shake(context, { ca, servername: 'a.example', minVersion: version, maxVersion: version })
    expect(protocol).toBe(version)
  })

  test('an IP literal becomes an IP name, of either family', async () => {
    const { leaves } = house()
    expect((await leafOf(leaves.contextFor('10.20.30.40'))).checkIP('10.20.30.40')).toBe('10.20.30.40')
    expect((await leafOf(leaves.contextFor('2001:db8::7'))).subjectAltName).toBe('IP Address:2001:DB8:0:0:0:0:0:7')
  })

  test('a leaf says what it must: a server, no authority, both key identifiers', async () => {
    const { ca, leaves } = house()
    const leaf = await leafOf(leaves.contextFor('a.example'))
    expect(leaf.ca).toBe(false)
    expect(leaf.subject).toBe('CN=a.example')
    expect(leaf.subjectAltName).toBe('DNS:a.example')
    expect(leaf.keyUsage).toEqual(['1.3.6.1.5.5.7.3.1'])
    expect(leaf.verify(new X509Certificate(ca).publicKey)).toBe(true)
    const parsed = new peculiar.X509Certificate(leaf.raw)
    expect(parsed.getExtension(peculiar.KeyUsagesExtension)?.usages).toBe(peculiar.KeyUsageFlags.digitalSignature)
    expect(parsed.getExtension(peculiar.AuthorityKeyIdentifierExtension)?.keyId).toBe(
      new peculiar.X509Certificate(ca).getExtension(peculiar.SubjectKeyIdentifierExtension)?.keyId,
    )
  })

  test('leaves share one key and no serial', async () => {
    const { leaves } = house()
    const one = await leafOf(leaves.contextFor('a.example'))
    const two = await leafOf(leaves.contextFor('b.example'))
    expect(one.publicKey.equals(two.publicKey)).toBe(true)
    expect(one.serialNumber).not.toBe(two.serialNumber)
    expect(one.serialNumber).toMatch(/^[4-7][0-9A-F]{31}$/)
  })

  test('a leaf is valid from five minutes ago for a day, and never longer than its authority', async () => {
    const start = Math.floor(Date.now() / 1000) * 1000
    const life = async (authorityLifetime: number) => {
      const authority = new PodAuthority({ now: () => start, lifetime: authorityLifetime })
      const leaf = await leafOf(new LeafIssuer(authority, { now: () => start }).contextFor('a.example'))
      return [Date.parse(leaf.validFrom) - start, Date.parse(leaf.validTo) - start]
    }
    expect(await life(48 * hour)).toEqual([-5 * 60_000, 24 * hour])
    expect(await life(hour)).toEqual([-5 * 60_000, hour])
  })

  test('a leaf is kept until half of its life is gone', () => {
    let now = Date.parse('2026-03-01T12:00:00Z')
    const clock = { now: () => now }
    const leaves = new LeafIssuer(new PodAuthority(clock), { ...clock, lifetime: 2 * hour })
    const first = leaves.contextFor('a.example')
    now += hour - 1
    expect(leaves.contextFor('a.example')).toBe(first)
    now += 1
    const second = leaves.contextFor('a.example')
    expect(second).not.toBe(first)
    expect(leaves.contextFor('a.example')).toBe(second)
  })

  test('a leaf of a clock that was put back since is made anew: it would not be valid yet', () => {
    let now = Date.now()
    const leaves = new LeafIssuer(new PodAuthority({ now: () => now }), { now: () => now })
    now += hour
    const ahead = leaves.contextFor('api.example')
    now -= hour
    const anew = leaves.contextFor('api.example')
    expect(anew).not.toBe(ahead)
    expect(leaves.contextFor('api.example')).toBe(anew)
  })

  test('beyond its capacity the host unused for longest is forgotten', () => {
    const { leaves } = house({ capacity: 2 })
    const a = leaves.contextFor('a.example')
    const b = leaves.contextFor('b.example')
    expect(leaves.contextFor('a.example')).toBe(a)
    leaves.contextFor('c.example')
    expect(leaves.contextFor('a.example')).toBe(a)
    expect(leaves.contextFor('b.example')).not.toBe(b)
  })

  test('a session of one host is not resumed on another', async () => {
    const { ca, leaves } = house()
    const first = connect({ port: await serve(leaves.contextFor('a.example')), ca, servername: 'a.example' })
    onTestFinished(() => void first.destroy())
    first.resume()
    const [session] = (await once(first, 'session')) as [Buffer]
    const again = connect({ port: await serve(leaves.contextFor('a.example')), ca, servername: 'a.example', session })
    onTestFinished(() => void again.destroy())
    await once(again, 'secureConnect')
    expect(again.isSessionReused()).toBe(true)
    const other = connect({ port: await serve(leaves.contextFor('b.example')), ca, servername: 'b.example', session })
    onTestFinished(() => void other.destroy())
    await once(other, 'secureConnect')
    expect(other.isSessionReused()).toBe(false)
  })
})
