// postern logs --chain, on records that a proxy has written of handoffs, requests, an open stream and stops.
import { readFileSync } from 'node:fs'
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import type { ServerResponse } from 'node:http'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { gzipSync } from 'node:zlib'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { askToStop } from '../../proxy/record/admin-client.ts'
import { drawChain } from '../../proxy/record/chain-text.ts'
import type { ChainTree } from '../../proxy/record/chain-tree.ts'
import { painted, plain } from '../../proxy/record/terminal-text.ts'
import { agentId, agentsListener, openGate, type TestGate } from '../support/gate.ts'
import { httpUpstream } from '../support/upstream.ts'
import { WireClient } from '../support/wire-client.ts'
import { run } from './running.ts'

/** Made anew with UPDATE_GOLDEN=1. */
const golden = new URL('./logs-chain.golden.txt', import.meta.url)
const researcher = `${agentId}/researcher`
const reader = `${researcher}/reader`

let upstream: Awaited<ReturnType<typeof httpUpstream>>
let gate: TestGate
let folder: string
let txn: string
let other: string

beforeAll(async () => {
  const streams: ServerResponse[] = []
  upstream = await httpUpstream((request, response) => {
    if (request.url !== '/contacts/acme/events') return response.end('contacts')
    response.writeHead(200, { 'content-type': 'text/event-stream' }).write('data: one\n\n')
    return streams.push(response)
  })
  folder = await mkdtemp(join(tmpdir(), 'postern-chain-'))
  const socket = join(folder, 'admin.sock')
  gate = await openGate(`${agentsListener}admin: { socket: ${socket} }
resolve: { api.example: [127.0.0.1] }
delegation:
  grants:
    - { agents: [${agentId}], scopes: ["crm.*", mail.send], constraints: [{ key: host, one_of: [api.example] }], maxDepth: 4 }
destinations:
  api: { hosts: [api.example], protocol: http, ports: [${upstream.port}], addresses: [127.0.0.0/8] }
rules:
  - name: read-contacts
    allow: { agents: [${agentId}, "${agentId}/*"], to: api, paths: [/contacts/**], methods: [GET] }
    requires: [crm.contacts.read]
`)
  ;[txn, other] = [await story(socket), await briefStory()]
  await writeFile(join(folder, 'records.jsonl'), await readFile(join(gate.folder, 'records.jsonl')))
})
afterAll(async () => {
  await gate[Symbol.asyncDispose]()
  await upstream.close()
  await rm(folder, { recursive: true, force: true })
})

async function call(method: string, url: string, handle: string | undefined, body = '') {
  await using connection = await WireClient.open({ host: '127.0.0.1', port: gate.port() })
  const length = body === '' ? [] : ['Content-Type: application/json', `Content-Length: ${Buffer.byteLength(body)}`]
  const presented = handle === undefined ? [] : [`Delegation-Ref: ${handle}`]
  return await connection.request(
    [`${method} ${url} HTTP/1.1`, `Host: ${new URL(url).host}`, ...presented, ...length],
    body,
  )
}

const api = (path: string) => `http://api.example:${upstream.port}${path}`

async function delegated(wanted: object, handle?: string): Promise<{ handle: string; jti: string; txn: string }> {
  const answer = await call('POST', 'http://postern.internal/v1/delegations', handle, JSON.stringify(wanted))
  return JSON.parse(answer.text)
}

async function story(socket: string): Promise<string> {
  const root = await delegated({ scopes: ['crm.*', 'mail.send'] })
  const bounds = [
    { key: 'path', prefix: '/contacts/acme' },
    { key: 'calls', max_subtree: 8 },
  ]
  const second = await delegated({ to: researcher, scopes: ['crm.contacts.read'], constraints: bounds }, root.handle)
  for (const path of ['/contacts/acme/7', '/contacts/acme/7', '/contacts/acme/8', '/contacts/other/1'])
    await call('GET', api(path), second.handle)
  await call('DELETE', api('/contacts/acme/7'), second.handle)
  await delegated({ to: `${researcher}/x`, scopes: ['crm.contacts.write'] }, second.handle)
  const third = await delegated({ to: reader, scopes: ['crm.contacts.read'], ttl: 120 }, second.handle)
  await using stream = await WireClient.open({ host: '127.0.0.1', port: gate.port() })
  const fields = [`GET ${api('/contacts/acme/events')} HTTP/1.1`, `Host: ${new URL(api('/')).host}`]
  stream.send([...fields, `Delegation-Ref: ${third.handle}`, '', ''].join('\r\n'))
  await stream.through('data: one')
  await askToStop(socket, { what: { kind: 'agent', id: reader }, reason: 'reads too much' })
  await call('GET', api('/contacts/acme/9'), third.handle)
  const sibling = await delegated({ to: `${agentId}/mailer`, scopes: ['mail.send'] }, root.handle)
  await call('DELETE', `http://postern.internal/v1/delegations/${sibling.jti}`, root.handle)
  await askToStop(socket, { what: { kind: 'destination', name: 'api' }, reason: 'incident 7', for: '1h' })
  await call('GET', api('/contacts/acme/7'), root.handle)
  return root.txn
}

/** Another transaction, of which nothing may be in the tree. */
async function briefStory(): Promise<string> {
  const { handle, txn } = await delegated({ scopes: ['crm.other'] })
  const answer = await call('GET', api('/contacts/0'), handle)
  await gate.record(answer.field('postern-request-id'))
  return txn
}

/** What differs from run to run is replaced by what is as long. */
const steady = (text: string) =>
  text
    .replaceAll(txn, 'aaaaaaaa-bbbb-4ccc-8ddd-eeeeeeeeeeee')
    .replaceAll(/\d\d:\d\d:\d\d/g, 'hh:mm:ss')
    .replaceAll(/\d{4}-\d\d-\d\d/g, 'yyyy-mm-dd')
    .replaceAll(`:${upstream.port}`, ':ppppp')
    .replaceAll(/uid \d+/g, 'uid 1')

const logs = (...argv: string[]) => run(['logs', ...argv], folder)

describe('postern logs --chain', () => {
  it('draws the tree as in the golden file', async () => {
    const { code, out, error } = await logs('--chain', txn, 'records.jsonl')
    expect([code, error]).toEqual([0, ''])
    if (process.env.UPDATE_GOLDEN === '1') await writeFile(golden, steady(out))
    expect(steady(out)).toBe(readFileSync(golden, 'utf8'))
    expect(Math.max(...out.split('\n').map((line) => line.length))).toBeLessThanOrEqual(100)
    expect(out).not.toContain('\x1b')
  })

  it('finds it by the beginning or the end of its id, in several files, packed ones too', async () => {
    const whole = await logs('--chain', txn, 'records.jsonl')
    expect((await logs('--chain', txn.slice(0, 8), 'records.jsonl')).out).toBe(whole.out)
    const lines = (await readFile(join(folder, 'records.jsonl'), 'utf8')).split('\n')
    await writeFile(join(folder, 'r.jsonl.1.gz'), gzipSync(`${lines.slice(0, 5).join('\n')}\n`))
    await writeFile(join(folder, 'r.jsonl'), lines.slice(5).join('\n'))
    expect((await logs('--chain', txn.slice(-8), 'r.jsonl', 'r.jsonl.1.gz')).out).toBe(whole.out)
  })

  it('says the same to a program', async () => {
    const { out } = await logs('--chain', txn, '--json', 'records.jsonl')
    const tree: ChainTree = JSON.parse(out)
    expect(tree).toMatchObject({
      txn,
      principal: { kind: 'agent', id: agentId },
      stops: [{ event: 'stop.ordered', what: { kind: 'destination', id: 'api' }, reason: 'incident 7' }],
      roots: [
        {
          id: agentId,
          scopes: ['crm.*', 'mail.send'],
          children: [
            {
              id: researcher,
              dropped: ['crm.*', 'mail.send'],
              denied_handoffs: [{ to: `${researcher}/x` }],
              children: [
                {
                  id: reader,
                  stops: [{ reason: 'reads too much' }],
                  requests: [{ result: 'revoked, cut off under way' }, { result: 'chain_revoked' }],
                },
              ],
            },
            { id: `${agentId}/mailer`, revoked: { by: agentId } },
          ],
        },
      ],
    })
    expect(out).not.toContain(other)
  })

  it('tells what it can where the beginning is in no file', async () => {
    const lines = (await readFile(join(folder, 'records.jsonl'), 'utf8')).split('\n')
    const late = lines.filter((line) => line.includes('"kind":"request"')).join('\n')
    await writeFile(join(folder, 'late.jsonl'), late)
    const { out } = await logs('--chain', txn, 'late.jsonl')
    expect(out).toContain('may crm.contacts.read, handed on outside these records')
    expect(out).toContain('2× GET api.example')
  })

  it.each([
    [['--chain', '00000000-0000'], 65, 'No record is of a transaction'],
    [['--chain', 'x'], 64, 'at least 4 characters'],
    [['--chain', 'some-txn', '--agent', 'x'], 64, '--chain goes without --agent'],
    [['--chain', 'some-txn', '-f'], 64, '--chain goes without --follow'],
  ])('%j ends with %i and says why', async (argv, expected, said) => {
    const { code, error, out } = await logs(...argv, 'records.jsonl')
    expect([code, out]).toEqual([expected, ''])
    expect(error).toContain(said)
  })

  it('more than one transaction ends with 65 and names them', async () => {
    const records = [`a-${txn}`, `b-${txn}`].map((id) => ({
      v: 1,
      id,
      time: '2026-01-01T00:00:00.000Z',
      kind: 'request',
      txn: id,
    }))
    await writeFile(join(folder, 'two.jsonl'), records.map((record) => `${JSON.stringify(record)}\n`).join(''))
    const { code, error } = await logs('--chain', txn, 'two.jsonl')
    expect(code).toBe(65)
    expect(error).toContain(`2 transactions have an id with ${txn}`)
  })
})

describe('the drawing', () => {
  const hop = {
    id: `spiffe://acme.example/${'long/'.repeat(30)}end`,
    jti: 'j',
    scopes: ['crm.\x1b[31m.read'],
    constraints: [],
    dropped: [],
    expires_at: undefined,
    created_at: undefined,
    denied_handoffs: [],
    revoked: undefined,
    stops: [],
    requests: Array.from({ length: 40 }, (_, at) => ({
      method: 'GET',
      place: 'api.example',
      path: `/${'x'.repeat(at * 5)}`,
      outcome: 'refused' as const,
      result: 'no_rule',
      count: at + 1,
      first: '',
      last: '',
    })),
    other_requests: 7,
    children: [],
  }
  const tree: ChainTree = {
    txn: 't',
    principal: { kind: 'user', id: 'zoe' },
    root_issuer: undefined,
    from: '2026-01-01T00:00:00.000Z',
    to: '2026-01-01T00:00:01.000Z',
    stops: [],
    roots: [hop],
  }

  it('keeps within its width, loses nothing of what it draws, and says what it leaves out', () => {
    const lines = drawChain(tree, { width: 60, paint: plain })
    expect(Math.max(...lines.map(({ length }) => length))).toBeLessThanOrEqual(60)
    expect(lines.join('').replaceAll(/[\s│└─├]/g, '')).toContain(hop.id)
    expect(lines.at(-1)).toContain(`… and ${(10 * 11) / 2 + 7} requests of other sorts`)
  })

  it('is painted where somebody sees it, and nothing in a record steers the terminal', () => {
    const lines = drawChain(tree, { width: 100, paint: painted })
    expect(lines.join('\n')).toContain('\x1b[31m✗')
    expect(lines.join('\n')).toContain('crm.\\u001b[31m.read')
  })
})
