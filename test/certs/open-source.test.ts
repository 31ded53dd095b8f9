// From the configuration's section to a source.
import { mkdtemp, rm, stat, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, expect, onTestFinished, test } from 'vitest'
import { z } from 'zod'
import { openSource } from '../../certs/open-source.ts'
import { identitySchema } from '../../certs/settings.ts'
import type { TrustBundle } from '../../certs/source.ts'
import { parseTrustDomain } from '../../certs/spiffe-id.ts'
import { makeAuthority } from '../support/pki.ts'
import { scriptedWorkloadApi, x509Message } from '../support/workload-api.ts'

const trustDomain = parseTrustDomain('acme.example')

describe('identitySchema', () => {
  test.each([
    ['an unknown source', { source: 'vault' }, 'source'],
    ['no source', {}, 'source'],
    ['an unknown key', { source: 'embedded', path: 'x' }, ''],
    ['an authority that serves TCP', { source: 'embedded', socket: 'tcp://127.0.0.1:1' }, 'socket'],
    ['users without a socket', { source: 'embedded', uids: { '0': 'spiffe://acme.example/a' } }, 'socket'],
    [
      'a user that is none',
      { source: 'embedded', socket: 'unix:///a', uids: { me: 'spiffe://acme.example/a' } },
      'uids.me',
    ],
    [
      'an ID that is none',
      { source: 'embedded', socket: 'unix:///a', uids: { '0': 'spiffe://acme.example' } },
      'uids.0',
    ],
    [
      'a workload that nothing tells apart',
      { source: 'embedded', socket: 'unix:///a', workloads: [{ id: 'spiffe://acme.example/a', hint: 'x' }] },
      'workloads.0',
    ],
    [
      'a workload of a program without a path',
      { source: 'embedded', socket: 'unix:///a', workloads: [{ id: 'spiffe://acme.example/a', executable: 'node' }] },
      'workloads.0.executable',
    ],
    ['workloads without a socket', { source: 'embedded', workloads: [] }, 'socket'],
    ['a certificate without its key', { source: 'files', certificate: 'svid.pem' }, 'key'],
    ['a key without its certificate', { source: 'files', key: 'svid_key.pem' }, 'key'],
    ['a socket of no Workload API', { source: 'workload-api', socket: '/run/agent.sock' }, 'socket'],
    ['an empty hint', { source: 'workload-api', hint: '' }, 'hint'],
    ['an empty path', { source: 'files', certificate: '', key: 'k' }, 'certificate'],
    ['a bundle of no trust domain', { source: 'files', bundles: { 'Acme.example': 'b.pem' } }, 'bundles.Acme.example'],
    ['a bundle named by an ID', { source: 'files', bundles: { 'spiffe://a': 'b.pem' } }, 'bundles.spiffe://a'],
  ])('refuses %s', (_, given, where) => {
    const { success, error } = identitySchema.safeParse(given)
    expect(success).toBe(false)
    expect(error?.issues.map(({ path }) => path.join('.'))).toEqual([where])
  })

  test('takes files with and without an identity, the Workload API, and the embedded authority', () => {
    expect(identitySchema.parse({ source: 'embedded' })).toEqual({ source: 'embedded' })
    expect(identitySchema.parse({ source: 'files' })).toEqual({ source: 'files', bundles: {} })
    expect(identitySchema.parse({ source: 'workload-api' })).toEqual({ source: 'workload-api' })
    const there = { source: 'workload-api', socket: 'unix:///run/spire/agent.sock', hint: 'internal' }
    expect(identitySchema.parse(there)).toEqual(there)
    const whole = { source: 'files', certificate: 'c', key: 'k', bundles: { 'acme.example': 'b' } }
    expect(identitySchema.parse(whole)).toEqual(whole)
  })

  test('describes each key for the reference', () => {
    const { oneOf, anyOf } = z.toJSONSchema(identitySchema, { io: 'input' })
    const properties = (oneOf ?? anyOf ?? []).flatMap(({ properties }) => Object.values(properties ?? {}))
    expect(properties.length).toBe(11)
    for (const property of properties) expect(property).toHaveProperty('description')
  })
})

/** Certificates as one kind of bytes, whatever they are views of. */
function plain(bundle: TrustBundle | undefined): object {
  return { ...bundle, x509Authorities: bundle?.x509Authorities.map((der) => Buffer.from(der)) }
}

describe('openSource', () => {
  const options = { trustDomain, now: Date.now, onProblem: (problem: Error) => expect.unreachable(problem.message) }

  test('embedded: an own identity, and the authority for others', async () => {
    const { source, authority, close } = await openSource({ source: 'embedded' }, options)
    onTestFinished(close)
    expect(source.svid().id).toBe('spiffe://acme.example/postern')
    expect(plain(source.bundle(trustDomain))).toEqual(plain(authority?.bundle()))
  })

  test('embedded: serves the Workload API to the users that are named', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'postern-open-'))
    onTestFinished(() => rm(folder, { recursive: true }))
    const socket = `unix://${join(folder, 'made', 'api.sock')}`
    const id = 'spiffe://acme.example/agent'
    const settings = identitySchema.parse({ source: 'embedded', socket, uids: { '4711': id } })
    let uid = 4711
    const { authority, close } = await openSource(settings, { ...options, peerOf: () => ({ uid }) })
    onTestFinished(close)
    const asked = async () => {
      const there = { ...options, onProblem: () => {} }
      const { source, close } = await openSource(identitySchema.parse({ source: 'workload-api', socket }), there)
      onTestFinished(close)
      return source
    }
    const source = await asked()
    expect(source.svid().id).toBe(id)
    expect(source.bundle(trustDomain)?.x509Authorities.map((der) => Buffer.from(der))).toEqual(
      authority?.bundle().x509Authorities.map((der) => Buffer.from(der)),
    )
    expect((await stat(join(folder, 'made', 'api.sock'))).mode & 0o777).toBe(0o666)
    expect((await stat(join(folder, 'made'))).mode & 0o777).toBe(0o700)
    uid = 4712
    const another = await asked()
    expect(() => another.svid()).toThrow('this process has no identity')
  })

  test('embedded: tells programs of one user apart, and hints at what an identity is for', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'postern-open-'))
    onTestFinished(() => rm(folder, { recursive: true }))
    const socket = `unix://${join(folder, 'made', 'api.sock')}`
    const settings = identitySchema.parse({
      source: 'embedded',
      socket,
      workloads: [
        { id: 'spiffe://acme.example/python', executable: '/usr/bin/python3.13', uid: 4711 },
        { id: 'spiffe://acme.example/tools', executable: '/usr/bin/python3.13', hint: 'tools' },
      ],
      uids: { '4711': 'spiffe://acme.example/anything' },
    })
    let peer = { uid: 4711, executable: '/usr/bin/python3.13' }
    const { close } = await openSource(settings, { ...options, peerOf: () => peer })
    onTestFinished(close)
    const asked = async () => {
      const there = { ...options, onProblem: () => {} }
      const { contents, close } = await openSource(identitySchema.parse({ source: 'workload-api', socket }), there)
      onTestFinished(close)
      return contents().identities.map(({ svid, hint }) => [svid.id.replace('spiffe://acme.example/', ''), hint])
    }
    expect(await asked()).toEqual([
      ['python', ''],
      ['tools', 'tools'],
      ['anything', ''],
    ])
    peer = { uid: 4711, executable: '/usr/bin/python3.13 (deleted)' }
    expect(await asked()).toEqual([['anything', '']])
    peer = { uid: 4712, executable: '/usr/bin/python3.13' }
    expect(await asked()).toEqual([['tools', 'tools']])
  })

  test.each([
    { uids: { '0': 'spiffe://other.example/agent' } },
    { workloads: [{ id: 'spiffe://other.example/agent', uid: 0 }] },
  ])('embedded: issues nothing of another trust domain', async (registered) => {
    const settings = identitySchema.parse({ source: 'embedded', socket: 'unix:///nowhere/api.sock', ...registered })
    await expect(openSource(settings, options)).rejects.toThrow('is not of the trust domain acme.example')
  })

  test('files: the bundles that are named', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'postern-open-'))
    onTestFinished(() => rm(folder, { recursive: true }))
    await writeFile(join(folder, 'b.pem'), makeAuthority().pem)
    const settings = identitySchema.parse({ source: 'files', bundles: { 'acme.example': join(folder, 'b.pem') } })
    const { source, authority, close } = await openSource(settings, options)
    onTestFinished(close)
    expect(source.bundle(trustDomain)?.x509Authorities).toHaveLength(1)
    expect(authority).toBeUndefined()
  })

  test('workload-api: the socket of the configuration before that of the environment', async () => {
    const api = await scriptedWorkloadApi()
    api.x509 = (stream) => stream.write(x509Message())
    const here = `unix://${api.path}`
    for (const [settings, endpoint] of [
      [{ source: 'workload-api', socket: here }, 'unix:///nowhere'],
      [{ source: 'workload-api' }, here],
    ] as const) {
      const { source, needsIdentity, close } = await openSource(settings, { ...options, endpoint })
      onTestFinished(close)
      expect(source.svid().id).toBe('spiffe://acme.example/postern')
      expect(needsIdentity).toBe(true)
    }
  })

  test.each([
    ['nothing', undefined, 'neither socket nor SPIFFE_ENDPOINT_SOCKET'],
    ['an empty variable', '', 'neither socket nor SPIFFE_ENDPOINT_SOCKET'],
    ['a path', '/run/agent.sock', 'not the address of a Workload API'],
  ])('workload-api: %s says where it is', async (_, endpoint, reason) => {
    await expect(openSource({ source: 'workload-api' }, { ...options, endpoint })).rejects.toThrow(reason)
  })
})
