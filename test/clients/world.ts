// What the tests of real clients have in common: an API over HTTPS and one in clear, and `postern exec` between them and the client.

import type { IncomingHttpHeaders } from 'node:http'
import { join } from 'node:path'
import { expect } from 'vitest'
import type { AuditRecord } from '../../proxy/record/line.ts'
import type { Executed } from '../support/execute.ts'
import { type Postern, workplace } from '../support/postern.ts'
import { recordsIn } from '../support/records.ts'
import { httpsUpstream, httpUpstream } from '../support/upstream.ts'

export const canary = 'canary-9b41f07d3c'

export interface Seen {
  readonly method: string
  readonly url: string
  readonly headers: IncomingHttpHeaders
  readonly body: string
}

export interface World extends AsyncDisposable {
  /** `https://api.example:…`, whose requests get the canary as bearer token; GET and POST below /v1 are allowed. */
  readonly api: string
  /** `http://localhost:…`, the same in clear. */
  readonly plain: string
  readonly path: string
  /** What reached the APIs, since asked last. */
  seen(): readonly Seen[]
  /** Runs a program through `postern exec`, to its end; options of `exec` and `--` may stand before it. */
  run(argv: readonly string[], environment?: Readonly<Record<string, string>>): Promise<Executed>
  start(argv: readonly string[], environment?: Readonly<Record<string, string>>): Postern
  records(): Promise<readonly AuditRecord[]>
}

/** @param files further ones, for the programs */
export async function clientsWorld(files: Readonly<Record<string, string>> = {}): Promise<World> {
  const seen: Seen[] = []
  const answer: Parameters<typeof httpUpstream>[0] = async (request, response) => {
    let body = ''
    for await (const chunk of request) body += chunk
    const { method = '', url = '', headers } = request
    seen.push({ method, url, headers, body })
    response.setHeader('Content-Type', 'application/json')
    response.end(JSON.stringify({ hello: 'from the API', bytes: body.length }))
  }
  const api = await httpsUpstream(['api.example'], answer)
  const plain = await httpUpstream(answer)
  const place = await workplace({
    'ca.pem': api.ca,
    ...files,
    'postern.yaml': `version: 1
trustDomain: acme.example
exec: { agent: spiffe://acme.example/agent }
records: { to: ./records.jsonl }
resolve: { api.example: [127.0.0.1], localhost: [127.0.0.1] }
destinations:
  api: { hosts: [api.example], ports: [${api.port}], addresses: [127.0.0.0/8], ca: [ca.pem] }
  plain: { hosts: [localhost], protocol: http, ports: [${plain.port}], addresses: [127.0.0.0/8] }
credentials:
  key: { kind: env, variable: API_KEY, for: [api, plain] }
rules:
  - name: agent-uses-the-api
    allow: { agents: [spiffe://acme.example/agent], to: [api, plain], methods: [GET, POST], paths: [/v1/**] }
    use: key
`,
  })
  const start: World['start'] = (argv, environment = {}) =>
    place.start(['exec', '-c', 'postern.yaml', ...argv], { API_KEY: canary, ...environment })
  return {
    api: `https://api.example:${api.port}`,
    plain: `http://localhost:${plain.port}`,
    path: place.path,
    seen: () => seen.splice(0),
    start,
    async run(argv, environment) {
      const run = start(argv, environment)
      const code = await run.ended
      return { code, out: run.out, errors: run.errors }
    },
    records: () => recordsIn(join(place.path, 'records.jsonl')),
    async [Symbol.asyncDispose]() {
      await place[Symbol.asyncDispose]()
      await Promise.all([api.close(), plain.close()])
    },
  }
}

/** A program that asked for /v1/a, sent a form to /v1/post, tried /forbidden, and asked for /v1/b in clear was answered as it should. */
export function expectBothApisReached(world: World, out: string): void {
  const [first, second, third, fourth] = out.split('\n')
  expect(first).toBe('200 {"hello":"from the API","bytes":0}')
  expect(second).toBe('200 {"hello":"from the API","bytes":8}')
  expect(third).toMatch(/^403 .*"reason":"no_rule"/)
  expect(fourth).toBe(first)
  const authorization = `Bearer ${canary}`
  expect(world.seen()).toMatchObject([
    { method: 'GET', url: '/v1/a', headers: { authorization } },
    { method: 'POST', url: '/v1/post', body: 'name=Ada', headers: { authorization } },
    { method: 'GET', url: '/v1/b', headers: { authorization } },
  ])
}
