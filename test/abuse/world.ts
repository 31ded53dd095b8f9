// What stands around the proxy while it is abused: an API, a Workload API for the callers with certificates, and its configuration.
import { createSocket } from 'node:dgram'
import { once } from 'node:events'
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import type { RequestListener } from 'node:http'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { certificatePem } from '../../certs/pem.ts'
import { freePort } from '../support/free-port.ts'
import { agentsListener } from '../support/gate.ts'
import { ObservedProxy } from '../support/observed-proxy.ts'
import { keyPem, makeSvid } from '../support/pki.ts'
import { httpUpstream } from '../support/upstream.ts'
import { acme, ScriptedWorkloadApi, x509Message } from '../support/workload-api.ts'

export const victimId = 'spiffe://acme.example/victim'

export interface World extends AsyncDisposable {
  readonly proxy: ObservedProxy
  /** Of the victim. */
  readonly upstream: number
  /** Where an attacker listens, as the upstream of its own; what it asks of that is not to slow that of others. */
  readonly attackers: number
  readonly dns: number
  /** What the victim shows on the listener `mesh`. */
  readonly svid: { readonly cert: string; readonly key: string }
}

export async function makeWorld(): Promise<World> {
  const folder = await mkdtemp(join(tmpdir(), 'postern-abuse-'))
  const upstream = await httpUpstream(answer)
  const workloads = new ScriptedWorkloadApi(join(folder, 'workload.sock'))
  workloads.x509 = (stream) => stream.write(x509Message())
  await workloads.start()
  await mkdir(join(folder, 'admin'), { mode: 0o700 })
  const dns = await freeUdpPort()
  const attackers = await freePort()
  await writeFile(
    join(folder, 'postern.yaml'),
    `version: 1
trustDomain: acme.example
records: { to: ./records.jsonl }
identity: { source: workload-api, socket: "unix://${workloads.path}" }
admin: { socket: ./admin/postern.sock, metrics: 127.0.0.1:0 }
dns: { listen: ["127.0.0.1:${dns}"] }
${agentsListener}  - { name: mesh, address: "127.0.0.1:0", accept: https-proxy, callers: [x509-svid] }
resolve: { localhost: [127.0.0.1], known.example: [127.0.0.1] }
destinations:
  api: { hosts: [localhost], protocol: http, ports: [${upstream.port}, ${attackers}], addresses: [127.0.0.0/8] }
  known: { hosts: [known.example], addresses: [127.0.0.0/8] }
  wide: { hosts: ["*.wide.example"] }
rules:
  - { name: all, allow: { agents: ["spiffe://acme.example/*"], to: [api, known, wide] } }
`,
  )
  const { chain, key } = makeSvid(acme, victimId)
  const proxy = await ObservedProxy.start({
    folder,
    environment: {},
    preload: [new URL('../soak/heap-probe.ts', import.meta.url)],
  })
  return {
    proxy,
    upstream: upstream.port,
    attackers,
    dns,
    svid: { cert: chain.map(certificatePem).join(''), key: keyPem(key) },
    async [Symbol.asyncDispose]() {
      await proxy.stop()
      await workloads.stop()
      await upstream.close()
      await rm(folder, { recursive: true, force: true })
    },
  }
}

const answer: RequestListener = (request, response) => {
  request.resume()
  response.end('as asked')
}

async function freeUdpPort(): Promise<number> {
  const socket = createSocket('udp4').bind(0, '127.0.0.1')
  await once(socket, 'listening')
  const { port } = socket.address()
  socket.close()
  return port
}
