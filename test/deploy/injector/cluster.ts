// A cluster for the tests of the injector's server: an API server with a labelled namespace and the webhook configurations.
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { KubeClient } from '../../../deploy/injector/kube-client.ts'
import { type KubeApi, kubeApi } from '../../support/kube-api.ts'

const group = '/apis/admissionregistration.k8s.io/v1'
export const mutatingPath = `${group}/mutatingwebhookconfigurations/postern-injector`
export const validatingPath = `${group}/validatingwebhookconfigurations/postern-injector`
export const secretPath = '/api/v1/namespaces/postern/secrets/postern-injector-tls'
export const leasePath = '/apis/coordination.k8s.io/v1/namespaces/postern/leases/postern-injector'

export interface Cluster extends AsyncDisposable {
  readonly api: KubeApi
  /** The folder of the token. */
  readonly folder: string
  client(): KubeClient
  /** PEM of all authorities in caBundle. */
  bundle(path?: string): string
}

export async function cluster(): Promise<Cluster> {
  const api = await kubeApi()
  const folder = mkdtempSync(join(tmpdir(), 'postern-injector-'))
  writeFileSync(join(folder, 'token'), `${api.token}\n`)
  writeFileSync(join(folder, 'ca.crt'), api.ca)
  const named = (name: string) => ({ metadata: { name, resourceVersion: '1' } })
  const webhooks = (...names: string[]) => names.map((name) => ({ name, clientConfig: { service: { name: 'x' } } }))
  api.objects.set(mutatingPath, { ...named('postern-injector'), webhooks: webhooks('pods.postern.dev') })
  api.objects.set(validatingPath, {
    ...named('postern-injector'),
    webhooks: webhooks('a.postern.dev', 'b.postern.dev'),
  })
  api.objects.set('/api/v1/namespaces/agents', {
    metadata: { name: 'agents', resourceVersion: '1', labels: { 'postern.dev/inject': 'enabled' } },
  })
  const clients: KubeClient[] = []
  return {
    api,
    folder,
    client() {
      const { port, ca } = api
      const client = new KubeClient({ host: 'localhost', port, ca, tokenFile: join(folder, 'token') })
      clients.push(client)
      return client
    },
    bundle(path = mutatingPath) {
      const found = api.objects.get(path)?.webhooks as { readonly clientConfig: { readonly caBundle?: string } }[]
      const bundles = new Set(found.map(({ clientConfig }) => clientConfig.caBundle ?? ''))
      if (bundles.size !== 1) throw new Error('the webhooks of one configuration have different bundles')
      return Buffer.from([...bundles][0] ?? '', 'base64').toString()
    },
    async [Symbol.asyncDispose]() {
      for (const client of clients) client.close()
      rmSync(folder, { recursive: true })
      await api[Symbol.asyncDispose]()
    },
  }
}
