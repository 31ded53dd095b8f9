// A proxy whose identity comes from a Workload API: not ready without, rotated under load, taken back at once.
import { once } from 'node:events'
import { realpathSync } from 'node:fs'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { connect } from 'node:tls'
import { expect, onTestFinished, test, vi } from 'vitest'
import { certificatePem } from '../../certs/pem.ts'
import type { X509Svid } from '../../certs/source.ts'
import { parseSpiffeId, parseTrustDomain } from '../../certs/spiffe-id.ts'
import { WorkloadApiSource } from '../../certs/workload-api/source.ts'
import { nativeCalls } from '../../proxy/identify/kernel/native.ts'
import { openGate, type TestGate } from '../support/gate.ts'
import {
  failure,
  type ScriptedWorkloadApi,
  scriptedWorkloadApi,
  svidMessage,
  x509Message,
} from '../support/workload-api.ts'

const trustDomain = parseTrustDomain('acme.example')
const agent = parseSpiffeId('spiffe://acme.example/agent')

const listener = `listen:
  - { name: mesh, address: "127.0.0.1:0", accept: https-proxy, callers: [x509-svid] }
admin: { metrics: "127.0.0.1:0" }
`

/** A request of an agent; the proxy has no rules, and says so to whoever it knows. */
async function ask(port: number, svid?: X509Svid): Promise<{ presented: Buffer; reason: string }> {
  const socket = connect({
    host: '127.0.0.1',
    port,
    minVersion: 'TLSv1.3',
    // Which certificate is shown is what the tests are about.
    rejectUnauthorized: false,
    ...(svid && {
      cert: svid.chain.map(certificatePem).join(''),
      key: svid.key.export({ type: 'pkcs8', format: 'pem' }),
    }),
  })
  try {
    await once(socket, 'secureConnect')
    const presented = socket.getPeerCertificate().raw
    socket.write('GET http://api.example/ HTTP/1.1\r\nhost: api.example\r\nconnection: close\r\n\r\n')
    let text = ''
    for await (const chunk of socket) text += chunk
    return { presented, reason: /"reason":"(\w+)"/.exec(text)?.[1] ?? text }
  } finally {
    socket.destroy()
  }
}

async function readiness({ gate }: TestGate): Promise<{ status: number; why: string | undefined }> {
  const response = await fetch(`http://127.0.0.1:${gate.metricsPort}/readyz`)
  const { reasons } = (await response.json()) as { reasons: { check: string; why: string }[] }
  return { status: response.status, why: reasons.find(({ check }) => check === 'identity')?.why }
}

async function gateOn(api: Pick<ScriptedWorkloadApi, 'path'>): Promise<TestGate> {
  const opened = await openGate(`identity: { source: workload-api, socket: "unix://${api.path}" }\n${listener}`)
  onTestFinished(() => opened[Symbol.asyncDispose]())
  return opened
}

test('PermissionDenied: not ready, no handshake shows the old identity; given again, all is well', async () => {
  const api = await scriptedWorkloadApi()
  api.x509 = (stream) => stream.write(x509Message())
  const gate = await gateOn(api)
  expect(await readiness(gate)).toEqual({ status: 200, why: undefined })
  expect((await ask(gate.port('mesh'))).reason).toBe('svid_missing')

  api.x509 = (stream) => stream.emit('error', failure(7, 'no identity issued'))
  api.fail(7, 'no identity issued')
  await vi.waitFor(async () =>
    expect(await readiness(gate)).toEqual({ status: 503, why: expect.stringContaining('permission denied') }),
  )
  await expect(ask(gate.port('mesh'))).rejects.toThrow(/handshake failure/)

  const next = svidMessage()
  api.x509 = (stream) => stream.write(x509Message([next]))
  await vi.waitFor(async () => expect((await readiness(gate)).status).toBe(200), 5_000)
  expect((await ask(gate.port('mesh'))).presented).toEqual(next.certificates)
})

test('without an answer it starts and is not ready; the first SVID makes it so', async () => {
  const api = await scriptedWorkloadApi()
  const gate = await gateOn(api)
  expect(await readiness(gate)).toEqual({ status: 503, why: 'the Workload API has not answered yet' })
  await expect(ask(gate.port('mesh'))).rejects.toThrow(/handshake failure/)
  await vi.waitFor(() => expect(api.opened.x509).toBe(1))
  api.send(x509Message())
  await vi.waitFor(async () => expect((await readiness(gate)).status).toBe(200))
  expect((await ask(gate.port('mesh'))).reason).toBe('svid_missing')
})

test('a socket that only the environment names', async () => {
  const api = await scriptedWorkloadApi()
  api.x509 = (stream) => stream.write(x509Message())
  const environment = { SPIFFE_ENDPOINT_SOCKET: `unix://${api.path}` }
  const gate = await openGate(`identity: { source: workload-api }\n${listener}`, { environment })
  onTestFinished(() => gate[Symbol.asyncDispose]())
  expect((await readiness(gate)).status).toBe(200)
  await expect(openGate(`identity: { source: workload-api }\n${listener}`)).rejects.toThrow(
    'neither socket nor SPIFFE_ENDPOINT_SOCKET',
  )
})

test.for<readonly [string, string]>([
  ['user', `uids: { "${process.getuid?.() ?? 0}": ${agent} }`],
  ['program', `workloads: [{ id: "${agent}", executable: "${realpathSync(process.execPath)}" }]`],
])(
  'an agent gets its identity from the embedded authority by its %s, which the kernel tells, and is known by it',
  async ([, registered], { skip }) => {
    if (nativeCalls() === undefined) skip('the kernel does not say who a peer is (SO_PEERCRED)')
    const folder = await mkdtemp(join(tmpdir(), 'postern-embedded-'))
    onTestFinished(() => rm(folder, { recursive: true }))
    const path = join(folder, 'api.sock')
    const gate = await openGate(`identity: { source: embedded, socket: "unix://${path}", ${registered} }\n${listener}`)
    onTestFinished(() => gate[Symbol.asyncDispose]())
    const address = { kind: 'unix', path } as const
    const mine = await WorkloadApiSource.open({ address, trustDomain, now: Date.now, onProblem: () => {} })
    onTestFinished(() => mine.close())
    expect(mine.svid().id).toBe(agent)
    expect((await ask(gate.port('mesh'), mine.svid())).reason).toBe('no_rule')
  },
)
