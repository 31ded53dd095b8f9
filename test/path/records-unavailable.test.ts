// A full disk for the records: what carries a credential is refused, denying goes on, health tells, and what was missed is told when it is over.
import { once } from 'node:events'
import { existsSync } from 'node:fs'
import { mkdtemp, rm, symlink } from 'node:fs/promises'
import { request } from 'node:http'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { agentId, agentsListener, openGate, type TestGate } from '../support/gate.ts'
import { recordsIn } from '../support/records.ts'
import { reasonOf } from '../support/through.ts'
import { httpUpstream, type Upstream } from '../support/upstream.ts'
import { WireClient } from '../support/wire-client.ts'

const left = existsSync('/dev/full') ? '' : ' (left out: there is no /dev/full here)'

let folder: string
let file: string
let upstream: Upstream
let gate: TestGate
let seen: (string | undefined)[] = []

beforeEach(async () => {
  seen = []
  folder = await mkdtemp(join(tmpdir(), 'postern-full-'))
  file = join(folder, 'records.jsonl')
  // A disk on which nothing can be written.
  await symlink('/dev/full', file)
  upstream = await httpUpstream((message, response) => {
    seen.push(message.url)
    response.end('hello')
  })
})
afterEach(async () => {
  await gate[Symbol.asyncDispose]()
  await upstream.close()
  await rm(folder, { recursive: true, force: true })
})

async function open(records: string): Promise<void> {
  gate = await openGate(
    `${agentsListener}records: { to: ${file}${records} }
admin: { metrics: 127.0.0.1:0 }
resolve: { localhost: [127.0.0.1] }
destinations:
  api: { hosts: [localhost], protocol: http, ports: [${upstream.port}], addresses: [127.0.0.0/8] }
credentials:
  key: { kind: env, variable: API_KEY, for: [api] }
rules:
  - { name: with-key, allow: { agents: [${agentId}], to: api, paths: [/with] }, use: key }
  - { name: without-key, allow: { agents: [${agentId}], to: api, paths: [/without] } }
`,
    { environment: { API_KEY: 'canary-72e0d3b8ac41' } },
  )
}

async function get(path: string) {
  await using client = await WireClient.open({ host: '127.0.0.1', port: gate.port() })
  const authority = `localhost:${upstream.port}`
  return await client.request([`GET http://${authority}${path} HTTP/1.1`, `Host: ${authority}`])
}

async function health(path: string): Promise<{ readonly status: number; readonly body: string }> {
  const asked = request({ host: '127.0.0.1', port: gate.gate.metricsPort, path }).end()
  const [answer] = await once(asked, 'response')
  return { status: answer.statusCode, body: await text(answer) }
}

/** Waits until the trouble was noticed, which takes a first write. */
const noticed = () => vi.waitFor(async () => expect((await health('/readyz')).status).toBe(503), 5_000)

describe.skipIf(left !== '')(`while records cannot be written${left}`, () => {
  it('requests that carry a credential are refused, others pass, denials are told, and health says so', async () => {
    await open('')
    expect((await health('/readyz')).status).toBe(200)
    expect(reasonOf(await get('/denied'))).toBe('no_rule')
    await noticed()

    const refused = await get('/with')
    expect(refused.status).toBe(503)
    expect(reasonOf(refused)).toBe('records_unavailable')
    expect(Number(refused.field('retry-after'))).toBeGreaterThanOrEqual(1)
    expect(reasonOf(await get('/denied'))).toBe('no_rule')
    expect((await get('/without')).text).toBe('hello')
    expect(seen).toEqual(['/without'])

    expect((await health('/livez')).status).toBe(200)
    expect((await health('/readyz')).body).toContain('"records"')
    const metrics = (await health('/metrics')).body
    expect(metrics).toMatch(/^postern_records_healthy 0$/m)
    expect(metrics).toMatch(/reason="records_unavailable"} 1$/m)
    expect(gate.log()).toContain('ENOSPC')
  })

  it('the very first of them is refused where an intent must be written before', async () => {
    await open(', durability: intent')
    const refused = await get('/with')
    expect(reasonOf(refused)).toBe('records_unavailable')
    expect(seen).toEqual([])
  })

  it('everything goes on where the configuration says drop', async () => {
    await open(', whenFull: drop')
    expect(reasonOf(await get('/denied'))).toBe('no_rule')
    await vi.waitFor(async () => expect((await health('/metrics')).body).toMatch(/^postern_records_healthy 0$/m), 5_000)
    expect((await get('/with')).text).toBe('hello')
  })

  it('what waited is written when there is room again, and all is as before', async () => {
    await open('')
    const denied = await get('/denied')
    await noticed()
    const refused = await get('/with')
    // Room again.
    await rm(file)
    await vi.waitFor(async () => expect((await get('/with')).status).toBe(200), { timeout: 10_000, interval: 200 })
    expect((await health('/readyz')).status).toBe(200)
    expect((await health('/metrics')).body).toMatch(/^postern_records_healthy 1$/m)
    await vi.waitFor(async () => {
      const ids = (await recordsIn(file)).map(({ id }) => id)
      expect(ids).toContain(denied.field('postern-request-id'))
      expect(ids).toContain(refused.field('postern-request-id'))
    }, 5_000)
  })
})
