// Calls of the API server with the token of this pod: the few that the injector needs.
import { readFile } from 'node:fs/promises'
import type { IncomingMessage } from 'node:http'
import { Agent, request } from 'node:https'
import * as z from 'zod'
import type { Operation } from './json-patch.ts'

/** Bytes of an answer. */
const largestAnswer = 2 * 1024 * 1024

export class KubeError extends Error {
  override readonly name = 'KubeError'
  readonly status: number

  constructor(status: number, message: string) {
    super(message)
    this.status = status
  }
}

export interface KubeClientOptions {
  readonly host: string
  readonly port: number
  /** PEM. */
  readonly ca: string
  /** The kubelet replaces it well before it expires. */
  readonly tokenFile: string
}

const statusSchema = z.looseObject({ message: z.string() })

/** A precondition, besides what changes something. */
export type PatchOperation = Operation | { readonly op: 'test'; readonly path: string; readonly value: unknown }

export class KubeClient {
  readonly #options: KubeClientOptions
  readonly #agent: Agent

  constructor(options: KubeClientOptions) {
    this.#options = options
    this.#agent = new Agent({ keepAlive: true, ca: options.ca, minVersion: 'TLSv1.2', maxSockets: 16 })
  }

  /** @throws KubeError with the status of the answer */
  get(path: string, signal: AbortSignal): Promise<unknown> {
    return this.#call('GET', path, undefined, undefined, signal)
  }

  create(path: string, object: unknown, signal: AbortSignal): Promise<unknown> {
    return this.#call('POST', path, 'application/json', object, signal)
  }

  /** Fails with 409 where the object is no longer the one of its `resourceVersion`. */
  replace(path: string, object: unknown, signal: AbortSignal): Promise<unknown> {
    return this.#call('PUT', path, 'application/json', object, signal)
  }

  patch(path: string, operations: readonly PatchOperation[], signal: AbortSignal): Promise<unknown> {
    return this.#call('PATCH', path, 'application/json-patch+json', operations, signal)
  }

  close(): void {
    this.#agent.destroy()
  }

  async #call(
    method: string,
    path: string,
    type: string | undefined,
    object: unknown,
    signal: AbortSignal,
  ): Promise<unknown> {
    const { host, port, tokenFile } = this.#options
    const token = (await readFile(tokenFile, 'utf8')).trim()
    const body = object === undefined ? undefined : JSON.stringify(object)
    const response = await new Promise<IncomingMessage>((resolve, reject) => {
      const call = request({
        ...{ host, port, method, path, signal, agent: this.#agent },
        headers: {
          accept: 'application/json',
          authorization: `Bearer ${token}`,
          ...(body === undefined ? {} : { 'content-type': type, 'content-length': Buffer.byteLength(body) }),
        },
      })
      call.once('response', resolve).once('error', reject)
      call.end(body)
    })
    const text = await textOf(response)
    const { statusCode = 0 } = response
    const answer = parsed(text)
    if (statusCode >= 200 && statusCode < 300) return answer
    const said = statusSchema.safeParse(answer)
    const reason = said.success ? said.data.message : text.slice(0, 200)
    throw new KubeError(statusCode, `${method} ${path}: ${statusCode} ${reason}`)
  }
}

async function textOf(response: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = []
  let length = 0
  for await (const chunk of response) {
    length += chunk.length
    if (length > largestAnswer) throw new KubeError(0, `an answer of more than ${largestAnswer} bytes`)
    chunks.push(chunk)
  }
  return Buffer.concat(chunks).toString('utf8')
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}
