// The certificate that the replicas make themselves: each shows what is in the Secret, and the leader rotates it.
import type { KubeClient } from '../kube-client.ts'
import { Lease } from '../lease.ts'
import type { InjectorMetrics } from '../metrics.ts'
import type { ShownCertificate } from '../server.ts'
import type { SelfSignedSettings } from '../settings.ts'
import { keepBundle } from './ca-bundle.ts'
import { makePair, validityOf } from './pair.ts'
import { authorities, plan, type Stored } from './plan.ts'
import { CertificateSecret } from './secret.ts'

export interface SelfSignedOptions {
  readonly client: KubeClient
  /** Where the injector runs. */
  readonly namespace: string
  /** Who we are among the replicas: the name of the pod. */
  readonly identity: string
  readonly settings: SelfSignedSettings
  readonly metrics: InjectorMetrics
  /** Epoch milliseconds. */
  readonly now: () => number
  /** Milliseconds between two looks. */
  readonly every: number
  readonly show: (certificate: ShownCertificate) => void
  readonly onProblem: (problem: unknown) => void
}

const leaseSeconds = 30
/** Milliseconds for all calls of one look. */
const patience = 15_000

export class SelfSignedCertificate {
  readonly #options: SelfSignedOptions
  readonly #secret: CertificateSecret
  readonly #lease: Lease
  readonly #hosts: readonly string[]
  readonly #stop = new AbortController()
  #shown: string | undefined
  #timer: NodeJS.Timeout | undefined
  #looking: Promise<void> = Promise.resolve()

  constructor(options: SelfSignedOptions) {
    const { client, namespace, identity, settings, now } = options
    this.#options = options
    this.#secret = new CertificateSecret(client, namespace, settings.secret)
    this.#lease = new Lease({ client, namespace, name: settings.lease, identity, seconds: leaseSeconds, now })
    const service = `${settings.service}.${namespace}.svc`
    this.#hosts = [service, `${service}.cluster.local`]
  }

  /** Looks at once, and then again and again. */
  start(): void {
    this.#looking = this.#look().finally(() => {
      if (!this.#stop.signal.aborted) this.#timer = setTimeout(() => this.start(), this.#options.every)
    })
  }

  async close(): Promise<void> {
    clearTimeout(this.#timer)
    this.#stop.abort()
    await this.#looking
    await this.#lease.release(AbortSignal.timeout(2_000)).catch(this.#options.onProblem)
  }

  async #look(): Promise<void> {
    const signal = AbortSignal.any([this.#stop.signal, AbortSignal.timeout(patience)])
    try {
      const isLeader = await this.#lease.hold(signal)
      this.#options.metrics.leader.set(isLeader ? 1 : 0)
      const { stored } = isLeader ? await this.#rotate(signal) : await this.#secret.read(signal)
      this.#showCurrent(stored)
    } catch (error) {
      if (!this.#stop.signal.aborted) this.#options.onProblem(error)
    }
  }

  /** One step. The bundle is told first; where this process ends in between, the step is taken again. */
  async #rotate(signal: AbortSignal): Promise<{ readonly stored: Stored }> {
    const { client, settings, now } = this.#options
    const { stored, version } = await this.#secret.read(signal)
    // Somebody may have applied the configuration anew, without a bundle.
    const isRepaired =
      stored.current !== undefined && (await keepBundle(client, settings.configurations, authorities(stored), signal))
    const { settle, overlap, lifetime } = settings
    const make = () => makePair(this.#hosts, lifetime, now)
    // What was announced just now has to settle anew.
    const announced =
      isRepaired && stored.next !== undefined ? { ...stored, next: { ...stored.next, announcedAt: now() } } : stored
    const due = plan(announced, { now: now(), settle, overlap, make })
    if (due === stored) return { stored }
    await keepBundle(client, settings.configurations, authorities(due), signal)
    await this.#secret.write(due, version, signal)
    return { stored: due }
  }

  #showCurrent({ current }: Stored): void {
    if (current === undefined || current.cert === this.#shown) return
    const { to } = validityOf(current)
    this.#options.show(current)
    this.#shown = current.cert
    this.#options.metrics.certificateExpiry.set(to / 1_000)
  }
}
