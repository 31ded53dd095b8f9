// What happened, as `postern logs` and `postern why` tell it from the records of a real proxy.
import { once } from 'node:events'
import { createInterface } from 'node:readline'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { agentId, agentsListener } from '../support/gate.ts'
import { type Postern, type Workplace, workplace } from '../support/postern.ts'
import { httpUpstream, type Upstream } from '../support/upstream.ts'
import { WireClient } from '../support/wire-client.ts'

const canary = 'canary-e5a1d79c2f06'
let upstream: Upstream
let place: Workplace
let proxy: Postern
const ids: Record<string, string> = {}

beforeAll(async () => {
  upstream = await httpUpstream((message, response) => {
    if (message.url === '/v1/echo') response.end(`you sent ${message.headers.authorization}`)
    else response.end('contacts')
  })
  place = await workplace({
    'postern.yaml': `version: 1
trustDomain: acme.example
records: { to: ./records.jsonl }
${agentsListener}resolve: { localhost: [127.0.0.1] }
destinations:
  crm: { hosts: [localhost], protocol: http, ports: [${upstream.port}], addresses: [127.0.0.0/8] }
  gone: { hosts: [127.0.0.1], protocol: http, ports: [1], addresses: [127.0.0.0/8] }
credentials:
  crm-key: { kind: env, variable: CRM_KEY, for: [crm] }
rules:
  - { name: nobody-deletes, deny: { methods: [DELETE] } }
  - { name: agent-reads, allow: { agents: [${agentId}], to: crm, methods: [GET], paths: [/v1/**] }, use: crm-key }
  - { name: agent-knocks, allow: { agents: [${agentId}], to: gone } }
`,
  })
  proxy = place.start(['run', '-c', 'postern.yaml'], { CRM_KEY: canary })
  const port = await proxy.port()
  const ask = async (name: string, method: string, authority: string, path: string, ...fields: string[]) => {
    await using client = await WireClient.open({ host: '127.0.0.1', port })
    const answer = await client.request([
      `${method} http://${authority}${path} HTTP/1.1`,
      `Host: ${authority}`,
      ...fields,
    ])
    ids[name] = answer.field('postern-request-id') ?? ''
  }
  const crm = `localhost:${upstream.port}`
  await ask('allowed', 'GET', crm, '/v1/contacts?q=ada')
  await ask('echoed', 'GET', crm, '/v1/echo', 'Authorization: Bearer of-the-agent')
  await ask('denied', 'DELETE', crm, '/v1/contacts/7')
  await ask('unknown', 'GET', crm, '/admin')
  await ask('failed', 'GET', '127.0.0.1:1', '/')
})
afterAll(async () => {
  await place[Symbol.asyncDispose]()
  await upstream.close()
})

async function postern(...args: string[]) {
  const run = place.start(args)
  return { code: await run.ended, out: run.out, errors: run.errors }
}

describe('postern logs', () => {
  it('shows a row for each, by the configuration alone', async () => {
    const { code, out } = await postern('logs')
    expect(code).toBe(0)
    const [head, ...rows] = out.trimEnd().split('\n')
    expect(head).toMatch(/TIME +ID +AGENT +REQUEST +ST +VERDICT/)
    expect(rows).toHaveLength(5)
    for (const [at, name] of ['allowed', 'echoed', 'denied', 'unknown', 'failed'].entries())
      expect(rows[at]).toContain(ids[name]?.slice(-8))
    expect(rows[0]).toMatch(/agent +GET localhost.* 200 +✓/)
    expect(rows[1]).toContain('secret_echoed')
    expect(rows[2]).toMatch(/403 +✗ denied_by_rule/)
    expect(rows[3]).toMatch(/403 +✗ no_rule/)
    expect(rows[4]).toMatch(/502 +! upstream_unreachable/)
    expect(out).not.toContain(canary)
  })

  it('filters, and gives the records themselves to programs', async () => {
    const refused = await postern('logs', '--outcome', 'refused', '--json')
    const records = refused.out
      .trimEnd()
      .split('\n')
      .map((line) => JSON.parse(line))
    expect(records.map(({ id }) => id)).toEqual([ids.denied, ids.unknown])
    const failed = await postern('logs', 'records.jsonl', '--reason', 'upstream_unreachable', '--json')
    expect(JSON.parse(failed.out).id).toBe(ids.failed)
  })

  it('follows what comes', async () => {
    const run = place.start(['logs', '-f', '-n', '1', '--json'])
    const lines = createInterface({ input: run.child.stdout })[Symbol.asyncIterator]()
    const { value: first } = await lines.next()
    expect(JSON.parse(first ?? '').id).toBe(ids.failed)
    await using client = await WireClient.open({ host: '127.0.0.1', port: await proxy.port() })
    const crm = `localhost:${upstream.port}`
    const answer = await client.request([`GET http://${crm}/v1/new HTTP/1.1`, `Host: ${crm}`])
    const { value: next } = await lines.next()
    expect(JSON.parse(next ?? '').id).toBe(answer.field('postern-request-id'))
    run.child.kill('SIGINT')
    await once(run.child, 'close')
  })
})

describe('postern why', () => {
  it.each([
    ['allowed', ['agent-reads allowed it', 'crm-key', 'spiffe://acme.example/agent', 'kernel']],
    ['echoed', ['the answer gave the credential back', 'header:authorization']],
    ['denied', ['denied_by_rule', 'nobody-deletes']],
    ['unknown', ['no_rule', '/admin']],
    ['failed', ['upstream_unreachable', '127.0.0.1']],
  ])('tells the story of one that was %s', async (name, told) => {
    const { code, out } = await postern('why', ids[name] ?? '')
    expect(code).toBe(0)
    const story = out.replace(/\s+/g, ' ')
    for (const each of told) expect(story).toContain(each)
    expect(out).not.toContain(canary)
    expect(out).not.toContain('of-the-agent')
  })
})
