// The injector as a service: webhook server, health server, certificate, put together.
import { setTimeout as sleep } from 'node:timers/promises'
import { type HealthServer, healthServer } from '../../proxy/record/health.ts'
import { processMetrics } from '../../proxy/record/process-metrics.ts'
import { Readiness } from '../../proxy/record/readiness.ts'
import { GivenFilesCertificate } from './certificate/given-files.ts'
import { SelfSignedCertificate } from './certificate/self-signed.ts'
import type { KubeClient } from './kube-client.ts'
import { injectorMetrics } from './metrics.ts'
import { KubeNamespaces } from './namespaces.ts'
import { type ShownCertificate, type WebhookServer, webhookServer } from './server.ts'
import type { InjectorSettings } from './settings.ts'

export interface InjectorSurroundings {
  readonly client: KubeClient
  /** Who we are among the replicas: the name of the pod. */
  readonly identity: string
  /** Epoch milliseconds. */
  readonly now: () => number
  /** Milliseconds between two looks at a self-signed certificate; 5 s unless told. */
  readonly every?: number
  readonly onProblem: (problem: unknown) => void
}

export interface Injector {
  readonly port: number
  readonly metricsPort: number
  readonly isReady: boolean
  /**
   * @param linger milliseconds for which new connections are still taken, until the cluster has learnt that we go
   * @param grace milliseconds after that for what is under way
   */
  close(linger: number, grace: number): Promise<void>
}

/** @throws when an address cannot be listened on */
export async function openInjector(settings: InjectorSettings, surroundings: InjectorSurroundings): Promise<Injector> {
  const { client, identity, now, every = 5_000, onProblem } = surroundings
  const metrics = injectorMetrics()
  const stopProcessMetrics = processMetrics(metrics.registry)
  const readiness = new Readiness(['certificate'])
  const webhook = await webhookServer({
    address: parts(settings.listen),
    settings,
    namespaces: new KubeNamespaces(client, () => performance.now()),
    metrics,
    onProblem,
  })
  const show = (certificate: ShownCertificate) => {
    webhook.show(certificate)
    readiness.ready('certificate')
  }
  let health: HealthServer
  try {
    const options = { address: parts(settings.metrics), hosts: [], readiness, registry: metrics.registry }
    health = await healthServer(options)
  } catch (error) {
    await webhook.close(0)
    throw error
  }
  const { certificate: how, namespace } = settings
  const certificate =
    how.source === 'files'
      ? new GivenFilesCertificate({ certificate: how.certificate, key: how.key, metrics, show, onProblem })
      : new SelfSignedCertificate({ client, namespace, identity, settings: how, metrics, now, every, show, onProblem })
  await certificate.start()
  return {
    port: webhook.port,
    metricsPort: health.port,
    get isReady() {
      return readiness.isReady
    },
    async close(linger, grace) {
      readiness.notReady('stopping', 'it was told to stop')
      webhook.drain()
      await sleep(linger)
      await closeAll(webhook, certificate, grace)
      stopProcessMetrics()
      await health.close()
      client.close()
    },
  }
}

async function closeAll(
  webhook: WebhookServer,
  certificate: GivenFilesCertificate | SelfSignedCertificate,
  grace: number,
): Promise<void> {
  await Promise.all([webhook.close(grace), certificate.close()])
}

function parts(address: string): { readonly host: string; readonly port: number } {
  const at = address.lastIndexOf(':')
  return { host: address.slice(0, at).replace(/^\[|\]$/g, ''), port: Number(address.slice(at + 1)) }
}
