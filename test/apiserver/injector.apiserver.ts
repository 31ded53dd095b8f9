// The injector against a real API server: what it is asked, what the server makes of its patches, and what happens without it.
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it, test, vi } from 'vitest'
import { parse, parseAllDocuments, stringify } from 'yaml'
import { isObject } from '../../deploy/injector/equal.ts'
import { KubeError } from '../../deploy/injector/kube-client.ts'
import { pod } from '../deploy/injector/pods.ts'
import { agentId, openGate } from '../support/gate.ts'
import { httpsUpstream } from '../support/upstream.ts'
import { WireClient } from '../support/wire-client.ts'
import { Cluster, issuer, type KubeObject, noCluster } from './cluster.ts'
import { type Injector, startInjector } from './injector.ts'

/** Where the Service is, and therefore the injector. */
const serviceAddress = '127.77.0.10'
/** The shortest that there may be, so that it is rotated while pods are made. */
const rotation = { source: 'self-signed', lifetime: '51s', settle: '2s', overlap: '4s' }

if (noCluster !== undefined) console.log(`Skipped: ${noCluster}`)

describe.skipIf(noCluster !== undefined)('the injector in a cluster', () => {
  let cluster: Cluster
  let folder: string
  let settings: string
  let injector: Injector | undefined

  beforeAll(async () => {
    cluster = await Cluster.start()
    folder = await mkdtemp(join(tmpdir(), 'postern-apiserver-'))
    await cluster.namespace('agents', { 'postern.dev/inject': 'enabled', 'postern.dev/mode': 'explicit' })
    await cluster.namespace('restricted', {
      'postern.dev/inject': 'enabled',
      'postern.dev/mode': 'explicit',
      'pod-security.kubernetes.io/enforce': 'restricted',
    })
    await cluster.namespace('transparent', { 'postern.dev/inject': 'enabled', 'postern.dev/mode': 'transparent' })
    await cluster.namespace('others')
    // Without it a cluster shows its keys to nobody.
    await cluster.create({
      apiVersion: 'rbac.authorization.k8s.io/v1',
      kind: 'ClusterRoleBinding',
      metadata: { name: 'keys-for-everybody' },
      roleRef: {
        apiGroup: 'rbac.authorization.k8s.io',
        kind: 'ClusterRole',
        name: 'system:service-account-issuer-discovery',
      },
      subjects: [{ apiGroup: 'rbac.authorization.k8s.io', kind: 'Group', name: 'system:unauthenticated' }],
    })
    for (const object of await manifest()) await cluster.create(object)
    const account = await cluster.mountServiceAccount('postern', 'postern-injector')
    settings = join(folder, 'injector.yaml')
    injector = await startInjector(settings, cluster.port, account)
    await vi.waitFor(() => create({}), { timeout: 30_000, interval: 250 })
  })

  afterAll(async () => {
    await injector?.stop()
    await cluster?.[Symbol.asyncDispose]()
    await rm(folder, { recursive: true, force: true })
  })

  /** The objects of the plain manifest, for one replica that is on this machine. */
  async function manifest(): Promise<readonly KubeObject[]> {
    const text = await readFile(new URL('../../deploy/examples/kubernetes/injector.yaml', import.meta.url), 'utf8')
    const objects = parseAllDocuments(text).map((document) => document.toJS() as KubeObject)
    const configMap = objects.find(({ kind }) => kind === 'ConfigMap')
    const data = configMap?.data as Record<string, string>
    const served = { listen: `${serviceAddress}:443`, metrics: '127.0.0.1:0', certificate: rotation }
    await writeFile(
      settings ?? join(folder, 'injector.yaml'),
      stringify({ ...parse(data['injector.yaml'] ?? ''), ...served }),
    )
    return objects.map((object) =>
      object.kind === 'Service'
        ? { ...object, spec: { ...(object.spec as object), clusterIP: serviceAddress } }
        : object,
    )
  }

  type Made = ReturnType<typeof pod> & {
    readonly metadata: { readonly annotations?: Record<string, string> }
    readonly spec: {
      readonly initContainers?: readonly { readonly name: string; readonly restartPolicy?: string }[]
      readonly containers: readonly { readonly name: string; readonly env?: readonly { readonly name: string }[] }[]
    }
  }

  let number = 0
  const create = (
    changes: Parameters<typeof pod>[0],
    { namespace = 'agents', dryRun = true, metadata = {} as object } = {},
  ): Promise<Made> => {
    number += 1
    const made = pod({ ...changes, metadata: { name: `agent-${number}`, namespace, ...metadata } })
    return cluster.create(made, dryRun ? '&dryRun=All' : '') as Promise<Made>
  }
  const refusalOf = async (attempt: Promise<unknown>) =>
    attempt.then(
      () => 'admitted',
      (error: unknown) => (error instanceof KubeError ? error.message : String(error)),
    )

  it('a pod of a labelled namespace gets the proxy, and the server keeps it as a native sidecar', async () => {
    const made = await create({}, { dryRun: false })
    expect(made.spec.initContainers?.map(({ name, restartPolicy }) => [name, restartPolicy])).toEqual([
      ['postern', 'Always'],
    ])
    expect(made.spec.containers[0]?.env?.map(({ name }) => name)).toContain('HTTPS_PROXY')
    expect(Object.keys(made.metadata.annotations ?? {})).toContain('postern.dev/status')
    const stored = await cluster.client.get(
      `/api/v1/namespaces/agents/pods/${made.metadata.name}`,
      AbortSignal.timeout(5_000),
    )
    expect(stored).toMatchObject({ spec: made.spec })
  })

  it('in mode transparent the rules come first, then the proxy', async () => {
    const made = await create({}, { namespace: 'transparent' })
    expect(made.spec.initContainers?.map(({ name }) => name)).toEqual(['postern-init', 'postern'])
  })

  it('an injected pod of mode explicit satisfies Pod Security `restricted` as the server judges it', async () => {
    const securityContext = {
      allowPrivilegeEscalation: false,
      capabilities: { drop: ['ALL'] },
      runAsNonRoot: true,
      seccompProfile: { type: 'RuntimeDefault' },
    }
    const made = await create({ container: { securityContext } }, { namespace: 'restricted' })
    expect(made.spec.initContainers?.[0]?.name).toBe('postern')
  })

  it('a pod of another namespace is left as it is', async () => {
    const made = await create({}, { namespace: 'others' })
    expect(made.spec.initContainers).toBeUndefined()
    expect(made.metadata.annotations).toBeUndefined()
  })

  it('a dry run is answered as the real thing, and leaves nothing', async () => {
    const made = await create({}, { dryRun: true })
    expect(made.spec.initContainers?.[0]?.name).toBe('postern')
    const path = `/api/v1/namespaces/agents/pods/${made.metadata.name}`
    expect(await refusalOf(cluster.client.get(path, AbortSignal.timeout(5_000)))).toMatch(/404/)
  })

  it('what was injected once is the same when it is created again', async () => {
    const made = await create({})
    const again = await create(
      { spec: made.spec, metadata: made.metadata },
      { metadata: { annotations: made.metadata.annotations } },
    )
    expect(again.spec.initContainers).toEqual(made.spec.initContainers)
    expect(again.spec.containers[0]?.env).toEqual(made.spec.containers[0]?.env)
  })

  it.each([
    ['hostNetwork', { spec: { hostNetwork: true } }, /hostNetwork/],
    ['a privileged container', { container: { securityContext: { privileged: true } } }, /privileged/],
    [
      'the capability NET_RAW',
      { container: { securityContext: { allowPrivilegeEscalation: false, capabilities: { add: ['NET_RAW'] } } } },
      /NET_RAW/,
    ],
    ['the user of the proxy', { spec: { securityContext: { runAsUser: 14_001 } } }, /14001/],
  ])('%s is refused, with what to do', async (_what, changes, named) => {
    const told = await refusalOf(create(changes))
    expect(told).toMatch(/admission webhook "pods\.postern\.dev" denied the request/)
    expect(told).toMatch(named)
  })

  it('an annotation that is not known is refused with the nearest', async () => {
    const told = await refusalOf(create({}, { metadata: { annotations: { 'postern.dev/polisy': 'mine' } } }))
    expect(told).toMatch(/postern\.dev\/policy/)
  })

  it('a container that is put into a running pod later is looked at too', async () => {
    const { name } = (await create({}, { dryRun: false })).metadata
    const add = (container: object) =>
      cluster.client.patch(
        `/api/v1/namespaces/agents/pods/${name}/ephemeralcontainers`,
        [{ op: 'add', path: '/spec/ephemeralContainers', value: [container] }],
        AbortSignal.timeout(10_000),
      )
    const debug = { name: 'debug', image: 'registry.example/tools:1' }
    expect(await refusalOf(add({ ...debug, securityContext: { privileged: true } }))).toMatch(
      /denied the request.*privileged/s,
    )
    const admitted = (await add({
      ...debug,
      securityContext: { allowPrivilegeEscalation: false, capabilities: { drop: ['ALL'] } },
    })) as { readonly spec: { readonly ephemeralContainers: readonly { readonly env?: readonly object[] }[] } }
    expect(admitted.spec.ephemeralContainers[0]?.env).toContainEqual(expect.objectContaining({ name: 'HTTPS_PROXY' }))
  })

  it('what was injected cannot be taken out again', async () => {
    const { name } = (await create({}, { dryRun: false })).metadata
    const change = (path: string, value: string) =>
      cluster.client.patch(
        `/api/v1/namespaces/agents/pods/${name}`,
        [{ op: 'replace', path, value }],
        AbortSignal.timeout(10_000),
      )
    expect(await refusalOf(change('/spec/initContainers/0/image', 'registry.example/other:1'))).toMatch(
      /admission webhook "changes\.postern\.dev" denied/,
    )
    expect(await refusalOf(change('/spec/containers/0/image', 'registry.example/agent:2'))).toBe('admitted')
  })

  it('its certificate is rotated, again and again, and no creation fails', { timeout: 150_000 }, async () => {
    const bundles = new Set<string>()
    const failures: string[] = []
    const end = Date.now() + 85_000
    let made = 0
    while (Date.now() < end) {
      const told = await refusalOf(create({}))
      made += 1
      if (told !== 'admitted') failures.push(told)
      bundles.add(await caBundle())
    }
    console.log(`${made} creations, ${bundles.size} bundles of authorities, ${failures.length} failures`)
    expect(failures).toEqual([])
    // Each rotation shows three: announced, shown, forgotten.
    expect(bundles.size).toBeGreaterThanOrEqual(5)
    expect(made).toBeGreaterThan(100)
  })

  async function caBundle(): Promise<string> {
    const path = '/apis/admissionregistration.k8s.io/v1/mutatingwebhookconfigurations/postern-injector'
    const configuration = await cluster.client.get(path, AbortSignal.timeout(5_000))
    const [webhook] = isObject(configuration) && Array.isArray(configuration.webhooks) ? configuration.webhooks : []
    return String(webhook?.clientConfig?.caBundle)
  }

  it('a token of the cluster proves a pod to the proxy, if it is for the proxy', async () => {
    const upstream = await httpsUpstream(['api.example'], (_, response) => response.end('an answer'))
    await using gate = await openGate(
      `identity: { source: embedded }
kubernetes:
  issuer: ${issuer}
  keys: { url: "https://localhost:${cluster.port}/openid/v1/jwks", ca: [cluster.pem], addresses: [127.0.0.0/8] }
listen: [{ name: agents, address: "127.0.0.1:0", accept: https-proxy, callers: [kubernetes-token] }]
resolve: { api.example: [127.0.0.1], localhost: [127.0.0.1] }
destinations: { api: { hosts: [api.example], ports: [${upstream.port}], addresses: [127.0.0.0/8], ca: [ca.pem] } }
rules: [{ name: reads, allow: { agents: [spiffe://acme.example/ns/agents/sa/default], to: api } }]
`,
      { files: { 'ca.pem': upstream.ca, 'cluster.pem': cluster.ca } },
    )
    const call = async (token: string) => {
      const authority = `api.example:${upstream.port}`
      await using client = await WireClient.open(
        { host: '127.0.0.1', port: gate.port() },
        { rejectUnauthorized: false },
      )
      const connected = await client.tunnel(authority, `Proxy-Authorization: Bearer ${token}`)
      if (connected.status !== 200) return JSON.parse(connected.text).reason
      await client.secure({ ca: gate.gate.caPem, servername: 'api.example' })
      return (await client.request(['GET / HTTP/1.1', `Host: ${authority}`])).status
    }
    try {
      expect(await call(await cluster.token('agents', 'default', 'spiffe://acme.example/egress'))).toBe(200)
      expect(await call(await cluster.token('agents', 'default'))).toBe('kubernetes_token_wrong_audience')
      expect(await call(await cluster.token('others', 'default', 'spiffe://acme.example/egress'))).toBe('no_rule')
    } finally {
      await upstream.close()
    }
  })

  it('without the injector no pod of a labelled namespace comes, and others do', async () => {
    await injector?.stop()
    injector = undefined
    expect(await refusalOf(create({}))).toMatch(/failed calling webhook "pods\.postern\.dev"/)
    expect(await refusalOf(create({}, { namespace: 'others' }))).toBe('admitted')
  })
})

test.skipIf(noCluster === undefined)(`skipped: ${noCluster}`, () => {
  expect(agentId).toBeDefined()
})
