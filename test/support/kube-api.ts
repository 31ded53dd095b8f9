// An API server for tests: HTTPS, a token, objects with resource versions, conflicts, JSON Patch. No more than that.
import { createServer } from 'node:https'
import type { AddressInfo } from 'node:net'
import { json } from 'node:stream/consumers'
import { makePair } from '../../deploy/injector/certificate/pair.ts'
import { applyPatch, type PatchStep } from './apply-patch.ts'

export interface KubeObject {
  readonly kind?: string
  readonly metadata: { readonly name: string; readonly resourceVersion?: string; readonly [key: string]: unknown }
  readonly [key: string]: unknown
}

export interface KubeApi extends AsyncDisposable {
  readonly port: number
  /** PEM. */
  readonly ca: string
  readonly token: string
  /** By path, as `/api/v1/namespaces/agents`. */
  readonly objects: Map<string, KubeObject>
  /** `GET /api/…`, in order. */
  readonly calls: string[]
  /** Answers everything with this status until it is undefined again. */
  failing: number | undefined
  /** Runs after each change. */
  onChange: (path: string) => void
}

export async function kubeApi(): Promise<KubeApi> {
  const pair = makePair(['localhost'], 3_600_000, Date.now)
  const token = 'token-of-the-pod'
  const objects = new Map<string, KubeObject>()
  const calls: string[] = []
  let version = 1
  const keep = (path: string, object: KubeObject): KubeObject => {
    version += 1
    const kept = { ...object, metadata: { ...object.metadata, resourceVersion: String(version) } }
    objects.set(path, kept)
    api.onChange(path)
    return kept
  }
  const answer = (method: string, path: string, body: unknown): readonly [number, unknown] => {
    const found = objects.get(path)
    if (method === 'POST') {
      const object = body as KubeObject
      const at = `${path}/${object.metadata.name}`
      return objects.has(at) ? [409, status('it is there already')] : [201, keep(at, object)]
    }
    if (found === undefined) return [404, status(`${path} not found`)]
    if (method === 'GET') return [200, found]
    if (method === 'PUT') {
      const object = body as KubeObject
      const stale = object.metadata.resourceVersion !== found.metadata.resourceVersion
      return stale ? [409, status('the object has been modified')] : [200, keep(path, object)]
    }
    try {
      return [200, keep(path, applyPatch(found, body as PatchStep[]) as KubeObject)]
    } catch (error) {
      return [422, status(String(error))]
    }
  }
  const server = createServer({ cert: pair.cert, key: pair.key }, async (request, response) => {
    const { method = '', url = '' } = request
    const body: unknown = method === 'GET' ? undefined : await json(request).catch(() => undefined)
    calls.push(`${method} ${url}`)
    const [code, object] =
      api.failing !== undefined
        ? [api.failing, status('failing')]
        : request.headers.authorization === `Bearer ${token}`
          ? answer(method, url, body)
          : [401, status('Unauthorized')]
    response.writeHead(code, { 'content-type': 'application/json' }).end(JSON.stringify(object))
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const api: KubeApi = {
    port: (server.address() as AddressInfo).port,
    ca: pair.ca,
    token,
    objects,
    calls,
    failing: undefined,
    onChange: () => {},
    async [Symbol.asyncDispose]() {
      server.closeAllConnections()
      await new Promise((resolve) => server.close(resolve))
    },
  }
  return api
}

const status = (message: string) => ({ kind: 'Status', apiVersion: 'v1', status: 'Failure', message })
