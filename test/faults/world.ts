// One proxy with two kinds of destinations: A, of which every part can be disturbed, and B, which shares nothing with it but the proxy.
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { ObservedProxy } from '../support/observed-proxy.ts'
import { type HttpsUpstream, httpsUpstream, httpUpstream, type Upstream } from '../support/upstream.ts'
import { ScriptedWorkloadApi } from '../support/workload-api.ts'
import type { Part, PartName } from './part.ts'
import { Clock } from './parts/clock.ts'
import { Disk } from './parts/disk.ts'
import { Dns, whyNoDns } from './parts/dns.ts'
import type { MisbehavingServer } from './parts/server.ts'
import { tokenServer } from './parts/token-server.ts'
import { upstream } from './parts/upstream.ts'
import { isCurrent, WorkloadApi } from './parts/workload-api.ts'

export const hostsOfA = Array.from({ length: 6 }, (_, at) => `api-${at}.a.test`)
const login = 'login.a.test'
export const hostOfB = 'api.b.test'
/** Seconds that a token for A lives. */
const tokenLife = 2

export interface World extends AsyncDisposable {
  readonly proxy: ObservedProxy
  readonly parts: ReadonlyMap<PartName, Part>
  readonly disk: Disk
  readonly ports: Readonly<Record<'a' | 'b' | 'openB', number>>
  /** PEM of what agents trust. */
  readonly ca: string
}

export async function makeWorld(): Promise<World> {
  const folder = await mkdtemp(join(tmpdir(), 'postern-faults-'))
  const [tokens, ofA] = [tokenServer(), upstream()]
  const loginServer = await governed(tokens, [login], (request, response) => {
    let form = ''
    request.setEncoding('utf8').on('data', (chunk) => {
      form += chunk
    })
    request.on('end', () => {
      const known = isCurrent(new URLSearchParams(form).get('client_assertion'))
      const token = { access_token: `canary-${Date.now()}-of-a`, token_type: 'Bearer', expires_in: tokenLife }
      response.writeHead(known ? 200 : 401, { 'Content-Type': 'application/json' })
      response.end(JSON.stringify(known ? token : { error: 'invalid_client' }))
    })
  })
  const serverOfA = await governed(ofA, ['*.a.test'], (_, response) => response.end('of A'))
  let asked = 0
  const serverOfB = await httpsUpstream([hostOfB], (_, response) => response.end('of B'))
  const openB = await httpUpstream((_, response) => {
    // New connections all the time, so that the name is resolved again and again.
    if (++asked % 3 === 0) response.setHeader('Connection', 'close')
    response.end('of B')
  })

  const workloads = new ScriptedWorkloadApi(join(folder, 'workload.sock'))
  const workloadApi = new WorkloadApi(workloads)
  await workloads.start()
  const dns = whyNoDns() === undefined ? await Dns.open() : undefined

  const ports = { a: serverOfA.port, b: serverOfB.port, openB: openB.port }
  await writeFile(join(folder, 'a.pem'), serverOfA.ca)
  await writeFile(join(folder, 'b.pem'), serverOfB.ca)
  await writeFile(join(folder, 'login.pem'), loginServer.ca)
  await writeFile(
    join(folder, 'postern.yaml'),
    configuration({ ...ports, login: loginServer.port }, workloads.path, dns === undefined),
  )
  if (dns !== undefined) await writeFile(join(folder, 'resolv.conf'), `nameserver ${dns.address}\noptions timeout:1\n`)
  const disk = new Disk(folder)
  const proxy = await ObservedProxy.start({
    folder,
    environment: { KEY_OF_B: 'canary-key-of-b' },
    preload: [new URL('./clock-shift.ts', import.meta.url)],
    through: dns === undefined ? [] : withResolvers(join(folder, 'resolv.conf')),
  })
  const parts: readonly Part[] = [tokens, ...(dns === undefined ? [] : [dns]), workloadApi, ofA, disk, new Clock(proxy)]
  return {
    proxy,
    parts: new Map(parts.map((part) => [part.name, part])),
    disk,
    ports,
    ca: join(folder, 'trust/trust/ca.pem'),
    async [Symbol.asyncDispose]() {
      await proxy.stop()
      await workloads.stop()
      dns?.close()
      await Promise.all([loginServer, serverOfA, serverOfB, openB].map((each: Upstream) => each.close()))
      await rm(folder, { recursive: true, force: true })
    },
  }
}

/** A command line that runs what follows with another resolv.conf, which nobody else sees. */
const withResolvers = (file: string) => [
  'unshare',
  '--mount',
  '--propagation',
  'private',
  'sh',
  '-c',
  'mount --bind "$0" /etc/resolv.conf && exec "$@"',
  file,
]

async function governed(
  part: MisbehavingServer,
  names: readonly string[],
  well: Parameters<typeof httpsUpstream>[1],
): Promise<HttpsUpstream> {
  const server = await httpsUpstream(names, (request, response) =>
    part.answer(request, response, () => void well(request, response)),
  )
  part.govern(server.server)
  return server
}

/** @param fixed whether the names stand in it, where there is no name server */
function configuration(
  ports: Readonly<Record<'a' | 'b' | 'openB' | 'login', number>>,
  workloads: string,
  fixed: boolean,
): string {
  const names = [...hostsOfA, login, hostOfB, 'open.b.test']
  return `version: 1
trustDomain: acme.example
records: { to: ./records.jsonl }
identity: { source: workload-api, socket: "unix://${workloads}" }
trust: { directory: ./trust }
admin: { metrics: 127.0.0.1:0 }
listen:
  - { name: one, address: "127.0.0.1:0", accept: http-proxy, callers: [kernel], agent: spiffe://acme.example/one }
  - { name: two, address: "127.0.0.1:0", accept: http-proxy, callers: [kernel], agent: spiffe://acme.example/two }
  - { name: both, address: "127.0.0.1:0", accept: http-proxy, callers: [kernel], agent: spiffe://acme.example/both }
${fixed ? `resolve: { ${names.map((name) => `${name}: [127.0.0.1]`).join(', ')} }\n` : ''}destinations:
  a: { hosts: ["*.a.test"], ports: [${ports.a}], addresses: [127.0.0.0/8], ca: [a.pem], clientCertificate: svid, timeouts: { connect: 1s, headers: 1s, idle: 2s } }
  b: { hosts: [${hostOfB}], ports: [${ports.b}], addresses: [127.0.0.0/8], ca: [b.pem] }
  open-b: { hosts: [open.b.test], protocol: http, ports: [${ports.openB}], addresses: [127.0.0.0/8] }
credentials:
  token-of-a:
    kind: oauth2-client-credentials
    tokenEndpoint: https://${login}:${ports.login}/token
    ca: [login.pem]
    addresses: [127.0.0.0/8]
    client: { auth: jwt-spiffe }
    scopes: [read]
    timeout: 1s
    for: [a]
  key-of-b: { kind: env, variable: KEY_OF_B, for: [b] }
rules:
  - { name: a, allow: { agents: [spiffe://acme.example/one, spiffe://acme.example/both], to: a }, use: token-of-a }
  - { name: b, allow: { agents: [spiffe://acme.example/two, spiffe://acme.example/both], to: b }, use: key-of-b }
  - { name: open-b, allow: { agents: [spiffe://acme.example/two], to: open-b } }
`
}
