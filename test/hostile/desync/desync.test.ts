// Doubtful requests by the hundred, to upstreams that keep their connections: what two readers see there is what the policy saw, and as often.
import { createServer as createTcpServer } from 'node:net'
import { createServer as createTlsServer } from 'node:tls'
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest'
import type { AuditRecord } from '../../../proxy/record/line.ts'
import { agentId, agentsListener, openGate, type TestGate } from '../../support/gate.ts'
import { makeAuthority, makeServerCertificate } from '../../support/pki.ts'
import { through } from '../../support/through.ts'
import { started, type Upstream } from '../../support/upstream.ts'
import { WireClient } from '../../support/wire-client.ts'
import { type Sample, samples } from './corpus.ts'
import { readRequests } from './strict-parser.ts'
import { type Watched, watch } from './watched-upstream.ts'

const canary = 'canary-5f0c2b7a91de'
const seen: Record<'tls' | 'clear', Watched[]> = { tls: [], clear: [] }
let tls: Omit<Upstream, 'ca'>
let clear: Omit<Upstream, 'ca'>
let gate: TestGate

beforeAll(async () => {
  const authority = makeAuthority()
  const certificate = makeServerCertificate(authority, ['api.example'])
  tls = await started(createTlsServer(certificate, (socket) => seen.tls.push(watch(socket))))
  clear = await started(createTcpServer((socket) => seen.clear.push(watch(socket))))
  gate = await openGate(
    `${agentsListener}resolve: { api.example: [127.0.0.1], plain.example: [127.0.0.1] }
destinations:
  api: { hosts: [api.example], ports: [${tls.port}], addresses: [127.0.0.0/8], ca: [ca.pem] }
  plain: { hosts: [plain.example], protocol: http, ports: [${clear.port}], addresses: [127.0.0.0/8] }
credentials:
  key: { kind: env, variable: API_KEY, for: [api] }
rules:
  - { name: agent-uses-the-api, allow: { agents: [${agentId}], to: api }, use: key }
  - { name: agent-uses-the-plain-one, allow: { agents: [${agentId}], to: plain } }
`,
    { files: { 'ca.pem': authority.pem }, environment: { API_KEY: canary } },
  )
})
afterAll(async () => {
  await gate[Symbol.asyncDispose]()
  await Promise.all([tls.close(), clear.close()])
})

/** Samples under way at once. */
const atOnce = 12

describe.each([
  {
    where: 'through CONNECT and TLS',
    host: 'api.example',
    side: 'tls' as const,
    place: () => {
      const authority = `api.example:${tls.port}`
      return { authority, path: (sample: number) => `/t${sample}`, target: (path: string) => path }
    },
    open: () => through({ port: gate.port(), ca: gate.gate.caPem }, 'api.example', tls.port),
  },
  {
    where: 'in clear, each with its target',
    host: 'plain.example',
    side: 'clear' as const,
    place: () => {
      const authority = `plain.example:${clear.port}`
      return {
        authority,
        path: (sample: number) => `/c${sample}`,
        target: (path: string) => `http://${authority}${path}`,
      }
    },
    open: () => WireClient.open({ host: '127.0.0.1', port: gate.port() }),
  },
])('doubtful requests $where', ({ host, side, place, open }) => {
  it('are refused, or read alike by everybody', { timeout: 120_000 }, async () => {
    const { authority, path, target } = place()
    const before = (await gate.records(0)).length
    const all = samples({ authority, path, target })
    expect(all.length).toBeGreaterThanOrEqual(300)
    const waiting = all.entries()
    const work = async () => {
      for (const [number, sample] of waiting) {
        const ordinary = `GET ${target(`${path(number)}-after`)} HTTP/1.1\r\nHost: ${authority}\r\nConnection: close\r\n\r\n`
        await send(await open(), sample, ordinary)
      }
    }
    await Promise.all(Array.from({ length: atOnce }, work))

    const connections = seen[side]
    const readings = connections.map(({ bytes }) => readRequests(bytes))
    const requests = readings.flatMap((each) => each.requests)
    // The two readers agree on what came whole, and on what was only begun.
    expect(connections.flatMap(({ errors }) => errors)).toEqual([])
    for (const [at, { heads, bodies }] of connections.entries()) {
      const reading = readings[at]
      const whole = reading?.requests ?? []
      expect(heads).toEqual([...whole.map(lineOf), ...(reading?.begun === undefined ? [] : [reading.begun])])
      expect(bodies).toEqual(whole.map(({ body }) => body))
    }
    // Each was for this place, and had the credential of its rule, once.
    for (const { fields } of requests) {
      expect(fields.filter(([name]) => name === 'host')).toEqual([['host', authority]])
      const credentials = side === 'tls' ? [['authorization', `Bearer ${canary}`]] : []
      expect(fields.filter(([name]) => name === 'authorization')).toEqual(credentials)
    }
    // Each was recorded as allowed, as often as it came; what was allowed and did not come, was not answered either.
    const came = connections
      .flatMap(({ heads }) => heads)
      .map(withoutQuery)
      .sort()
    const recorded = await vi.waitFor(async () => {
      const records = (await gate.records(0)).filter(({ destination }) => destination?.host === host)
      const allowed = records.filter(({ decision }) => decision?.verdict === 'allow')
      const there = new Set(came)
      expect(
        allowed
          .map(recordedLine)
          .filter((line) => there.has(line))
          .sort(),
      ).toEqual(came)
      const absent = allowed.filter((record) => !there.has(recordedLine(record)))
      expect(absent.filter(({ refusal }) => refusal === undefined)).toEqual([])
      return records
    }, 10_000)
    // In clear, a head that could not be read says nothing of where it was to go.
    const refused = (await gate.records(0)).slice(before).filter(({ refusal }) => refusal !== undefined).length
    process.stdout.write(
      `${all.length} samples: ${came.length} requests at the upstream and as many in the records, ${refused} refused, 0 read in two ways\n`,
    )
    expect(came.length).toBeGreaterThan(all.length / 4)
    expect(refused).toBeGreaterThan(all.length / 4)
    expect(recorded.map(({ refusal }) => refusal?.reason)).not.toContain('internal_error')
  })
})

const lineOf = ({ method, target }: { readonly method: string; readonly target: string }) => `${method} ${target}`
const withoutQuery = (line: string) => line.replace(/\?.*$/, '')
const recordedLine = ({ request }: AuditRecord) => `${request?.method} ${request?.path}`

/** Sends both, and goes when the connection has ended or nothing more is said. */
async function send(connection: WireClient, { bytes }: Sample, ordinary: string): Promise<void> {
  await using client = connection
  client.send(bytes + ordinary)
  for (;;) {
    const silence = Promise.withResolvers<undefined>()
    const timer = setTimeout(silence.resolve, 150, undefined)
    const came = await Promise.race([client.some(), silence.promise])
    clearTimeout(timer)
    if (came === undefined) return
  }
}
