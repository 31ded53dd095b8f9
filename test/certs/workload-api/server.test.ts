// The embedded authority behind its own Workload API, asked by our source over a UNIX socket.
import { chmod, mkdtemp, rm, stat, writeFile } from 'node:fs/promises'
import { createServer, type Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Client, credentials, Metadata } from '@grpc/grpc-js'
import { beforeEach, describe, expect, onTestFinished, test, vi } from 'vitest'
import { EmbeddedAuthority } from '../../../certs/embedded-authority.ts'
import { validateJwtSvid } from '../../../certs/jwt-svid/validate.ts'
import { parseSpiffeId, parseTrustDomain } from '../../../certs/spiffe-id.ts'
import { type BundleLookup, validateX509Svid } from '../../../certs/svid/validate.ts'
import { ask, follow } from '../../../certs/workload-api/client.ts'
import { jwtSvidRequest, paths, x509BundlesAnswer } from '../../../certs/workload-api/proto.ts'
import type { Peer } from '../../../certs/workload-api/registration.ts'
import { WorkloadApiServer, type WorkloadApiServerOptions } from '../../../certs/workload-api/server.ts'
import { WorkloadService } from '../../../certs/workload-api/service.ts'
import { WorkloadApiSource } from '../../../certs/workload-api/source.ts'
import { peerCredentials } from '../../../proxy/identify/kernel/peer.ts'

const trustDomain = parseTrustDomain('acme.example')
const id = parseSpiffeId('spiffe://acme.example/agent')
const uid = 4711
const mine = { id, uid }
const me = (): Peer => ({ uid, pid: 12 })

let path = ''

beforeEach(async () => {
  const folder = await mkdtemp(join(tmpdir(), 'postern-wls-'))
  path = join(folder, 'api.sock')
  onTestFinished(() => rm(folder, { recursive: true }))
})

async function served({
  authority = new EmbeddedAuthority({ trustDomain, now: Date.now }),
  ...more
}: Partial<WorkloadApiServerOptions> & { readonly authority?: EmbeddedAuthority } = {}) {
  const service = new WorkloadService({ authority, now: Date.now })
  const server = await WorkloadApiServer.open({ service, path, peerOf: me, ...more })
  onTestFinished(async () => {
    service.close()
    await server.close()
  })
  service.register([mine])
  return { authority, service, server }
}

async function source(startWithin = 3_000) {
  const problems: string[] = []
  const opened = await WorkloadApiSource.open({
    address: { kind: 'unix', path },
    trustDomain,
    now: Date.now,
    onProblem: ({ message }) => problems.push(message),
    startWithin,
  })
  onTestFinished(() => opened.close())
  return Object.assign(opened, { problems })
}

describe('who gets an identity', () => {
  test.each<readonly [string, Partial<WorkloadApiServerOptions>, object]>([
    ['another user', { peerOf: () => ({ uid: 4712 }) }, { uid }],
    ['another process', { peerOf: () => ({ uid, pid: 13 }) }, { uid, pid: 12 }],
    ['a process whose number is not known', { peerOf: () => ({ uid }) }, { uid, pid: 12 }],
    ['a peer of whom the kernel says nothing', { peerOf: () => undefined }, { uid }],
    ['anybody, when a registration names nobody', {}, {}],
  ])('not %s', async (_, options, selectors) => {
    const { service } = await served(options)
    service.register([{ id, ...selectors }])
    const asking = await source()
    expect(() => asking.svid()).toThrow('permission denied: this process has no identity')
    await expect(asking.jwt(['a'])).rejects.toThrow('permission denied')
    expect(asking.bundle(trustDomain)?.jwtAuthorities).toBeUndefined()
  })

  test.each([
    ['a user', { uid }],
    ['a process', { pid: 12 }],
    ['a process of a user', { uid, pid: 12 }],
  ])('%s that is registered', async (_, selectors) => {
    const { service } = await served()
    service.register([{ id, ...selectors }])
    expect((await source()).svid().id).toBe(id)
  })

  test('this process by the word of the kernel', async ({ skip }) => {
    const probe = await new Promise<Peer | undefined>((resolve) => {
      const server = createServer((socket: Socket) => {
        resolve(peerCredentials(socket))
        socket.destroy()
        server.close()
      })
      server.listen(`${path}.probe`, () => void import('node:net').then(({ connect }) => connect(`${path}.probe`)))
    })
    if (probe === undefined) skip('the kernel does not say who a peer is (SO_PEERCRED)')
    const { service } = await served({ peerOf: peerCredentials })
    service.register([{ id, uid: process.getuid?.() ?? -1, pid: process.pid }])
    expect((await source()).svid().id).toBe(id)
  })

  test('a registration that is taken back ends the use of the identity; given again, it comes back', async () => {
    const { service } = await served()
    const asking = await source()
    expect(asking.svid().id).toBe(id)
    service.register([])
    await vi.waitFor(() => expect(() => asking.svid()).toThrow('permission denied'))
    service.register([mine])
    await vi.waitFor(() => expect(asking.svid().id).toBe(id), 4_000)
  })

  test('several identities, each with its hint', async () => {
    const { service } = await served()
    const second = parseSpiffeId('spiffe://acme.example/second')
    service.register([
      { ...mine, hint: 'internal' },
      { id: second, uid, hint: 'external' },
    ])
    const asking = await source()
    expect(asking.identities.map(({ svid, hint }) => [svid.id, hint])).toEqual([
      [id, 'internal'],
      [second, 'external'],
    ])
  })
})

describe('what is given', () => {
  test('an SVID that the bundle verifies', async () => {
    await served()
    const asking = await source()
    const { chain } = asking.svid()
    expect(validateX509Svid({ chain, bundleFor: (domain) => asking.bundle(domain), now: Date.now() }).id).toBe(id)
  })

  test('a JWT-SVID that the JWT bundle verifies', async () => {
    await served()
    const asking = await source()
    const token = await asking.jwt(['https://login.acme.example'])
    await vi.waitFor(() => expect(asking.bundle(trustDomain)?.jwtAuthorities).toBeDefined())
    const bundleFor: BundleLookup = (domain) => asking.bundle(domain)
    const valid = await validateJwtSvid({ token, audience: 'https://login.acme.example', bundleFor, now: Date.now() })
    expect(valid.id).toBe(id)
  })

  test('the roots alone, to those who only verify', async () => {
    const { authority } = await served()
    const stream = follow({ kind: 'unix', path }, paths.x509Bundles, new Uint8Array(), AbortSignal.timeout(5_000))
    const { value } = await stream.next()
    await stream.return(undefined)
    const roots = Buffer.concat(authority.bundle().x509Authorities)
    expect(Buffer.from(value ?? [])).toEqual(x509BundlesAnswer(new Map([['spiffe://acme.example', roots]])))
  })

  test('on request a new SVID under the same root, and after a rotation one under a new root', async () => {
    const { service, authority } = await served()
    const asking = await source()
    await vi.waitFor(() => expect(asking.bundle(trustDomain)?.jwtAuthorities).toHaveLength(1))
    const [first, bundle] = [asking.svid(), asking.bundle(trustDomain)]
    service.renew()
    await vi.waitFor(() => expect(asking.svid()).not.toBe(first))
    expect(asking.bundle(trustDomain)).toBe(bundle)
    authority.rotate()
    await vi.waitFor(() => expect(asking.bundle(trustDomain)?.x509Authorities).toHaveLength(2))
    await vi.waitFor(() => expect(asking.bundle(trustDomain)?.jwtAuthorities).toHaveLength(2))
  })

  test('a new SVID when half of the life of the one before is gone', async () => {
    const authority = new EmbeddedAuthority({ trustDomain, now: Date.now, x509Lifetime: 4_000 })
    await served({ authority })
    const asking = await source()
    const first = asking.svid()
    await vi.waitFor(() => expect(asking.svid()).not.toBe(first), 4_000)
    expect(Date.now()).toBeLessThan(first.expiresAt)
  })

  test('nothing without the security header', async () => {
    await served()
    const client = new Client(`unix:${path}`, credentials.createInsecure(), { 'grpc.use_local_subchannel_pool': 1 })
    onTestFinished(() => client.close())
    const same = (bytes: Buffer) => bytes
    for (const path of Object.values(paths)) {
      const call = client.makeServerStreamRequest(path, same, same, Buffer.alloc(0), new Metadata())
      const error = await new Promise((resolve) => call.on('error', resolve).on('data', resolve))
      expect(error).toMatchObject({ code: 3, details: 'the security header is missing' })
    }
  })

  test('not the JWT-SVID of another, and none without an audience', async () => {
    const { service } = await served()
    service.register([mine, { id: parseSpiffeId('spiffe://acme.example/other'), uid: 1 }])
    const request = (audience: string[], spiffeId: string) =>
      ask({ kind: 'unix', path }, paths.jwtSvid, jwtSvidRequest({ audience, spiffeId }), 3_000)
    await expect(request(['a'], 'spiffe://acme.example/other')).rejects.toThrow('no such identity')
    await expect(request([], id)).rejects.toThrow('an audience is needed')
    await expect(ask({ kind: 'unix', path }, paths.jwtSvid, Buffer.from([0xff]), 3_000)).rejects.toThrow('cut off')
  })
})

describe('the socket', () => {
  test('is for this user alone unless said otherwise', async () => {
    await served()
    expect((await stat(path)).mode & 0o777).toBe(0o600)
  })

  test('is not opened where others could replace it', async () => {
    await chmod(join(path, '..'), 0o777)
    await expect(served()).rejects.toThrow('can be written by others')
  })

  test('is not opened over a file, or over another server', async () => {
    await writeFile(path, '')
    await expect(served()).rejects.toThrow('is not a socket')
    await rm(path)
    await served()
    await expect(served()).rejects.toThrow('another process answers')
  })
})

test('the server goes and comes back: the source keeps its identity and gets a new one', async () => {
  const { service, server } = await served()
  const asking = await source()
  const before = asking.svid()
  await server.close()
  await vi.waitFor(() => expect(asking.problems).toContainEqual(expect.stringContaining('unavailable')))
  expect(asking.svid()).toBe(before)
  const next = await WorkloadApiServer.open({ service, path, peerOf: me })
  onTestFinished(() => next.close())
  service.renew()
  await vi.waitFor(() => expect(asking.svid()).not.toBe(before), 5_000)
})
