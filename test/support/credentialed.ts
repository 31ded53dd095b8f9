// A proxy with one HTTPS destination behind it, whose requests carry a credential: what most tests of the way need.
import type { RequestListener } from 'node:http'
import { agentId, agentsListener, openGate, type TestGate } from './gate.ts'
import { through } from './through.ts'
import { type HttpsUpstream, httpsUpstream } from './upstream.ts'
import type { WireClient } from './wire-client.ts'

export interface Credentialed extends AsyncDisposable {
  readonly upstream: HttpsUpstream
  readonly gate: TestGate
  /** As in a Host field. */
  readonly authority: string
  /** A connection of the agent to the upstream. */
  open(): Promise<WireClient>
}

/**
 * `api.example`: everything but DELETE is allowed, with the canary as bearer token.
 * @param more lines of the configuration, before the sections that this one writes
 * @param destination further settings of the destination, such as `echo: block`
 */
export async function credentialed(
  listener: RequestListener,
  canary: string,
  { more = '', destination = '' }: { more?: string; destination?: string } = {},
): Promise<Credentialed> {
  const upstream = await httpsUpstream(['api.example'], listener)
  const gate = await openGate(
    `${agentsListener}${more}resolve: { api.example: [127.0.0.1] }
destinations:
  api: { hosts: [api.example], ports: [${upstream.port}], addresses: [127.0.0.0/8], ca: [ca.pem]${destination === '' ? '' : `, ${destination}`} }
credentials:
  key: { kind: env, variable: API_KEY, for: [api] }
rules:
  - { name: nobody-deletes, deny: { methods: [DELETE] } }
  - { name: agent-uses-the-api, allow: { agents: [${agentId}], to: api }, use: key }
`,
    { files: { 'ca.pem': upstream.ca }, environment: { API_KEY: canary } },
  )
  return {
    upstream,
    gate,
    authority: `api.example:${upstream.port}`,
    open: () => through({ port: gate.port(), ca: gate.gate.caPem }, 'api.example', upstream.port),
    async [Symbol.asyncDispose]() {
      await gate[Symbol.asyncDispose]()
      await upstream.close()
    },
  }
}
