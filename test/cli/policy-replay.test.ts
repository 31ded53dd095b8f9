// postern policy replay, on records that a proxy has written.
import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { gzipSync } from 'node:zlib'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { agentId, agentsListener, openGate } from '../support/gate.ts'
import { type Workplace, workplace } from '../support/postern.ts'
import { httpUpstream } from '../support/upstream.ts'
import { WireClient } from '../support/wire-client.ts'

let place: Workplace
let upstream: Awaited<ReturnType<typeof httpUpstream>>

const rules = {
  nobodyDeletes: '  - name: nobody-deletes\n    deny: { methods: [DELETE] }\n',
  reads: `  - name: reads\n    allow: { agents: [${agentId}], to: api, methods: [GET], paths: [/v1/**] }\n    limit: 4/day per agent\n`,
  writes: `  - name: writes\n    allow: { agents: [${agentId}], to: local, methods: [POST] }\n    use: token\n`,
  scoped: `  - name: scoped\n    allow: { agents: [${agentId}], to: api, methods: [PUT] }\n    requires: [crm.write]\n`,
}

const configuration = (...named: (keyof typeof rules | string)[]) => `destinations:
  api: { hosts: [api.example], protocol: http, ports: [${upstream.port}], addresses: [127.0.0.0/8] }
  local: { hosts: [127.0.0.1], protocol: http, ports: [${upstream.port}], addresses: [127.0.0.0/8] }
credentials:
  token: { kind: file, path: ./token, for: [local] }
  other: { kind: file, path: ./token, for: [local] }
resolve: { api.example: [127.0.0.1] }
delegation:
  grants: [{ agents: [${agentId}], scopes: ["crm.*"] }]
rules:
${named.map((name) => Object.entries(rules).find(([key]) => key === name)?.[1] ?? name).join('')}`

const usual = ['nobodyDeletes', 'reads', 'writes', 'scoped']

beforeAll(async () => {
  upstream = await httpUpstream((request, response) => {
    request.resume()
    response.end('done')
  })
  place = await workplace({ token: 'a-token-of-the-test' })
  await using gate = await openGate(`${agentsListener}${configuration(...usual).replaceAll('', '')}`, {
    files: { token: 'a-token-of-the-test' },
  })
  const port = gate.port()
  const send = async (method: string, url: string, ...fields: string[]) => {
    await using connection = await WireClient.open({ host: '127.0.0.1', port })
    const body = method === 'POST' && url.includes('internal') ? '{"scopes":["crm.write"]}' : ''
    const more = body === '' ? [] : ['Content-Type: application/json', `Content-Length: ${body.length}`]
    return await connection.request(
      [`${method} ${url} HTTP/1.1`, `Host: ${new URL(url).host}`, ...fields, ...more],
      body,
    )
  }
  const api = (path: string) => `http://api.example:${upstream.port}${path}`
  for (const path of ['/v1/a', '/v1/a', '/v1/b?page=2', '/v1/b']) await send('GET', api(path))
  await send('GET', api('/v1/once-too-often'))
  await send('GET', api('/elsewhere'))
  await send('DELETE', api('/v1/a'))
  await send('POST', `http://127.0.0.1:${upstream.port}/v1/a`)
  const { handle } = JSON.parse((await send('POST', 'http://postern.internal/v1/delegations')).text)
  await send('PUT', api('/v1/a'), `Delegation-Ref: ${handle}`)
  await send('PUT', api('/v1/a'))
  await send('GET', api('/v1/a'), 'Delegation-Ref: nobody')
  await gate.records(13)
  await writeFile(join(place.path, 'records.jsonl'), await readFile(join(gate.folder, 'records.jsonl')))
})
afterAll(async () => {
  await place[Symbol.asyncDispose]()
  await upstream.close()
})

async function replayed(candidate: string, ...argv: string[]) {
  await writeFile(
    join(place.path, 'candidate.yaml'),
    `version: 1\ntrustDomain: acme.example\nrecords: { to: ./records.jsonl }\n${candidate.replaceAll('', '')}`,
  )
  const run = place.start(['policy', 'replay', '-c', 'candidate.yaml', ...argv])
  run.child.stdin.end()
  return { code: await run.ended, out: run.out, errors: run.errors }
}

async function counts(candidate: string, ...argv: string[]) {
  const { code, out, errors } = await replayed(candidate, '--json', ...argv)
  expect(errors).toBe('')
  const { changes, ...report } = JSON.parse(out)
  return { code, changes, ...report }
}

const none = { denied: 0, allowed: 0, otherwise: 0, unknown: 0, unasked: 1, door: 1 }

describe('postern policy replay', () => {
  it('finds nothing under the policy that was in force; limits are not replayed', async () => {
    const { code, counts: found, changes } = await counts(configuration(...usual))
    expect(found).toEqual({ ...none, same: 10 })
    expect([code, changes]).toEqual([0, []])
  })

  it('says what would be denied, and by which rule; what would have no rule', async () => {
    const strict = '  - name: no-b\n    deny: { to: api, paths: [/v1/b] }\n'
    const { code, counts: found, changes } = await counts(configuration(strict, 'nobodyDeletes', 'reads', 'scoped'))
    expect(code).toBe(1)
    expect(found).toEqual({ ...none, same: 7, denied: 3 })
    expect(changes).toMatchObject([
      { effect: 'denied', method: 'GET', path: '/v1/b', was: 'reads', now: 'denied_by_rule no-b', count: 2 },
      { effect: 'denied', method: 'POST', was: 'writes with token', now: 'no_rule', count: 1 },
    ])
  })

  it('says what would be allowed, scopes of the chain looked at', async () => {
    const { counts: found, changes } = await counts(
      configuration(
        'reads',
        'writes',
        'scoped',
        rules.reads.replace('name: reads', 'name: deletes').replace('GET', 'DELETE'),
      ),
    )
    expect(found).toEqual({ ...none, same: 9, allowed: 1 })
    expect(changes).toMatchObject([{ effect: 'allowed', was: 'denied_by_rule nobody-deletes', now: 'deletes' }])
    const looser = await counts(
      configuration('nobodyDeletes', 'reads', 'writes', rules.scoped.replace(/ +requires.*\n/, '')),
    )
    expect(looser.counts).toEqual({ ...none, same: 9, allowed: 1 })
    expect(looser.changes).toMatchObject([{ method: 'PUT', was: 'no_rule', now: 'scoped' }])
  })

  it('says what would be allowed by another rule, or with another credential', async () => {
    const renamed = rules.reads.replace('name: reads', 'name: reads-more')
    const {
      counts: found,
      changes,
      code,
    } = await counts(
      configuration('nobodyDeletes', renamed, rules.writes.replace('use: token', 'use: other'), 'scoped'),
    )
    expect(code).toBe(1)
    // The one that was over its limit by a rule that there is no more is allowed by another.
    expect(found).toEqual({ ...none, same: 4, otherwise: 5, allowed: 1 })
    expect(changes.map(({ was, now }: { was: string; now: string }) => `${was} → ${now}`)).toContain(
      'writes with token → writes with other',
    )
  })

  it('counts apart what depends on a header or a query', async () => {
    const byQuery = rules.reads.replace('paths: [/v1/**]', 'paths: [/v1/**], query: { page: "2" }')
    const { code, counts: found, changes } = await counts(configuration('nobodyDeletes', byQuery, 'writes', 'scoped'))
    expect(found).toEqual({ ...none, same: 5, denied: 3, otherwise: 1, unknown: 1 })
    expect(changes.find(({ effect }: { effect: string }) => effect === 'unknown')).toMatchObject({
      path: '/v1/b',
      now: 'reads or no_rule',
      openAt: ['reads'],
    })
    expect(code).toBe(1)
    const odd = '  - name: odd\n    deny: { headers: { x-odd: "*" } }\n'
    const unknown = await counts(configuration(odd, ...usual))
    expect(unknown.code).toBe(0)
    expect(unknown.counts).toMatchObject({ denied: 0, allowed: 0 })
    expect(unknown.counts.unknown).toBeGreaterThan(5)
  })

  it('tells it to people, in short and one by one', async () => {
    const candidate = configuration('nobodyDeletes', 'reads', 'scoped')
    const { out, code } = await replayed(candidate)
    expect(code).toBe(1)
    expect(out).toMatch(
      /^Policy [0-9a-f]{12}, asked again about 10 requests, of \d{4}-.* UTC:\n\n {8}9 {2}the same\n {8}1 {2}would now be denied\n {12}1 {2}writes with token → no_rule\n/,
    )
    expect(out).toContain('1 more ended before the rules decided')
    expect(out).toContain('1 more asked the proxy itself')
    expect(out).toContain('Limits, budgets, stops and the bounds of delegations are not replayed.')
    const list = await replayed(candidate, '--list')
    expect(list.out).toContain(`1  POST 127.0.0.1:${upstream.port}/v1/a\n`)
    expect(list.out).toContain(`${agentId}: writes with token → no_rule  (`)
  })

  it('reads several files, packed ones and standard input, and says what is no record', async () => {
    const records = await readFile(join(place.path, 'records.jsonl'))
    await writeFile(join(place.path, 'records.jsonl.1.gz'), gzipSync(records))
    const twice = await counts(configuration(...usual), 'records.jsonl', 'records.jsonl.1.gz')
    expect(twice.counts).toEqual({ ...none, same: 20, unasked: 2, door: 2 })
    await writeFile(join(place.path, 'torn.jsonl'), Buffer.concat([records, Buffer.from('{"v":1,"ti')]))
    const torn = await replayed(configuration(...usual), '--json', 'torn.jsonl')
    expect(torn.errors).toBe('1 line is no record.\n')
    expect(JSON.parse(torn.out)).toMatchObject({ unreadable: 1, counts: { same: 10 } })
  })

  it('does not fall over what somebody made up', async () => {
    const lines = [
      { v: 1, id: 'a', time: 'never', kind: 'request' },
      {
        v: 1,
        id: 'b',
        time: '2026-01-01T00:00:00.000Z',
        kind: 'request',
        caller: { spiffe_id: 'nobody' },
        principal: 7,
        decision: {},
        request: { path: 7 },
        destination: { host: 'x', scheme: 'http', port: 80 },
      },
      {
        v: 1,
        id: 'c',
        time: '2026-01-01T00:00:00.000Z',
        kind: 'connection',
        refusal: { reason: 'no_rule' },
        caller: 'x',
        destination: 'y',
      },
    ]
    await writeFile(join(place.path, 'odd.jsonl'), lines.map((line) => `${JSON.stringify(line)}\n`).join(''))
    const odd = await counts(configuration(...usual), 'odd.jsonl')
    expect(odd.counts).toMatchObject({ same: 0, unasked: 3 })
  })

  it.each([
    ['a file that is missing', ['missing.jsonl'], 66],
    ['an option that there is not', ['--allow'], 64],
  ])('%s ends it with its code', async (_, argv, code) => {
    expect((await replayed(configuration(...usual), ...argv)).code).toBe(code)
  })

  it('a candidate that is broken ends it with 78', async () => {
    const { code, errors } = await replayed(configuration('  - name: x\n    alow: {}\n'))
    expect(code).toBe(78)
    expect(errors).toContain('candidate.yaml:')
  })
})
