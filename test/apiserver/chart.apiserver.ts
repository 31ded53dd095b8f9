// What the chart renders, and what Helm does with it, against a real API server.
import { execFile } from 'node:child_process'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { chart, renderChart } from '../../deploy/helm/render.ts'
import { keepBundle } from '../../deploy/injector/certificate/ca-bundle.ts'
import { helm, isMissing, sets } from '../chart/helm.ts'
import { objectsOf, the } from '../chart/objects.ts'
import { Cluster, noCluster } from './cluster.ts'

const run = promisify(execFile)
if (noCluster !== undefined) console.log(`There is no cluster: ${noCluster}.`)

/** APIs that only operators of others bring. */
const ofOthers = /^(cert-manager\.io|monitoring\.coreos\.com)\//

describe.skipIf(noCluster !== undefined || isMissing)('the chart in a cluster', () => {
  let cluster: Cluster
  let folder: string
  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'postern-chart-'))
    cluster = await Cluster.start()
    await writeFile(join(folder, 'ca.crt'), cluster.ca)
    await cluster.namespace('guards', { 'pod-security.kubernetes.io/enforce': 'restricted' })
    await cluster.namespace('postern')
  }, 90_000)
  afterAll(async () => {
    await cluster?.[Symbol.asyncDispose]()
    await rm(folder, { recursive: true, force: true })
  })

  it.each(sets)('takes every object and the pod of values $name, read strictly', async ({ file }) => {
    const objects = objectsOf(await renderChart(helm, { values: [file], namespace: 'guards' }))
    const own = objects.filter(({ apiVersion }) => !ofOthers.test(apiVersion))
    expect(own.length).toBeGreaterThan(7)
    for (const object of own) await cluster.create(object, '&dryRun=All')
    const { metadata, spec } = the(objects, 'Deployment').spec.template
    // Neither the account nor the class is there in a dry run.
    const { serviceAccountName: _, priorityClassName: __, ...rest } = spec
    const pod = {
      apiVersion: 'v1',
      kind: 'Pod',
      metadata: { ...metadata, name: 'injector', namespace: 'guards' },
      spec: rest,
    }
    await cluster.create(pod, '&dryRun=All')
  })

  it('is installed, upgraded and removed by Helm, and what the replicas wrote into caBundle stays until then', async () => {
    const call = (...words: string[]) =>
      run(helm, [
        ...words,
        ...['--namespace', 'postern', '--kube-apiserver', `https://localhost:${cluster.port}`],
        ...['--kube-ca-file', join(folder, 'ca.crt'), '--kube-token', 'token-of-the-operator'],
      ])
    const signal = AbortSignal.timeout(30_000)
    const names = { mutating: 'postern-injector', validating: 'postern-injector' }
    await call('install', 'postern', chart)
    expect(await keepBundle(cluster.client, names, [cluster.ca], signal)).toBe(true)
    await call('upgrade', 'postern', chart, '--set', 'replicas=3', '--set', 'config.mode=explicit')
    const deployment = '/apis/apps/v1/namespaces/postern/deployments/postern-injector'
    expect(await cluster.client.get(deployment, signal)).toMatchObject({ spec: { replicas: 3 } })
    // Nothing is left to be written.
    expect(await keepBundle(cluster.client, names, [cluster.ca], signal)).toBe(false)
    await call('uninstall', 'postern')
    await expect(keepBundle(cluster.client, names, [cluster.ca], signal)).rejects.toMatchObject({ status: 404 })
  }, 60_000)
})
