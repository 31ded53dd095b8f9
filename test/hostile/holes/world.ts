// What the holes of others are tried on: a proxy with two APIs behind it, each with its own credential, and a door for bytes.
import type { Socket } from 'node:net'
import { agentId, agentsListener, openGate, type TestGate } from '../../support/gate.ts'
import { through } from '../../support/through.ts'
import { type HttpsUpstream, httpsUpstream, rawUpstream, type Upstream } from '../../support/upstream.ts'
import { WireClient } from '../../support/wire-client.ts'

export const canaries = { api: 'canary-api-1c9e50b7', other: 'canary-other-82dd41fa' }

export interface Seen {
  readonly host: string | undefined
  readonly line: string
  readonly headers: Readonly<Record<string, string | string[] | undefined>>
  readonly body: string
}

export interface World extends AsyncDisposable {
  readonly gate: TestGate
  readonly upstream: HttpsUpstream
  readonly raw: Upstream
  /** Requests that the APIs got. */
  readonly seen: Seen[]
  /** Connections that the raw upstream got. */
  readonly sockets: Socket[]
  /** As in a Host field. */
  authority(host?: string): string
  /** A connection to the proxy itself. */
  plain(): Promise<WireClient>
  /** A connection through it, in TLS. */
  open(host?: string): Promise<WireClient>
}

export interface Wanted {
  /** Lines of the configuration before the sections that this one writes. */
  readonly more?: string
  /** Further lines of `destinations`, given the ports of the two upstreams. */
  readonly destinations?: (ports: { readonly tls: number; readonly raw: number }) => string
  readonly credentials?: string
  /** Further rules, which come first. */
  readonly rules?: string
  /** Of `resolve`, such as `, a.example: [127.0.0.1]`. */
  readonly names?: string
  /** How the API answers; what it got is in `seen` by then. */
  readonly answer?: Parameters<typeof httpsUpstream>[1]
  readonly files?: Readonly<Record<string, string>>
}

export async function openWorld({
  more = '',
  destinations,
  credentials = '',
  rules = '',
  names = '',
  answer,
  files,
}: Wanted = {}): Promise<World> {
  const seen: Seen[] = []
  const sockets: Socket[] = []
  const upstream = await httpsUpstream(
    ['api.example', 'other.example', 'free.example', 'cloud.example', 'unmade.example'],
    async (request, response) => {
      const chunks = await request.toArray().catch(() => [])
      const { method, url, headers } = request
      seen.push({ host: headers.host, line: `${method} ${url}`, headers, body: Buffer.concat(chunks).toString() })
      if (answer === undefined) response.end('seen')
      else answer(request, response)
    },
  )
  const raw = await rawUpstream((socket) => sockets.push(socket))
  const place = (name: string, host = `${name}.example`) =>
    `  ${name}: { hosts: [${host}], ports: [${upstream.port}], addresses: [127.0.0.0/8], ca: [ca.pem] }\n`
  const gate = await openGate(
    `${agentsListener}${more}resolve: { api.example: [127.0.0.1], other.example: [127.0.0.1], free.example: [127.0.0.1], db.example: [127.0.0.1]${names} }
destinations:
${place('api')}${place('other')}${place('free')}  db: { hosts: [db.example], protocol: opaque, ports: [${raw.port}], addresses: [127.0.0.0/8] }
${destinations?.({ tls: upstream.port, raw: raw.port }) ?? ''}credentials:
  api-key: { kind: env, variable: API_KEY, for: [api] }
  other-key: { kind: env, variable: OTHER_KEY, for: [other] }
${credentials}rules:
${rules}  - { name: uses-the-api, allow: { agents: [${agentId}], to: api }, use: api-key }
  - { name: uses-the-other, allow: { agents: [${agentId}], to: other }, use: other-key, inject: { placeholder: { env: OTHER_KEY } } }
  - { name: uses-the-free, allow: { agents: [${agentId}], to: free } }
  - { name: speaks-to-the-database, allow: { agents: [${agentId}], to: db } }
`,
    {
      files: { 'ca.pem': upstream.ca, ...files },
      environment: { API_KEY: canaries.api, OTHER_KEY: canaries.other },
    },
  )
  return {
    gate,
    upstream,
    raw,
    seen,
    sockets,
    authority: (host = 'api.example') => `${host}:${upstream.port}`,
    plain: () => WireClient.open({ host: '127.0.0.1', port: gate.port() }),
    open: (host = 'api.example') => through({ port: gate.port(), ca: gate.gate.caPem }, host, upstream.port),
    async [Symbol.asyncDispose]() {
      await gate[Symbol.asyncDispose]()
      await Promise.all([upstream.close(), raw.close()])
    },
  }
}
