// /livez, /readyz and /metrics on a port of their own. Read-only: an agent may share our network.
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import { isIP } from 'node:net'
import type { Readiness } from './readiness.ts'
import type { Registry } from './registry.ts'

export interface HealthOptions {
  readonly address: { readonly host: string; readonly port: number }
  /** Names that may stand in Host, besides addresses and localhost. */
  readonly hosts: readonly string[]
  readonly readiness: Readiness
  readonly registry: Registry
}

export interface HealthServer {
  readonly port: number
  close(): Promise<void>
}

interface Page {
  readonly status: number
  readonly type: string
  readonly body: string
}

/** @throws when the address cannot be listened on */
export async function healthServer({ address, hosts, readiness, registry }: HealthOptions): Promise<HealthServer> {
  const pages: Readonly<Record<string, () => Page>> = {
    '/livez': () => json(200, { live: true }),
    '/readyz': () => json(readiness.isReady ? 200 : 503, { ready: readiness.isReady, reasons: readiness.reasons }),
    '/metrics': () => ({ status: 200, type: 'text/plain; version=0.0.4; charset=utf-8', body: registry.text() }),
  }
  const server = createServer(
    // Slow and idle clients cannot keep a kubelet out.
    { requestTimeout: 5_000, headersTimeout: 5_000, keepAliveTimeout: 5_000, maxHeaderSize: 8_192 },
    (request, response) => answer(request, response, refusal(request, hosts) ?? page(request, pages)),
  )
  server.maxConnections = 256
  await listening(server, address)
  const bound = server.address()
  return {
    port: typeof bound === 'object' && bound !== null ? bound.port : address.port,
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve())
        server.closeAllConnections()
      }),
  }
}

function page({ url = '/' }: IncomingMessage, pages: Readonly<Record<string, () => Page>>): Page {
  const path = url.split('?', 1)[0] ?? ''
  return Object.hasOwn(pages, path) ? (pages[path]?.() ?? notFound) : notFound
}

const notFound = json(404, { error: 'There is /livez, /readyz and /metrics.' })

/** A page in somebody's browser must not read this: it comes with an Origin, or by a name of its own (DNS rebinding). */
function refusal({ method, headers }: IncomingMessage, hosts: readonly string[]): Page | undefined {
  if (method !== 'GET' && method !== 'HEAD') return json(405, { error: 'Only GET and HEAD.' })
  if (headers.origin !== undefined) return json(403, { error: 'Not for pages of another origin.' })
  const host = hostOf(headers.host ?? '')
  if (isIP(host) !== 0 || host === 'localhost' || hosts.includes(host)) return undefined
  return json(421, { error: 'Not asked under this name; admin.hosts lists the names.' })
}

function hostOf(authority: string): string {
  const bracketed = /^\[([^\]]*)\](?::\d*)?$/.exec(authority)
  return (bracketed?.[1] ?? authority.replace(/:\d*$/, '')).toLowerCase()
}

function json(status: number, value: unknown): Page {
  return { status, type: 'application/json', body: `${JSON.stringify(value)}\n` }
}

function answer({ method }: IncomingMessage, response: ServerResponse, { status, type, body }: Page): void {
  response.writeHead(status, {
    'content-type': type,
    'content-length': Buffer.byteLength(body),
    'cache-control': 'no-store',
    'x-content-type-options': 'nosniff',
    ...(status === 405 ? { allow: 'GET, HEAD' } : {}),
    // Nobody who asks amiss keeps a connection.
    ...(status === 200 || status === 503 ? {} : { connection: 'close' }),
  })
  response.end(method === 'HEAD' ? undefined : body)
}

function listening(server: Server, { host, port }: HealthOptions['address']): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once('error', reject)
    server.listen(port, host, () => {
      server.off('error', reject)
      resolve()
    })
  })
}
