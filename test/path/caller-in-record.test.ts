// What a record says of a caller that the kernel told of, and what becomes of a rule that demands more than that.
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { nativeCalls } from '../../proxy/identify/kernel/native.ts'
import { openGate, type TestGate } from '../support/gate.ts'
import { reasonOf } from '../support/through.ts'
import { type HttpsUpstream, httpsUpstream } from '../support/upstream.ts'
import { WireClient } from '../support/wire-client.ts'

const programId = 'spiffe://acme.example/program'
let upstream: HttpsUpstream
let gate: TestGate
let folder: string

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'postern-caller-'))
  upstream = await httpsUpstream(['api.example'], (_, response) => response.end('hello'))
  gate = await openGate(
    `listen:
  - name: local
    address: "unix://${join(folder, 'agents.sock')}"
    accept: http-proxy
    callers: [kernel]
    executables: { "${process.execPath}": ${programId} }
resolve: { api.example: [127.0.0.1] }
destinations:
  api: { hosts: [api.example], ports: [${upstream.port}], addresses: [127.0.0.0/8], ca: [ca.pem] }
rules:
  - { name: by-kernel, allow: { agents: [${programId}], to: api, paths: [/open] }, proof: [kernel] }
  - { name: by-svid, allow: { agents: [${programId}], to: api, paths: [/closed] }, proof: [x509-svid, kernel] }
`,
    { files: { 'ca.pem': upstream.ca } },
  )
})
afterAll(async () => {
  await gate[Symbol.asyncDispose]()
  await upstream.close()
  await rm(folder, { recursive: true, force: true })
})

async function ask(path: string) {
  await using client = await WireClient.open({ path: join(folder, 'agents.sock') })
  const authority = `api.example:${upstream.port}`
  const connected = await client.tunnel(authority)
  if (connected.status !== 200) throw new Error(connected.text)
  await client.secure({ ca: gate.gate.caPem, servername: 'api.example' })
  return await client.request([`GET ${path} HTTP/1.1`, `Host: ${authority}`])
}

describe.skipIf(process.platform !== 'linux' || nativeCalls() === undefined)(
  'a caller on a UNIX socket (Linux only: it takes SO_PEERCRED and /proc)',
  () => {
    it('is known by its program, and stands in the record with all that the kernel told', async () => {
      const answer = await ask('/open')
      expect([answer.status, answer.text]).toEqual([200, 'hello'])
      const record = await gate.record(answer.field('postern-request-id'))
      expect(record.caller).toMatchObject({
        spiffe_id: programId,
        trust_domain: 'acme.example',
        proofs: ['kernel'],
        uid: process.getuid?.(),
        pid: process.pid,
        executable: process.execPath,
      })
      // The kernel's word ends with the connection.
      expect(record.caller).not.toHaveProperty('expires')
    })

    it('is refused where a rule demands a proof that it did not give, and the record names it', async () => {
      const answer = await ask('/closed')
      expect([answer.status, reasonOf(answer)]).toEqual([403, 'no_rule'])
      // The agent is told nothing of the inside of the policy.
      expect(answer.text).not.toContain('x509-svid')
      const record = await gate.record(answer.field('postern-request-id'))
      expect(record.refusal?.detail).toContain(
        'nearest rule by-svid: proof: expected x509-svid and kernel, found kernel',
      )
    })
  },
)
