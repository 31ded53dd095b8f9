// Identities that rotate each second, the proxy's and the agents', while requests go on: nothing fails, the newest is shown, memory is flat.
// POSTERN_ROTATION_SECONDS makes it longer: npm run test:rotation takes a minute.
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { TLSSocket } from 'node:tls'
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import { expect, onTestFinished, test, vi } from 'vitest'
import { EmbeddedAuthority } from '../../certs/embedded-authority.ts'
import { certificatePem } from '../../certs/pem.ts'
import { parseSpiffeId, parseTrustDomain } from '../../certs/spiffe-id.ts'
import { WorkloadApiServer } from '../../certs/workload-api/server.ts'
import { WorkloadService } from '../../certs/workload-api/service.ts'
import { WorkloadApiSource } from '../../certs/workload-api/source.ts'
import { parseCertificate } from '../../certs/x509/certificate.ts'
import { agentId, openGate } from '../support/gate.ts'
import { httpUpstream } from '../support/upstream.ts'
import { WireClient } from '../support/wire-client.ts'

const seconds = Number(process.env.POSTERN_ROTATION_SECONDS ?? 6)
const trustDomain = parseTrustDomain('acme.example')
const postern = parseSpiffeId('spiffe://acme.example/postern')
const agent = parseSpiffeId(agentId)
/** How long after us the proxy may learn of its new identity, in milliseconds. */
const lag = 300

setFlagsFromString('--expose-gc')
const collect: () => void = runInNewContext('gc')

/** An authority behind a socket for the proxy and one for the agents: all are one process here, which the kernel cannot tell apart. */
async function authority() {
  const folder = await mkdtemp(join(tmpdir(), 'postern-rotation-'))
  onTestFinished(() => rm(folder, { recursive: true }))
  const issuer = new EmbeddedAuthority({ trustDomain, now: Date.now })
  const service = new WorkloadService({ authority: issuer, now: Date.now })
  service.register([
    { id: postern, uid: 1 },
    { id: agent, uid: 2 },
  ])
  const serve = (uid: number) =>
    WorkloadApiServer.open({ service, path: join(folder, `${uid}.sock`), peerOf: () => ({ uid }) })
  const agents = await serve(2)
  onTestFinished(async () => {
    service.close()
    await agents.close()
  })
  const source = async (uid: number) => {
    const address = { kind: 'unix', path: join(folder, `${uid}.sock`) } as const
    const opened = await WorkloadApiSource.open({ address, trustDomain, now: Date.now, onProblem: () => {} })
    onTestFinished(() => opened.close())
    return opened
  }
  return { issuer, service, serve, source, socket: join(folder, '1.sock') }
}

const serialOf = (der: Uint8Array | undefined): string => (der === undefined ? '' : parseCertificate(der).serial)

test(`requests on kept and on fresh connections for ${seconds} s, then a new root and a restart of the Workload API`, {
  timeout: seconds * 1_000 + 60_000,
}, async () => {
  const { issuer, service, serve, source, socket } = await authority()
  let server = await serve(1)
  onTestFinished(() => server.close())
  const upstream = await httpUpstream((_, response) => response.end('as asked'))
  onTestFinished(() => upstream.close())
  const gate = await openGate(`identity: { source: workload-api, socket: "unix://${socket}" }
listen:
  - { name: mesh, address: "127.0.0.1:0", accept: https-proxy, callers: [x509-svid] }
destinations:
  here: { hosts: [127.0.0.1], protocol: http, ports: [${upstream.port}], addresses: [127.0.0.0/8] }
rules:
  - { name: all, allow: { agents: [${agent}], to: here } }
`)
  onTestFinished(() => gate[Symbol.asyncDispose]())
  const [observer, agents] = [await source(1), await source(2)]

  /** Serials of the proxy's SVIDs, and when each was given out, as we have learnt it. */
  const issued: { readonly serial: string; readonly at: number }[] = []
  const learn = () => {
    const serial = serialOf(observer.svid().chain[0])
    if (issued.at(-1)?.serial !== serial) issued.push({ serial, at: performance.now() })
  }
  learn()
  const watching = new AbortController()
  onTestFinished(() => watching.abort())
  void (async () => {
    for await (const _ of observer.updates(watching.signal)) learn()
  })()

  const connect = async () => {
    const { chain, key } = agents.svid()
    const client = await WireClient.open(
      { host: '127.0.0.1', port: gate.port('mesh') },
      {
        minVersion: 'TLSv1.3',
        // What the proxy shows is compared with what it was given.
        rejectUnauthorized: false,
        cert: chain.map(certificatePem).join(''),
        key: key.export({ type: 'pkcs8', format: 'pem' }),
      },
    )
    if (!(client.socket instanceof TLSSocket)) throw new Error('it is not TLS')
    return { client, shown: serialOf(client.socket.getPeerCertificate().raw) }
  }
  const url = `http://127.0.0.1:${upstream.port}/`
  const ask = async (client: WireClient) => {
    const answer = await client.request([`GET ${url} HTTP/1.1`, `Host: 127.0.0.1:${upstream.port}`])
    expect([answer.status, answer.text]).toEqual([200, 'as asked'])
  }

  const seen = new Set<string>()
  const freshConnections = async (until: number) => {
    let handshakes = 0
    for (; performance.now() < until; handshakes++) {
      const expected = issued.findLastIndex(({ at }) => at <= performance.now() - lag)
      const { client, shown } = await connect()
      await using _ = client
      // One that came in this moment may not be known here yet, and is then newer than all that are.
      const index = issued.findIndex(({ serial }) => serial === shown)
      expect(index === -1 ? issued.length : index).toBeGreaterThanOrEqual(expected)
      seen.add(shown)
      await ask(client)
    }
    return handshakes
  }
  const keptConnection = async (until: number) => {
    const { client } = await connect()
    await using _ = client
    let requests = 0
    for (; performance.now() < until; requests++) await ask(client)
    return requests
  }
  const load = async (milliseconds: number) => {
    const rotation = setInterval(() => service.renew(), 1_000)
    const until = performance.now() + milliseconds
    try {
      return await Promise.all([freshConnections(until), keptConnection(until), freshConnections(until)])
    } finally {
      clearInterval(rotation)
    }
  }
  const newest = () =>
    vi.waitFor(async () => {
      const { client, shown } = await connect()
      await using _ = client
      expect(shown).toBe(serialOf(observer.svid().chain[0]))
      await ask(client)
    }, 5_000)

  await load(2_000)
  collect()
  const before = process.memoryUsage().heapUsed
  seen.clear()
  const [one, requests, two] = await load(seconds * 1_000)
  expect(seen.size).toBeGreaterThanOrEqual(seconds - 1)
  await newest()
  collect()
  const grown = (process.memoryUsage().heapUsed - before) / 1e6
  console.log(
    `${one + two} handshakes, ${requests} requests on one connection, ${seen.size} SVIDs, ${grown.toFixed(1)} MB more`,
  )
  expect(grown).toBeLessThan(6)

  issuer.rotate()
  await newest()
  const kept = observer.svid()
  await server.close()
  const { client, shown } = await connect()
  await using _ = client
  expect(shown).toBe(serialOf(kept.chain[0]))
  await ask(client)
  server = await serve(1)
  service.renew()
  await vi.waitFor(() => expect(observer.svid()).not.toBe(kept), 5_000)
  await newest()
})
