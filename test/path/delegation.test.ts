// On whose behalf: an agent asks the proxy itself for a delegation, hands part of it on, and each request is held to it.
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import type { IncomingMessage } from 'node:http'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { call as callDoor, delegated, doorUrl, reasonIn, reference } from '../support/agents-door.ts'
import { agentId, agentsListener, openGate, type TestGate } from '../support/gate.ts'
import { httpUpstream } from '../support/upstream.ts'
import { type WireAnswer, WireClient } from '../support/wire-client.ts'

let upstream: Awaited<ReturnType<typeof httpUpstream>>
let seen: IncomingMessage[] = []
let gate: TestGate

beforeAll(async () => {
  upstream = await httpUpstream((request, response) => {
    seen.push(request)
    response.end('contacts')
  })
})
afterAll(() => upstream.close())

beforeEach(async () => {
  seen = []
  gate = await openGate(`${agentsListener}resolve: { api.example: [127.0.0.1], helpers.example: [127.0.0.1] }
delegation:
  grants:
    - { agents: [${agentId}], scopes: ["crm.*"], constraints: [{ key: host, one_of: [api.example] }], maxDepth: 3 }
  handoffs:
    - { from: [${agentId}], to: ["spiffe://acme.example/helpers/*"] }
destinations:
  api: { hosts: [api.example], protocol: http, ports: [${upstream.port}], addresses: [127.0.0.0/8] }
  helpers: { hosts: [helpers.example], protocol: http, ports: [${upstream.port}], addresses: [127.0.0.0/8] }
rules:
  - name: bounded-alone
    allow: { agents: [${agentId}], to: api, paths: [/bounded] }
    when: '"path" in chain.constraints && chain.constraints.host == "one_of api.example"'
  - { name: helpers-alone, allow: { agents: ["spiffe://acme.example/helpers/*"], to: helpers } }
  - name: read-contacts
    allow: { agents: [${agentId}, "${agentId}/*", "spiffe://acme.example/helpers/*"], to: api, paths: [/contacts/**] }
    requires: [crm.contacts.read]
  - name: own-matters
    allow: { agents: [${agentId}], to: api, paths: [/own] }
`)
})
afterEach(() => gate[Symbol.asyncDispose]())

const client = () => WireClient.open({ host: '127.0.0.1', port: gate.port() })
const call = (url: string, fields: readonly string[] = [], method = 'GET', body?: string) =>
  callDoor(gate.port(), url, { method, fields, ...(body === undefined ? {} : { body }) })

const door = doorUrl
const api = (path: string) => `http://api.example:${upstream.port}${path}`
const ref = reference
const url = (handle: string) => `Proxy-Authorization: Basic ${Buffer.from(`delegation:${handle}`).toString('base64')}`

async function ask(wanted: object, fields: readonly string[] = []): Promise<WireAnswer> {
  return call(`${door}/delegations`, fields, 'POST', JSON.stringify(wanted))
}

const made = (wanted: object, fields: readonly string[] = []) => delegated(gate.port(), wanted, fields)

describe('the agent’s door', () => {
  it('says who somebody is, and by which right', async () => {
    const answer = await call(`${door}/whoami`)
    expect(answer.status).toBe(200)
    expect(JSON.parse(answer.text)).toMatchObject({
      caller: { id: agentId, proofs: ['kernel'] },
      principal: { kind: 'agent', id: agentId },
      chain: { depth: 0, hops: [] },
    })
  })

  it('is there by HTTPS too, with a certificate of our authority, and at no other port', async () => {
    await using inside = await client()
    expect((await inside.tunnel('postern.internal:443')).status).toBe(200)
    await inside.secure({ ca: gate.gate.caPem, servername: 'postern.internal' })
    const answer = await inside.request(['GET /v1/whoami HTTP/1.1', 'Host: postern.internal'], '')
    expect(JSON.parse(answer.text)).toMatchObject({ caller: { id: agentId } })
    await using elsewhere = await client()
    expect(reasonIn(await elsewhere.tunnel('postern.internal:8443'))).toBe('no_rule')
  })

  it('explains reasons, and says what it has not', async () => {
    expect(JSON.parse((await call(`${door}/reasons/no_rule`)).text)).toMatchObject({ reason: 'no_rule', status: 403 })
    expect((await call(`${door}/reasons/toString`)).status).toBe(404)
    expect((await call(`${door}/elsewhere`)).status).toBe(404)
    expect((await call(`${door}/whoami`, [], 'DELETE')).field('allow')).toBe('GET')
  })

  it.each([
    ['no JSON', '{', 'bad_request'],
    ['a member that stands twice', '{"scopes":["crm.a"],"scopes":["crm.b"]}', 'bad_request'],
    ['a key that is not known', '{"scopes":["crm.a"],"scope":"x"}', 'bad_request'],
    ['no scope', '{"scopes":[]}', 'bad_request'],
    ['a scope that is none', '{"scopes":["crm.*.x"]}', 'delegation_malformed'],
    ['a bound that is none', '{"scopes":["crm.a"],"constraints":[{"key":"host"}]}', 'delegation_malformed'],
    ['more than is granted', '{"scopes":["erp.read"]}', 'delegation_not_granted'],
    [
      'a wider bound than the grant',
      '{"scopes":["crm.a"],"constraints":[{"key":"host","one_of":["x.example"]}]}',
      'delegation_not_narrower',
    ],
    [
      'somebody to whom it may not hand on',
      '{"scopes":["crm.a"],"to":"spiffe://acme.example/other"}',
      'delegation_denied_by_rule',
    ],
    [
      'somebody of another trust domain',
      '{"scopes":["crm.a"],"to":"spiffe://b.example/agent"}',
      'delegation_denied_by_rule',
    ],
  ])('refuses a request with %s, and records it', async (_, body, reason) => {
    const answer = await call(`${door}/delegations`, [], 'POST', body)
    expect(reasonIn(answer)).toBe(reason)
    expect((await gate.record(answer.field('postern-request-id'))).refusal?.reason).toBe(reason)
  })

  it('is not there for callers who cannot be told', async () => {
    await using other = await openGate(`listen:
  - { name: agents, address: "127.0.0.1:0", accept: http-proxy, callers: [kernel], uids: { "4000000": ${agentId} } }
`)
    await using connection = await WireClient.open({ host: '127.0.0.1', port: other.port() })
    const answer = await connection.request([`GET ${door}/whoami HTTP/1.1`, 'Host: postern.internal'], '')
    expect(reasonIn(answer)).toBe('unidentified_caller')
  })
})

describe('a delegation', () => {
  it('lets its holder do what a rule requires, and the record says by which right', async () => {
    expect(reasonIn(await call(api('/contacts/7')))).toBe('no_rule')
    const { handle, jti, txn } = await made({ scopes: ['crm.contacts.read'] })
    const answer = await call(api('/contacts/7'), [ref(handle)])
    expect(answer.text).toBe('contacts')
    expect(seen.at(-1)?.rawHeaders.join()).not.toMatch(/delegation/i)
    const record = await gate.record(answer.field('postern-request-id'))
    expect(record).toMatchObject({ txn, chain: [{ id: agentId, jti, scopes: ['crm.contacts.read'] }] })
  })

  it('is handed on narrower, as a handle that fits a proxy URL', async () => {
    const planner = await made({ scopes: ['crm.*'] })
    const to = `${agentId}/researcher`
    const researcher = await made({ to, scopes: ['crm.contacts.read'] }, [ref(planner.handle)])
    expect(researcher).toMatchObject({ depth: 1, txn: planner.txn, scopes: ['crm.contacts.read'] })
    const who = JSON.parse((await call(`${door}/whoami`, [url(researcher.handle)])).text)
    expect(who).toMatchObject({ caller: { id: to }, chain: { depth: 1 } })
    expect((await call(api('/contacts/7'), [url(researcher.handle)])).status).toBe(200)
    const own = await call(api('/own'), [url(researcher.handle)])
    expect(reasonIn(own)).toBe('no_rule')
    const record = await gate.record(own.field('postern-request-id'))
    expect(record.caller).toMatchObject({ spiffe_id: to, attested: agentId, proofs: ['kernel', 'delegation'] })
    expect(record.chain?.map(({ id }) => id)).toEqual([agentId, to])
  })

  it('opens tunnels to where its holder may go, and the one who handed it on may not', async () => {
    const { handle } = await made({ to: 'spiffe://acme.example/helpers/a', scopes: ['crm.a'], constraints: [] })
    const authority = `helpers.example:${upstream.port}`
    await using own = await client()
    expect(reasonIn(await own.tunnel(authority))).toBe('no_rule')
    await using helper = await client()
    expect((await helper.tunnel(authority, url(handle))).status).toBe(200)
    const answer = await helper.request(['GET / HTTP/1.1', `Host: ${authority}`], '')
    expect(reasonIn(answer)).toBe('chain_ceiling_exceeded')
    await using stranger = await client()
    expect(reasonIn(await stranger.tunnel(authority, url('x'.repeat(43))))).toBe('delegation_unknown')
  })

  it('is never handed on wider, also not by asking for all', async () => {
    const narrow = await made({ scopes: ['crm.contacts.read'] })
    const wider = { to: `${agentId}/x`, scopes: ['crm.contacts.write'] }
    expect(reasonIn(await ask(wider, [ref(narrow.handle)]))).toBe('delegation_not_narrower')
    const both = { to: `${agentId}/x`, scopes: ['crm.contacts.read', 'crm.contacts.write'], narrow: true }
    expect((await made(both, [ref(narrow.handle)])).scopes).toEqual(['crm.contacts.read'])
  })

  it('names the hop that lacks what a rule requires', async () => {
    const planner = await made({ scopes: ['crm.contacts.list'] })
    const answer = await call(api('/contacts/7'), [ref(planner.handle)])
    const record = await gate.record(answer.field('postern-request-id'))
    expect(record.refusal?.detail).toContain(`hop 1 (${agentId}) lacks crm.contacts.read`)
  })

  it('is held to its bounds', async () => {
    const bounds = [
      { key: 'path', prefix: '/contacts/acme' },
      { key: 'calls', max_lifetime: 2 },
    ]
    const { handle } = await made({ scopes: ['crm.contacts.read'], constraints: bounds })
    expect(reasonIn(await call(api('/contacts/acmeevil'), [ref(handle)]))).toBe('chain_ceiling_exceeded')
    expect((await call(api('/contacts/acme/1'), [ref(handle)])).status).toBe(200)
    expect((await call(api('/contacts/acme/2'), [ref(handle)])).status).toBe(200)
    expect(reasonIn(await call(api('/contacts/acme/3'), [ref(handle)]))).toBe('chain_ceiling_exceeded')
  })

  it('shows its bounds to rules, which may ask for some', async () => {
    const bounded = await made({ scopes: ['crm.a'], constraints: [{ key: 'path', prefix: '/bounded' }] })
    expect((await call(api('/bounded'), [ref(bounded.handle)])).status).toBe(200)
    const { handle } = await made({ scopes: ['crm.a'] })
    expect(reasonIn(await call(api('/bounded'), [ref(handle)]))).toBe('no_rule')
  })

  it('is one alone: two on a request are refused, and one that is not known', async () => {
    const [one, other] = [await made({ scopes: ['crm.a'] }), await made({ scopes: ['crm.b'] })]
    expect(reasonIn(await call(api('/contacts/7'), [ref(one.handle), url(other.handle)]))).toBe('chain_malformed')
    expect(reasonIn(await call(api('/contacts/7'), [ref(one.handle), ref(one.handle)]))).toBe('chain_malformed')
    expect(reasonIn(await call(api('/contacts/7'), [ref('x'.repeat(43))]))).toBe('delegation_unknown')
  })

  it('may be shown whole by who is its holder, and by nobody else', async () => {
    const root = await made({ scopes: ['crm.contacts.read'] })
    expect((await call(api('/contacts/7'), [`Delegation-Chain: ${root.chain}`])).status).toBe(200)
    const child = await made({ to: 'spiffe://acme.example/helpers/a', scopes: ['crm.contacts.read'] }, [
      ref(root.handle),
    ])
    const answer = await call(api('/contacts/7'), [`Delegation-Chain: ${child.chain}`])
    expect(reasonIn(answer)).toBe('chain_holder_binding_failed')
    const at = root.chain.length - 40
    const forged = `${root.chain.slice(0, at)}${root.chain[at] === 'A' ? 'B' : 'A'}${root.chain.slice(at + 1)}`
    expect(reasonIn(await call(api('/contacts/7'), [`Delegation-Chain: ${forged}`]))).toBe('chain_signature_invalid')
  })

  it('ends with all below it when it is given back', async () => {
    const root = await made({ scopes: ['crm.*'] })
    const child = await made({ to: `${agentId}/a`, scopes: ['crm.contacts.read'] }, [ref(root.handle)])
    const grandchild = await made({ to: `${agentId}/a/b`, scopes: ['crm.contacts.read'] }, [ref(child.handle)])
    const sibling = await made({ to: `${agentId}/c`, scopes: ['crm.contacts.read'] }, [ref(root.handle)])
    expect((await call(`${door}/delegations/${child.jti}`, [ref(sibling.handle)], 'DELETE')).status).toBe(403)
    expect((await call(`${door}/delegations/${child.jti}`, [ref(root.handle)], 'DELETE')).status).toBe(204)
    for (const { handle } of [child, grandchild])
      expect(reasonIn(await call(api('/contacts/7'), [ref(handle)]))).toBe('chain_revoked')
    const refused = await call(api('/contacts/7'), [ref(grandchild.handle)])
    expect(await gate.record(refused.field('postern-request-id'))).toMatchObject({
      caller: { spiffe_id: `${agentId}/a/b`, attested: agentId },
      txn: root.txn,
      chain: [{ jti: root.jti }, { jti: child.jti }, { jti: grandchild.jti }],
    })
    for (const { handle } of [root, sibling]) expect((await call(api('/contacts/7'), [ref(handle)])).status).toBe(200)
    const events = (await gate.records(1))
      .filter(({ kind }) => kind === 'delegation')
      .map((each) => each.delegation?.event)
    expect(events).toEqual([...Array(4).fill('delegation.created'), 'delegation.revoked'])
  })

  it('is refused in the hands of another process', async () => {
    const asking = `
      const { request } = require('node:http')
      const body = JSON.stringify({ scopes: ['crm.contacts.read'] })
      request({ port: ${gate.port()}, method: 'POST', path: '${door}/delegations',
        headers: { host: 'postern.internal', 'content-type': 'application/json', 'content-length': body.length } },
        (answer) => { answer.pipe(process.stdout); answer.on('end', () => process.stdin.resume()) }).end(body)`
    const other = spawn(process.execPath, ['-e', asking], { stdio: ['pipe', 'pipe', 'inherit'] })
    const [told] = await once(other.stdout, 'data')
    const { handle } = JSON.parse(String(told))
    expect(reasonIn(await call(api('/contacts/7'), [ref(handle)]))).toBe('chain_holder_binding_failed')
    other.stdin.end()
    await once(other, 'exit')
  })
})

describe('many tasks of one process at once', () => {
  it('are never mixed, on connections that they share', async () => {
    const tasks = await Promise.all(
      Array.from({ length: 50 }, (_, number) =>
        made({ to: `${agentId}/task-${number}`, scopes: ['crm.contacts.read'] }),
      ),
    )
    const connections = await Promise.all(Array.from({ length: 5 }, client))
    await Promise.all(
      connections.map(async (connection, lane) => {
        for (let round = 0; round < 40; round++) {
          const number = (round * 5 + lane) % tasks.length
          const answer = await connection.request(
            [`GET ${door}/whoami HTTP/1.1`, 'Host: postern.internal', ref(tasks[number]?.handle ?? '')],
            '',
          )
          expect(JSON.parse(answer.text)).toMatchObject({
            caller: { id: `${agentId}/task-${number}` },
            chain: { txn: tasks[number]?.txn },
          })
        }
      }),
    )
    await Promise.all(connections.map((each) => each[Symbol.asyncDispose]()))
  })
})
