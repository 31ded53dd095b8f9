// An authority that is for some hosts alone: what OpenSSL, by Node, makes of its leaves, and what a reload may add.
import { once } from 'node:events'
import type { AddressInfo } from 'node:net'
import { connect, createServer } from 'node:tls'
import fc from 'fast-check'
import { describe, expect, it, test } from 'vitest'
import { beyondConstraints } from '../../certs/host-constraints.ts'
import { LeafIssuer } from '../../certs/leaf-issuer.ts'
import { PodAuthority } from '../../certs/pod-authority.ts'

const now = Date.now

/** `trusted`, or what the client has against the certificate of the host. */
async function judged(hosts: readonly string[] | undefined, host: string): Promise<string> {
  const authority = new PodAuthority({ now, ...(hosts === undefined ? {} : { hosts }) })
  const leaves = new LeafIssuer(authority, { now })
  const server = createServer({ SNICallback: (_, done) => done(null, leaves.contextFor(host)) })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const client = connect({
    host: '127.0.0.1',
    port: (server.address() as AddressInfo).port,
    ca: authority.certificatePem,
    servername: 'any.example',
    checkServerIdentity: () => undefined,
  })
  server.on('tlsClientError', () => {})
  try {
    await once(client, 'secureConnect')
    return 'trusted'
  } catch (error) {
    return error instanceof Error ? error.message : String(error)
  } finally {
    client.destroy()
    server.close()
  }
}

describe('an authority for some hosts', () => {
  const hosts = ['postern.internal', 'api.example', '*.wild.example', '192.0.2.7']

  it.each(['api.example', 'postern.internal', 'any.wild.example', 'a.b.wild.example', '192.0.2.7'])(
    'is trusted for %s',
    async (host) => {
      expect(await judged(hosts, host)).toBe('trusted')
    },
  )

  it.each(['evil.example', 'example', 'xapi.example', 'wild.example.evil', '192.0.2.8', '2001:db8::7'])(
    'is not for %s',
    async (host) => {
      expect(await judged(hosts, host)).toMatch(/^(permitted|excluded) subtree violation$/)
    },
  )

  it('without an address among them is for no address at all', async () => {
    for (const host of ['192.0.2.7', '2001:db8::7'])
      expect(await judged(['api.example'], host)).toBe('excluded subtree violation')
  })

  it('without constraints is for any', async () => {
    expect(await judged(undefined, 'evil.example')).toBe('trusted')
  })
})

describe('a host beyond them', () => {
  it('is one that they do not name, nor anything above it', () => {
    const constrained = ['api.example', '*.wild.example', '192.0.2.7']
    const fine = ['api.example', 'v2.api.example', '*.wild.example', 'a.wild.example', '192.0.2.7']
    expect(beyondConstraints(fine, constrained)).toEqual([])
    const beyond = ['example', '*.example', 'xapi.example', '192.0.2.8', '1.192.0.2.7']
    expect(beyondConstraints(beyond, constrained)).toEqual(beyond)
  })

  test('none is, of the same hosts', () => {
    const host = fc.oneof(
      fc.domain(),
      fc.ipV4(),
      fc.ipV6(),
      fc.domain().map((name) => `*.${name}`),
    )
    fc.assert(fc.property(fc.array(host), (hosts) => void expect(beyondConstraints(hosts, hosts)).toEqual([])))
  })
})
