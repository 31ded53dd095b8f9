import { once } from 'node:events'
import { Agent, request } from 'node:https'
import { connect } from 'node:tls'
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { makePair } from '../../../deploy/injector/certificate/pair.ts'
import { injectorMetrics } from '../../../deploy/injector/metrics.ts'
import { KubeNamespaces } from '../../../deploy/injector/namespaces.ts'
import { largestReview, mostHeld, type WebhookServer, webhookServer } from '../../../deploy/injector/server.ts'
import { applyPatch } from '../../support/apply-patch.ts'
import { type Cluster, cluster } from './cluster.ts'
import { pod, settings, sound } from './pods.ts'
import { ask, type Door, post, review } from './reviews.ts'

const hosts = ['postern-injector.postern.svc']
let where: Cluster
let server: WebhookServer
let door: Door
let metrics: ReturnType<typeof injectorMetrics>
let problems: unknown[]

beforeEach(async () => {
  where = await cluster()
  metrics = injectorMetrics()
  problems = []
  server = await webhookServer({
    address: { host: '127.0.0.1', port: 0 },
    settings,
    namespaces: new KubeNamespaces(where.client(), () => performance.now()),
    metrics,
    onProblem: (problem) => problems.push(problem),
  })
  const pair = makePair(hosts, 3_600_000, Date.now)
  server.show(pair)
  door = { port: server.port, ca: () => pair.ca }
})

afterEach(async () => {
  await server.close(0)
  await where[Symbol.asyncDispose]()
})

const counted = (line: string) => metrics.registry.text().split('\n').includes(line)

describe('what is no review', () => {
  it.each([
    ['another path', '/', 'POST', {}, '{}', 404, 'not_found'],
    ['another method', '/mutate', 'GET', {}, '', 405, 'method'],
    ['another type', '/mutate', 'POST', { 'content-type': 'text/plain' }, '{}', 415, 'content_type'],
    ['no JSON', '/mutate', 'POST', {}, '{', 400, 'bad_review'],
    ['another version', '/mutate', 'POST', {}, '{"apiVersion":"admission.k8s.io/v1beta1"}', 400, 'bad_review'],
    [
      'no request',
      '/validate',
      'POST',
      {},
      '{"apiVersion":"admission.k8s.io/v1","kind":"AdmissionReview"}',
      400,
      'bad_review',
    ],
  ])('gets a status: %s', async (_, path, method, headers, body, status, cause) => {
    expect(await post(door, path, body, headers, method)).toMatchObject({ status })
    expect(counted(`postern_injection_failure_total{cause="${cause}"} 1`)).toBe(true)
  })

  it('is refused when it is too large, said or not', async () => {
    const body = `{"x":"${'x'.repeat(largestReview)}"}`
    expect(await post(door, '/mutate', body, { 'content-length': Buffer.byteLength(body) })).toMatchObject({
      status: 413,
    })
    // The server answers and closes while we still send.
    const chunked = post(door, '/mutate', body, { 'transfer-encoding': 'chunked' })
    const outcome = await chunked.then(
      ({ status }) => status,
      (error: NodeJS.ErrnoException) => error.code,
    )
    expect([413, 'EPIPE', 'ECONNRESET']).toContain(outcome)
  })

  it('is put off when there are too many large ones at once', async () => {
    const count = mostHeld / largestReview + 2
    const part = 'x'.repeat(largestReview - 10)
    const senders = Array.from({ length: count }, () => {
      const headers = { 'content-type': 'application/json', 'content-length': largestReview }
      const call = request({
        host: '127.0.0.1',
        port: server.port,
        path: '/mutate',
        method: 'POST',
        headers,
        servername: hosts[0],
        ca: door.ca(),
      })
      const status = new Promise<number | undefined>((resolve) => {
        call
          .once('response', (response) => resolve(response.resume().statusCode))
          .once('error', () => resolve(undefined))
      })
      call.write(part)
      return { call, status }
    })
    expect(await Promise.race(senders.map(({ status }) => status))).toBe(503)
    for (const { call } of senders) call.destroy()
    await vi.waitFor(() => expect(ask(door, '/mutate', { object: pod() })).resolves.toMatchObject({ allowed: true }))
  })

  it('gets no answer in clear, nor by an old TLS', async () => {
    const old = connect({
      host: '127.0.0.1',
      port: server.port,
      maxVersion: 'TLSv1.1',
      minVersion: 'TLSv1',
      rejectUnauthorized: false,
      ciphers: 'DEFAULT@SECLEVEL=0',
    })
    const [error] = await once(old, 'error')
    expect(String(error)).toMatch(/version|alert|protocol/i)
  })
})

describe('a review', () => {
  it('of a pod in a labelled namespace is answered with a patch that the validating endpoint takes for whole', async () => {
    const object = pod({ metadata: { namespace: 'agents' } })
    const answer = await ask(door, '/mutate', { object })
    expect(answer).toMatchObject({ allowed: true, patchType: 'JSONPatch', uid: review({}).request.uid })
    expect(answer.auditAnnotations).toMatchObject({ decision: 'injected', mode: 'transparent' })
    const after = applyPatch(object, answer.patch)
    expect(await ask(door, '/validate', { object: after })).toMatchObject({
      allowed: true,
      auditAnnotations: { decision: 'intact' },
    })
    expect(await ask(door, '/mutate', { object: after })).toEqual(
      expect.objectContaining({ allowed: true, patch: undefined }),
    )
    expect(counted('postern_injection_success_total{mode="transparent"} 2')).toBe(true)
    expect(counted('postern_injection_intact_total 1')).toBe(true)
    expect(counted('postern_injection_requests_total{endpoint="mutate"} 2')).toBe(true)
  })

  it('of a pod that could get round the proxy says how to mend it', async () => {
    const answer = await ask(door, '/mutate', { object: pod({ spec: { hostNetwork: true } }) })
    expect(answer).toMatchObject({
      allowed: false,
      status: { code: 403, reason: 'Forbidden', message: expect.stringContaining('Set hostNetwork: false.') },
      auditAnnotations: { reasons: 'host_network' },
    })
    expect(counted('postern_injection_refused_total{reason="host_network"} 1')).toBe(true)
  })

  it('of a pod without the proxy is refused by the validating endpoint', async () => {
    expect(await ask(door, '/validate', { object: pod() })).toMatchObject({
      allowed: false,
      auditAnnotations: { reasons: 'sidecar_missing' },
    })
  })

  it('of a container that is added is hardened likewise, and a changed image of the proxy refused', async () => {
    const object = pod()
    const before = applyPatch(object, (await ask(door, '/mutate', { object })).patch) as {
      spec: { initContainers: object[] }
    }
    const added = { ...before, spec: { ...before.spec, ephemeralContainers: [{ name: 'debugger', image: 'x' }] } }
    const asked = { operation: 'UPDATE', subResource: 'ephemeralcontainers', oldObject: before }
    expect(await ask(door, '/mutate', { ...asked, object: added })).toMatchObject({
      allowed: false,
      auditAnnotations: { reasons: 'capability,privilege_escalation' },
    })
    const changed = structuredClone(before)
    Object.assign(changed.spec.initContainers[1] ?? {}, { image: 'evil' })
    expect(await ask(door, '/validate', { operation: 'UPDATE', oldObject: before, object: changed })).toMatchObject({
      allowed: false,
      auditAnnotations: { reasons: 'sidecar_altered' },
    })
    expect(await ask(door, '/mutate', { operation: 'UPDATE', oldObject: before, object: changed })).toMatchObject({
      allowed: true,
      patch: undefined,
    })
  })

  it('warns of what was changed', async () => {
    const env = [{ name: 'SSL_CERT_FILE', value: '/x' }]
    const { warnings } = await ask(door, '/mutate', { object: pod({ container: { env, securityContext: sound } }) })
    expect(warnings).toEqual(['container agent: set anew, for the proxy: SSL_CERT_FILE'])
  })

  it('of an excluded namespace, or of no pod, needs no namespace', async () => {
    expect(await ask(door, '/mutate', { object: pod(), namespace: 'kube-system' })).toMatchObject({ allowed: true })
    expect(await ask(door, '/validate', { operation: 'DELETE', object: null, oldObject: pod() })).toMatchObject({
      allowed: true,
    })
    expect(where.api.calls).toEqual([])
  })

  it('is not admitted where the namespace cannot be had', async () => {
    const answer = await ask(door, '/mutate', { object: pod(), namespace: 'unknown' })
    expect(answer).toMatchObject({
      allowed: false,
      status: { code: 500, message: expect.stringContaining('/api/v1/namespaces/unknown') },
    })
    expect(problems).toHaveLength(1)
    expect(counted('postern_injection_failure_total{cause="internal"} 1')).toBe(true)
  })
})

describe('the namespace', () => {
  it('is asked for once by many at once, and serves for a while when the API server fails', async () => {
    let now = 0
    const namespaces = new KubeNamespaces(where.client(), () => now)
    const signal = AbortSignal.timeout(5_000)
    const found = await Promise.all(Array.from({ length: 20 }, () => namespaces.find('agents', signal)))
    expect(found.every(({ labels }) => labels['postern.dev/inject'] === 'enabled')).toBe(true)
    expect(where.api.calls).toEqual(['GET /api/v1/namespaces/agents'])
    where.api.failing = 500
    now = 30_000
    expect(await namespaces.find('agents', signal)).toMatchObject({ name: 'agents' })
    now = 70_000
    await expect(namespaces.find('agents', signal)).rejects.toThrow('500')
  })

  it('is not remembered once it is gone, and a new label counts soon', async () => {
    let now = 0
    const namespaces = new KubeNamespaces(where.client(), () => now)
    const signal = AbortSignal.timeout(5_000)
    await namespaces.find('agents', signal)
    where.api.objects.set('/api/v1/namespaces/agents', {
      metadata: { name: 'agents', labels: { 'postern.dev/inject': 'disabled' } },
    })
    now = 3_000
    expect((await namespaces.find('agents', signal)).labels['postern.dev/inject']).toBe('disabled')
    where.api.objects.delete('/api/v1/namespaces/agents')
    now = 6_000
    await expect(namespaces.find('agents', signal)).rejects.toThrow('404')
  })
})

describe('the certificate', () => {
  it('is another one for new connections, while those that are open go on', async () => {
    const next = makePair(hosts, 3_600_000, Date.now)
    const agent = new Agent({ keepAlive: true, maxSockets: 1 })
    const kept = { ...door, agent }
    await ask(kept, '/mutate', { object: pod() })
    server.show(next)
    expect(await ask(kept, '/mutate', { object: pod() })).toMatchObject({ allowed: true })
    await expect(ask(door, '/mutate', { object: pod() })).rejects.toThrow(/certificate|signature/)
    expect(await ask({ ...door, ca: () => next.ca }, '/mutate', { object: pod() })).toMatchObject({ allowed: true })
    agent.destroy()
  })
})
