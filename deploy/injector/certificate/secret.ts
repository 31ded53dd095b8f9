// The Secret in which the replicas share certificate and key.
import * as z from 'zod'
import { type KubeClient, KubeError } from '../kube-client.ts'
import type { Pair } from './pair.ts'
import type { Stored } from './plan.ts'

const secretSchema = z.looseObject({
  metadata: z.looseObject({ resourceVersion: z.string() }),
  data: z.record(z.string(), z.string()).nullish(),
})

export interface Found {
  /** Undefined when there is no Secret. */
  readonly version: string | undefined
  readonly stored: Stored
}

export class CertificateSecret {
  readonly #client: KubeClient
  readonly #namespace: string
  readonly #name: string

  constructor(client: KubeClient, namespace: string, name: string) {
    this.#client = client
    this.#namespace = namespace
    this.#name = name
  }

  async read(signal: AbortSignal): Promise<Found> {
    try {
      const { metadata, data } = secretSchema.parse(await this.#client.get(`${this.#path}/${this.#name}`, signal))
      return { version: metadata.resourceVersion, stored: storedIn(data ?? {}) }
    } catch (error) {
      if (error instanceof KubeError && error.status === 404) return { version: undefined, stored: {} }
      throw error
    }
  }

  /** @throws KubeError with status 409 where another replica wrote since it was read */
  async write(stored: Stored, version: string | undefined, signal: AbortSignal): Promise<void> {
    const object = {
      apiVersion: 'v1',
      kind: 'Secret',
      type: 'kubernetes.io/tls',
      metadata: {
        name: this.#name,
        namespace: this.#namespace,
        ...(version === undefined ? {} : { resourceVersion: version }),
      },
      data: dataOf(stored),
    }
    if (version === undefined) await this.#client.create(this.#path, object, signal)
    else await this.#client.replace(`${this.#path}/${this.#name}`, object, signal)
  }

  get #path(): string {
    return `/api/v1/namespaces/${this.#namespace}/secrets`
  }
}

function dataOf({ current, next, previous }: Stored): Record<string, string> {
  const texts = {
    'tls.crt': current?.cert,
    'tls.key': current?.key,
    'ca.crt': current?.ca,
    'next.crt': next?.cert,
    'next.key': next?.key,
    'next-ca.crt': next?.ca,
    'next-announced-at': next?.announcedAt.toString(),
    'previous-ca.crt': previous?.ca,
    'previous-replaced-at': previous?.replacedAt.toString(),
  }
  return Object.fromEntries(
    Object.entries(texts).flatMap(([key, text]) =>
      text === undefined ? [] : [[key, Buffer.from(text).toString('base64')]],
    ),
  )
}

/** What is not whole is as if it were not there. */
function storedIn(data: Readonly<Record<string, string>>): Stored {
  const text = (key: string) => (data[key] === undefined ? undefined : Buffer.from(data[key], 'base64').toString())
  const time = (key: string) => Number(text(key) ?? Number.NaN)
  const current = pairOf(text('ca.crt'), text('tls.crt'), text('tls.key'))
  const next = pairOf(text('next-ca.crt'), text('next.crt'), text('next.key'))
  const announcedAt = time('next-announced-at')
  const previous = text('previous-ca.crt')
  const replacedAt = time('previous-replaced-at')
  return {
    ...(current === undefined ? {} : { current }),
    ...(next === undefined || Number.isNaN(announcedAt) ? {} : { next: { ...next, announcedAt } }),
    ...(previous === undefined || Number.isNaN(replacedAt) ? {} : { previous: { ca: previous, replacedAt } }),
  }
}

function pairOf(ca: string | undefined, cert: string | undefined, key: string | undefined): Pair | undefined {
  return ca === undefined || cert === undefined || key === undefined ? undefined : { ca, cert, key }
}
