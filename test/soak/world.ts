// What stands around the proxy in the long run: an API over TLS and in clear, a token server, a Workload API whose identities change, and its configuration.
import { createHash } from 'node:crypto'
import { mkdir, mkdtemp, rename, rm, writeFile } from 'node:fs/promises'
import type { IncomingMessage, RequestListener, ServerResponse } from 'node:http'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Duplex } from 'node:stream'
import { gzipSync } from 'node:zlib'
import { certificatePem } from '../../certs/pem.ts'
import { jwtBundlesAnswer } from '../../certs/workload-api/proto.ts'
import { agentId, agentsListener } from '../support/gate.ts'
import { ObservedProxy } from '../support/observed-proxy.ts'
import { keyPem, makeSvid } from '../support/pki.ts'
import { httpsUpstream, httpUpstream } from '../support/upstream.ts'
import { acme, ScriptedWorkloadApi, svidMessage, x509Message } from '../support/workload-api.ts'

/** Hosts of the API, each of which needs a leaf of its own. */
export const hosts = Array.from({ length: 64 }, (_, at) => `api-${at}.example`)
/** Seconds that a token lives. */
const tokenLife = 4
/** Milliseconds between two identities of the proxy. */
const identityEvery = 5_000

const noKeys = Buffer.from('{"keys":[]}')
const large = gzipSync(JSON.stringify(Array.from({ length: 4_000 }, (_, id) => ({ id, name: `contact ${id}` }))))

export interface World extends AsyncDisposable {
  readonly proxy: ObservedProxy
  readonly ports: { readonly clear: number; readonly tls: number }
  /** PEM of what agents trust. */
  readonly ca: string
  readonly adminSocket: string
  /** What an agent shows on the listener that asks for it, another at each call. */
  showSvid(): { readonly cert: string; readonly key: string }
  /** Another configuration, and the records into a new file; the old one is gone. */
  change(number: number): Promise<void>
  /** Calls of the token server so far. */
  readonly tokenCalls: () => number
}

export async function makeWorld(): Promise<World> {
  const folder = await mkdtemp(join(tmpdir(), 'postern-soak-'))
  const tls = await httpsUpstream(hosts, answer)
  const clear = await httpUpstream(answer)
  for (const { server } of [tls, clear]) server.on('upgrade', upgrade)

  let tokens = 0
  const login = await httpsUpstream(['127.0.0.1'], (request, response) => {
    request.resume()
    if (request.url === '/revoke') return void response.end()
    tokens += 1
    const token = {
      access_token: `canary-token-${tokens}-of-the-long-run`,
      token_type: 'Bearer',
      expires_in: tokenLife,
    }
    response.setHeader('Content-Type', 'application/json').end(JSON.stringify(token))
  })

  const workloads = new ScriptedWorkloadApi(join(folder, 'workload.sock'))
  workloads.x509 = (stream) => stream.write(x509Message())
  workloads.jwtBundles = (stream) => stream.write(jwtBundlesAnswer(new Map([['spiffe://acme.example', noKeys]])))
  await workloads.start()
  const rotation = setInterval(() => workloads.send(x509Message([svidMessage()])), identityEvery)

  const file = join(folder, 'postern.yaml')
  const around = { login: login.port, clear: clear.port, tls: tls.port, workloads: workloads.path }
  await writeFile(join(folder, 'ca.pem'), tls.ca)
  await writeFile(join(folder, 'login.pem'), login.ca)
  await mkdir(join(folder, 'admin'), { mode: 0o700 })
  await writeFile(file, configuration(around, 0))
  const proxy = await ObservedProxy.start({
    folder,
    environment: { CLIENT_SECRET: 'canary-client-secret' },
    preload: [new URL('./heap-probe.ts', import.meta.url)],
  })
  return {
    proxy,
    ports: { clear: clear.port, tls: tls.port },
    ca: join(folder, 'trust/trust/ca.pem'),
    adminSocket: join(folder, 'admin/postern.sock'),
    showSvid() {
      const { chain, key } = makeSvid(acme, agentId)
      return { cert: chain.map(certificatePem).join(''), key: keyPem(key) }
    },
    async change(number) {
      const records = join(folder, 'records.jsonl')
      await rename(records, `${records}.old`)
      await writeFile(`${file}.next`, configuration(around, number))
      await rename(`${file}.next`, file)
      proxy.child.kill('SIGHUP')
      await rm(`${records}.old`)
    },
    tokenCalls: () => tokens,
    async [Symbol.asyncDispose]() {
      clearInterval(rotation)
      await proxy.stop()
      await workloads.stop()
      await Promise.all([tls.close(), clear.close(), login.close()])
      await rm(folder, { recursive: true, force: true })
    },
  }
}

/** @param number of the change: some of it is another each time */
function configuration(
  { login, clear, tls, workloads }: Readonly<Record<'login' | 'clear' | 'tls', number> & { workloads: string }>,
  number: number,
): string {
  const agents = `[${agentId}, "${agentId}/*"]`
  return `version: 1
trustDomain: acme.example
records: { to: ./records.jsonl }
identity: { source: workload-api, socket: "unix://${workloads}" }
trust: { directory: ./trust }
admin: { socket: ./admin/postern.sock, metrics: 127.0.0.1:0 }
${agentsListener}  - { name: mesh, address: "127.0.0.1:0", accept: https-proxy, callers: [x509-svid] }
resolve: { localhost: [127.0.0.1], ${hosts.map((host) => `${host}: [127.0.0.1]`).join(', ')} }
delegation:
  grants: [{ agents: [${agentId}], scopes: ["crm.*"] }]
destinations:
  clear: { hosts: [localhost], protocol: http, ports: [${clear}], addresses: [127.0.0.0/8] }
  tls: { hosts: [${hosts.join(', ')}], ports: [${tls}], addresses: [127.0.0.0/8], ca: [ca.pem], timeouts: { idle: ${120 + (number % 2)}s } }
credentials:
  token:
    kind: oauth2-client-credentials
    tokenEndpoint: https://127.0.0.1:${login}/token
    revocationEndpoint: https://127.0.0.1:${login}/revoke
    ca: [login.pem]
    addresses: [127.0.0.0/8]
    client: { id: postern, auth: client_secret_post, secret: "\${env:CLIENT_SECRET}" }
    scopes: [read]
    delegated: { read: crm.read }
    parameters: { change: "${number % 3}" }
    for: [clear, tls]
rules:
  - { name: nobody-deletes, deny: { methods: [DELETE] } }
  - { name: change-${number}, deny: { paths: [/change/${number}] } }
  - { name: with-token, allow: { agents: ${agents}, to: [clear, tls], paths: [/with/**] }, use: token }
  - { name: without, allow: { agents: ${agents}, to: [clear, tls], paths: [/without/**] } }
`
}

const answer: RequestListener = (request, response) => {
  const path = request.url ?? ''
  if (path.endsWith('/upload')) return void request.resume().on('end', () => response.end('taken'))
  request.resume()
  if (path.endsWith('/events')) return events(request, response)
  if (path.endsWith('/large')) {
    response.writeHead(200, { 'Content-Type': 'application/json', 'Content-Encoding': 'gzip' })
    return void response.end(large)
  }
  if (path.endsWith('/never')) return
  if (path.endsWith('/echo')) return void response.end(`you showed ${request.headers.authorization}`)
  response.end('as asked')
}

/** Until the other side has had enough. */
function events(request: IncomingMessage, response: ServerResponse): void {
  response.writeHead(200, { 'Content-Type': 'text/event-stream' })
  let number = 0
  const tell = () => response.write(`data: ${number++} ${request.headers.authorization ?? ''}\n\n`)
  tell()
  const timer = setInterval(tell, 200)
  response.on('close', () => clearInterval(timer))
}

/** A WebSocket that gives back the bytes that it gets. */
function upgrade(request: IncomingMessage, socket: Duplex): void {
  const accept = createHash('sha1').update(
    `${request.headers['sec-websocket-key']}258EAFA5-E914-47DA-95CA-C5AB0DC85B11`,
  )
  socket.on('error', () => {})
  socket.write(
    `HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: ${accept.digest('base64')}\r\n\r\n`,
  )
  // Unmasked, empty: enough that something passes in this direction.
  socket.on('data', () => socket.write(Buffer.from([0x8a, 0])))
}
