// Leadership by a Lease (coordination.k8s.io/v1): who holds it acts, and everyone else watches it grow old.
import * as z from 'zod'
import { type KubeClient, KubeError } from './kube-client.ts'

const leaseSchema = z.looseObject({
  metadata: z.looseObject({ resourceVersion: z.string() }),
  spec: z
    .looseObject({
      holderIdentity: z.string().nullish(),
      leaseDurationSeconds: z.number().nullish(),
      leaseTransitions: z.number().nullish(),
      acquireTime: z.string().nullish(),
    })
    .nullish(),
})
type Found = z.output<typeof leaseSchema>

export interface LeaseOptions {
  readonly client: KubeClient
  readonly namespace: string
  readonly name: string
  /** Who we are: the name of the pod. */
  readonly identity: string
  /** Seconds without a renewal after which another takes it. */
  readonly seconds: number
  /** Epoch milliseconds. */
  readonly now: () => number
}

export class Lease {
  readonly #options: LeaseOptions
  /** Since when this state of it was seen here: the clocks of others do not count. */
  #seen: { readonly version: string; readonly at: number } | undefined

  constructor(options: LeaseOptions) {
    this.#options = options
  }

  /** Takes or renews it where that is possible. @returns whether it is ours now */
  async hold(signal: AbortSignal): Promise<boolean> {
    const { client, identity, now } = this.#options
    try {
      const found = await this.#read(signal)
      if (found === undefined) {
        await client.create(this.#folder, this.#object(undefined, identity), signal)
        return true
      }
      const { metadata, spec } = found
      const holder = spec?.holderIdentity ?? ''
      if (this.#seen?.version !== metadata.resourceVersion) {
        this.#seen = { version: metadata.resourceVersion, at: now() }
      }
      const patience = (spec?.leaseDurationSeconds ?? this.#options.seconds) * 1_000
      if (holder !== identity && holder !== '' && now() - this.#seen.at < patience) return false
      await client.replace(this.#path, this.#object(found, identity), signal)
      return true
    } catch (error) {
      // Another was faster.
      if (error instanceof KubeError && error.status === 409) return false
      throw error
    }
  }

  /** Lets another have it at once. */
  async release(signal: AbortSignal): Promise<void> {
    const found = await this.#read(signal)
    if (found?.spec?.holderIdentity !== this.#options.identity) return
    await this.#options.client.replace(this.#path, this.#object(found, ''), signal)
  }

  async #read(signal: AbortSignal): Promise<Found | undefined> {
    try {
      return leaseSchema.parse(await this.#options.client.get(this.#path, signal))
    } catch (error) {
      if (error instanceof KubeError && error.status === 404) return undefined
      throw error
    }
  }

  #object(found: Found | undefined, holder: string): object {
    const { namespace, name, seconds, now } = this.#options
    const time = new Date(now()).toISOString().replace('Z', '000Z')
    const isSame = found?.spec?.holderIdentity === holder
    return {
      apiVersion: 'coordination.k8s.io/v1',
      kind: 'Lease',
      metadata: {
        name,
        namespace,
        ...(found === undefined ? {} : { resourceVersion: found.metadata.resourceVersion }),
      },
      spec: {
        holderIdentity: holder,
        leaseDurationSeconds: seconds,
        acquireTime: (isSame ? found?.spec?.acquireTime : undefined) ?? time,
        renewTime: time,
        leaseTransitions: (found?.spec?.leaseTransitions ?? 0) + (isSame || found === undefined ? 0 : 1),
      },
    }
  }

  get #folder(): string {
    return `/apis/coordination.k8s.io/v1/namespaces/${this.#options.namespace}/leases`
  }

  get #path(): string {
    return `${this.#folder}/${this.#options.name}`
  }
}
