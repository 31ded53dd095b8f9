import { X509Certificate } from 'node:crypto'
import { writeFileSync } from 'node:fs'
import { Agent } from 'node:https'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { makePair } from '../../../../deploy/injector/certificate/pair.ts'
import { type Injector, openInjector } from '../../../../deploy/injector/injector.ts'
import { injectorSettingsSchema } from '../../../../deploy/injector/settings.ts'
import { type Cluster, cluster, leasePath, mutatingPath, secretPath, validatingPath } from '../cluster.ts'
import { pod } from '../pods.ts'
import { ask, post } from '../reviews.ts'

let where: Cluster
let replicas: Injector[]
let problems: string[]

beforeEach(async () => {
  where = await cluster()
  replicas = []
  problems = []
})

afterEach(async () => {
  await Promise.all(replicas.map((replica) => replica.close(0, 0)))
  await where[Symbol.asyncDispose]()
})

/** @param hurried milliseconds, shorter than the settings allow, for replicas that look far more often than those in a cluster */
async function replica(certificate: object, identity = `replica-${replicas.length}`, hurried = {}): Promise<Injector> {
  const read = injectorSettingsSchema.parse({ listen: '127.0.0.1:0', metrics: '127.0.0.1:0', certificate })
  const settings = { ...read, certificate: { ...read.certificate, ...hurried } }
  const opened = await openInjector(settings, {
    client: where.client(),
    identity,
    now: Date.now,
    every: 20,
    onProblem: (problem) => problems.push(String(problem)),
  })
  replicas.push(opened)
  return opened
}

const door = ({ port }: Injector) => ({ port, ca: () => where.bundle() })
const ready = (which: Injector) => vi.waitFor(() => expect(which.isReady).toBe(true), 5_000)
const authoritiesIn = (bundle: string) => bundle.split('-----END').length - 1
const asLong = { source: 'self-signed', lifetime: '1h' }

describe('a certificate that the replicas make', () => {
  it('is there before anything answers, in caBundle of every webhook, and the same for all', async () => {
    const [one, other] = [await replica(asLong), await replica(asLong)]
    await Promise.all([ready(one), ready(other)])
    expect(authoritiesIn(where.bundle())).toBe(1)
    expect(where.bundle(validatingPath)).toBe(where.bundle())
    for (const each of [one, other])
      expect(await ask(door(each), '/mutate', { object: pod() })).toMatchObject({ allowed: true })
    expect(where.api.objects.get(leasePath)?.spec).toMatchObject({
      holderIdentity: expect.stringMatching(/^replica-[01]$/),
    })
  })

  it('has a key whose authority cannot sign another', async () => {
    await ready(await replica(asLong))
    const data = where.api.objects.get(secretPath)?.data as Record<string, string>
    expect(Object.keys(data).sort()).toEqual(['ca.crt', 'tls.crt', 'tls.key'])
    const leaf = new X509Certificate(Buffer.from(data['tls.crt'] ?? '', 'base64'))
    const ca = new X509Certificate(Buffer.from(data['ca.crt'] ?? '', 'base64'))
    expect(leaf.verify(ca.publicKey)).toBe(true)
    expect(leaf.ca).toBe(false)
    expect(leaf.subjectAltName).toBe('DNS:postern-injector.postern.svc, DNS:postern-injector.postern.svc.cluster.local')
  })

  it('is rotated under a stream of reviews without one that fails', async () => {
    const short = { lifetime: 6_000, settle: 150, overlap: 300 }
    const all = [await replica(asLong, 'one', short), await replica(asLong, 'two', short)]
    await Promise.all(all.map(ready))
    const first = where.bundle()
    const bundles = new Set<number>()
    where.api.onChange = (path) => path === mutatingPath && bundles.add(authoritiesIn(where.bundle()))
    let answered = 0
    let stop = false
    const stream = async (which: Injector) => {
      while (!stop) {
        // A connection of its own each time, trusting what caBundle says at that moment.
        expect(await ask(door(which), '/mutate', { object: pod() })).toMatchObject({ allowed: true })
        answered += 1
        await new Promise((resolve) => setImmediate(resolve))
      }
    }
    const streams = all.map(stream)
    const [old = ''] = first.split(/(?<=-----END CERTIFICATE-----\n)/)
    try {
      await vi.waitFor(() => expect(where.bundle()).not.toContain(old), { timeout: 12_000, interval: 50 })
    } finally {
      stop = true
      await Promise.all(streams)
    }
    expect(answered).toBeGreaterThan(10)
    expect([...bundles].sort()).toContain(2)
    expect(problems.filter((problem) => !/40[49]|422/.test(problem))).toEqual([])
  })

  it('is told anew where somebody applied the configuration without a bundle', async () => {
    const only = await replica(asLong)
    await ready(only)
    const bundle = where.bundle()
    const found = where.api.objects.get(mutatingPath)
    where.api.objects.set(mutatingPath, {
      metadata: { name: 'x', resourceVersion: '99' },
      webhooks: [{ name: 'pods.postern.dev', clientConfig: {} }],
    })
    expect(found).toBeDefined()
    await vi.waitFor(() => expect(where.bundle()).toBe(bundle), 5_000)
  })

  it('goes on being shown while the API server fails, and the leader comes back', async () => {
    const only = await replica(asLong)
    await ready(only)
    const ca = where.bundle()
    where.api.failing = 503
    await vi.waitFor(() => expect(problems.join()).toContain('503'), 5_000)
    const answer = await post({ port: only.port, ca: () => ca }, '/mutate', '{}')
    expect(answer.status).toBe(400)
    where.api.failing = undefined
    const count = where.api.calls.length
    await vi.waitFor(() => expect(where.api.calls.slice(count)).toContain(`PUT ${leasePath}`), 5_000)
  })

  it('is not there without the webhook configurations: not ready, and it says why', async () => {
    where.api.objects.delete(mutatingPath)
    const only = await replica(asLong)
    await vi.waitFor(() => expect(problems.join()).toContain('mutatingwebhookconfigurations/postern-injector'), 5_000)
    expect(only.isReady).toBe(false)
    const answer = await fetch(`http://127.0.0.1:${only.metricsPort}/readyz`)
    expect(answer.status).toBe(503)
  })

  it('is rotated by another at once when the leader stops', async () => {
    const [one] = [await replica(asLong, 'one')]
    await ready(one)
    await replica(asLong, 'two')
    await one.close(0, 0)
    replicas.shift()
    await vi.waitFor(
      () => expect(where.api.objects.get(leasePath)?.spec).toMatchObject({ holderIdentity: 'two' }),
      5_000,
    )
  })
})

describe('a replica that stops', () => {
  it('is not ready at once, still answers new connections for a while, and keeps none of them', async () => {
    const only = await replica(asLong)
    await ready(only)
    replicas.pop()
    const closed = only.close(600, 0)
    expect(only.isReady).toBe(false)
    const agent = new Agent({ keepAlive: true, maxSockets: 1 })
    const sockets = new Set<unknown>()
    for (let round = 0; round < 2; round++) {
      expect(await ask({ ...door(only), agent }, '/mutate', { object: pod() })).toMatchObject({ allowed: true })
      for (const socket of Object.values(agent.freeSockets).flat()) sockets.add(socket)
    }
    expect(sockets.size).toBe(0)
    await closed
    await expect(ask(door(only), '/mutate', { object: pod() })).rejects.toThrow('ECONNREFUSED')
  })
})

describe('a certificate from files', () => {
  it('is read again when it is replaced, and a broken one is not taken', async () => {
    const [certificate, key] = [join(where.folder, 'tls.crt'), join(where.folder, 'tls.key')]
    const write = (pair: { readonly cert: string; readonly key: string }) => {
      writeFileSync(certificate, pair.cert)
      writeFileSync(key, pair.key)
    }
    const make = () => makePair(['postern-injector.postern.svc'], 3_600_000, Date.now)
    const [first, second] = [make(), make()]
    write(first)
    const only = await replica({ source: 'files', certificate, key })
    expect(only.isReady).toBe(true)
    const by = (ca: string) => ask({ port: only.port, ca: () => ca }, '/mutate', { object: pod() })
    expect(await by(first.ca)).toMatchObject({ allowed: true })
    writeFileSync(certificate, second.cert)
    await vi.waitFor(() => expect(problems.join()).toContain('the key is not the one'), 5_000)
    expect(await by(first.ca)).toMatchObject({ allowed: true })
    write(second)
    await vi.waitFor(async () => expect(await by(second.ca)).toMatchObject({ allowed: true }), 5_000)
  })
})
