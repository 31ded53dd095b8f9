// The labels and annotations of namespaces, from the API server, remembered for a moment.
import * as z from 'zod'
import { type KubeClient, KubeError } from './kube-client.ts'
import type { Namespace } from './options.ts'

export interface NamespaceSource {
  /** @throws when it cannot be had, or there is none */
  find(name: string, signal: AbortSignal): Promise<Namespace>
}

const texts = z.record(z.string(), z.string()).nullish()
const namespaceSchema = z.looseObject({
  metadata: z.looseObject({ name: z.string(), labels: texts, annotations: texts }),
})

/** Milliseconds. A label that was just set counts within this. */
const fresh = 2_000
/** Milliseconds for which a known one serves while the API server does not answer. */
const stale = 60_000
const mostKept = 10_000

interface Kept {
  readonly namespace: Namespace
  readonly at: number
}

/** Single flight for each namespace. */
export class KubeNamespaces implements NamespaceSource {
  readonly #client: KubeClient
  readonly #now: () => number
  readonly #kept = new Map<string, Kept>()
  readonly #asked = new Map<string, Promise<Namespace>>()

  /** @param now milliseconds, of any clock that only goes forward */
  constructor(client: KubeClient, now: () => number) {
    this.#client = client
    this.#now = now
  }

  async find(name: string, signal: AbortSignal): Promise<Namespace> {
    const kept = this.#kept.get(name)
    if (kept !== undefined && this.#now() - kept.at < fresh) return kept.namespace
    let asked = this.#asked.get(name)
    if (asked === undefined) {
      asked = this.#ask(name, signal).finally(() => this.#asked.delete(name))
      this.#asked.set(name, asked)
    }
    try {
      return await asked
    } catch (error) {
      const isGone = error instanceof KubeError && error.status === 404
      if (!isGone && kept !== undefined && this.#now() - kept.at < stale) return kept.namespace
      throw error
    }
  }

  async #ask(name: string, signal: AbortSignal): Promise<Namespace> {
    const { metadata } = namespaceSchema.parse(
      await this.#client.get(`/api/v1/namespaces/${encodeURIComponent(name)}`, signal),
    )
    const namespace = { name, labels: metadata.labels ?? {}, annotations: metadata.annotations ?? {} }
    this.#kept.delete(name)
    this.#kept.set(name, { namespace, at: this.#now() })
    if (this.#kept.size > mostKept) {
      const [oldest] = this.#kept.keys()
      if (oldest !== undefined) this.#kept.delete(oldest)
    }
    return namespace
  }
}
