// Budgets end to end: what is used up is refused or cut before it is overspent, for those who share it and nobody else.
import { once } from 'node:events'
import { readFile, writeFile } from 'node:fs/promises'
import type { RequestListener, ServerResponse } from 'node:http'
import { join } from 'node:path'
import type { Duplex } from 'node:stream'
import { gzipSync } from 'node:zlib'
import { afterAll, afterEach, beforeAll, describe, expect, it, vi } from 'vitest'
import { loadConfig } from '../../proxy/config/load.ts'
import { askStatus } from '../../proxy/record/admin-client.ts'
import { agentId, agentsListener, openGate, type TestGate } from '../support/gate.ts'
import { type Postern, type Workplace, workplace } from '../support/postern.ts'
import { recordsIn } from '../support/records.ts'
import { reasonOf } from '../support/through.ts'
import { httpUpstream, rawUpstream, type Upstream } from '../support/upstream.ts'
import { ConnectionEnded, type WireAnswer, WireClient } from '../support/wire-client.ts'

let upstream: Awaited<ReturnType<typeof httpUpstream>>
let raw: Upstream
let gate: TestGate | undefined
let asked: string[] = []
let respond: RequestListener
const joined: Duplex[] = []

beforeAll(async () => {
  upstream = await httpUpstream((request, response) => {
    asked.push(request.url ?? '')
    respond(request, response)
  })
  upstream.server.on('upgrade', (_request, socket: Duplex) => {
    socket.on('error', () => {})
    socket.write('HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n')
    joined.push(socket)
  })
  raw = await rawUpstream((socket) => socket.write(Buffer.alloc(10_000, 'x')))
})
afterAll(() => Promise.all([upstream.close(), raw.close()]))
afterEach(async () => {
  await gate?.[Symbol.asyncDispose]()
  gate = undefined
  asked = []
})

const uid = process.getuid?.() ?? 0
const otherId = 'spiffe://acme.example/other'

/** @param budgets lines of the section */
function configuration(budgets: string): string {
  return `${agentsListener}  - { name: others, address: "127.0.0.1:0", accept: http-proxy, callers: [kernel], uids: { "${uid}": ${otherId} } }
resolve: { api.localhost: [127.0.0.1], gone.localhost: [127.0.0.1], db.example: [127.0.0.1] }
delegation:
  grants: [{ agents: [${agentId}], scopes: ["crm.*"] }]
destinations:
  api: { hosts: [api.localhost], protocol: http, ports: [${upstream.port}], addresses: [127.0.0.0/8] }
  gone: { hosts: [gone.localhost], protocol: http, ports: [1], addresses: [127.0.0.0/8] }
  db: { hosts: [db.example], protocol: opaque, ports: [${raw.port}], addresses: [127.0.0.0/8] }
credentials:
  key: { kind: env, variable: API_KEY, for: [api] }
rules:
  - { name: with-key, allow: { agents: ["spiffe://acme.example/*"], to: api, paths: [/key/**] }, use: key }
  - { name: all, allow: { agents: ["spiffe://acme.example/*"], to: [api, gone, db] } }
budgets:
${budgets}`
}

async function begin(budgets: string): Promise<TestGate> {
  gate = await openGate(configuration(budgets), { environment: { API_KEY: 'a-key-of-the-api' } })
  return gate
}

interface Wish {
  readonly listener?: string
  readonly fields?: readonly string[]
  readonly host?: string
  readonly method?: string
}

async function ask(
  path: string,
  { listener = 'agents', fields = [], host, method = 'GET' }: Wish = {},
): Promise<WireAnswer> {
  const authority = host ?? `api.localhost:${upstream.port}`
  await using client = await WireClient.open({ host: '127.0.0.1', port: gate?.port(listener) ?? 0 })
  return await client.request([`${method} http://${authority}${path} HTTP/1.1`, `Host: ${authority}`, ...fields])
}

const recordOf = (answer: { field(name: string): string | undefined }) =>
  (gate ?? expect.fail('no gate')).record(answer.field('postern-request-id'))

const hello: RequestListener = (_, response) => response.end('hello')
const json =
  (body: unknown): RequestListener =>
  (_, response) => {
    response.writeHead(200, { 'Content-Type': 'application/json' })
    response.end(JSON.stringify(body))
  }

describe('a budget of requests', () => {
  it('refuses the one too many before the upstream sees it, and says when it renews', async () => {
    respond = hello
    await begin('  few: { per: agent, every: 365d, requests: 2 }\n')
    expect((await ask('/1')).text).toBe('hello')
    const second = await ask('/2')
    expect((await recordOf(second)).budgets).toEqual([{ name: 'few', left: { requests: 0 } }])
    const third = await ask('/3')
    expect([third.status, reasonOf(third)]).toEqual([429, 'budget_exhausted'])
    expect(Number(third.field('retry-after'))).toBeGreaterThan(0)
    expect(third.text).not.toContain('few')
    expect(asked).toEqual(['/1', '/2'])
    const record = await recordOf(third)
    expect(record).toMatchObject({
      outcome: 'refused',
      decision: { verdict: 'allow', rule: 'all' },
      refusal: { reason: 'budget_exhausted', budget: 'few' },
    })
    expect(record.refusal?.detail).toContain(`budget few of agent:${agentId} is used up: 2 requests in a window`)
  })

  it('is not shared by two agents', async () => {
    respond = hello
    await begin('  few: { per: agent, every: 365d, requests: 1 }\n')
    expect((await ask('/1')).status).toBe(200)
    expect((await ask('/2')).status).toBe(429)
    expect((await ask('/3', { listener: 'others' })).status).toBe(200)
  })

  it('is shared by two tasks of one transaction, and not by those of another', async () => {
    respond = hello
    await begin('  task: { per: txn, every: 365d, requests: 2, for: { to: api } }\n')
    const one = await delegation({ scopes: ['crm.*'] })
    const child = await delegation({ to: `${agentId}/helper`, scopes: ['crm.read'] }, one)
    expect((await ask('/1', { fields: [`Delegation-Ref: ${one}`] })).status).toBe(200)
    expect((await ask('/2', { fields: [`Delegation-Ref: ${child}`] })).status).toBe(200)
    expect(reasonOf(await ask('/3', { fields: [`Delegation-Ref: ${one}`] }))).toBe('budget_exhausted')
    expect(reasonOf(await ask('/4', { fields: [`Delegation-Ref: ${child}`] }))).toBe('budget_exhausted')
    const two = await delegation({ scopes: ['crm.*'] })
    expect((await ask('/5', { fields: [`Delegation-Ref: ${two}`] })).status).toBe(200)
    expect((await ask('/6')).status).toBe(200)
  })

  it('is never overspent by those who come at once', async () => {
    respond = hello
    await begin('  few: { per: user, every: 365d, requests: 7 }\n')
    const answers = await Promise.all(Array.from({ length: 30 }, (_, n) => ask(`/${n}`)))
    expect(answers.filter(({ status }) => status === 200)).toHaveLength(7)
    expect(asked).toHaveLength(7)
  })

  it('renews with the next window', async () => {
    respond = hello
    await begin('  brisk: { per: agent, every: 1s, requests: 1 }\n')
    const refused = await vi.waitFor(async () => {
      const answer = await ask('/')
      expect(answer.status).toBe(429)
      return answer
    }, 5_000)
    expect(refused.field('retry-after')).toBe('1')
    await vi.waitFor(async () => expect((await ask('/')).status).toBe(200), 5_000)
  })

  it('is given back for what could not be sent', async () => {
    await begin('  few: { per: agent, every: 365d, requests: 2, cost: { header: X-Cost, units: 9, reserve: 9 } }\n')
    for (let n = 0; n < 3; n += 1) {
      const answer = await ask('/', { host: 'gone.localhost:1' })
      expect(reasonOf(answer)).toBe('upstream_unreachable')
      expect((await recordOf(answer)).budgets).toEqual([{ name: 'few', cost: 0, left: { requests: 2, cost: 9 } }])
    }
  })

  it('goes on counting when the configuration is read again', async () => {
    respond = hello
    const { gate: running, folder } = await begin('  few: { per: agent, every: 365d, requests: 1 }\n')
    expect((await ask('/')).status).toBe(200)
    const config = await loadConfig(join(folder, 'postern.yaml'), { API_KEY: 'x' })
    running.reload(config)
    expect((await ask('/')).status).toBe(429)
    const [few] = Object.entries(config.budgets)
    if (few === undefined) throw new Error('no budget')
    running.reload({ ...config, budgets: { few: { ...few[1], requests: 2 } } })
    expect((await ask('/')).status).toBe(200)
    expect((await ask('/')).status).toBe(429)
  })
})

async function delegation(wanted: object, parent?: string): Promise<string> {
  const body = JSON.stringify(wanted)
  await using client = await WireClient.open({ host: '127.0.0.1', port: gate?.port() ?? 0 })
  const answer = await client.request(
    [
      'POST http://postern.internal/v1/delegations HTTP/1.1',
      'Host: postern.internal',
      'Content-Type: application/json',
      `Content-Length: ${body.length}`,
      ...(parent === undefined ? [] : [`Delegation-Ref: ${parent}`]),
    ],
    body,
  )
  if (answer.status !== 201) throw new Error(answer.text)
  return JSON.parse(answer.text).handle
}

describe('a budget of bytes', () => {
  it('cuts the stream that would exceed it, on both sides, and refuses what comes after', async () => {
    let held: ServerResponse | undefined
    respond = (_, response) => {
      held = response
      response.writeHead(200, { 'Content-Type': 'text/event-stream' })
      response.write('data: one\n\n')
    }
    await begin('  little: { per: agent, every: 365d, responseBytes: 30 }\n')
    const authority = `api.localhost:${upstream.port}`
    await using client = await WireClient.open({ host: '127.0.0.1', port: gate?.port() ?? 0 })
    client.send(`GET http://${authority}/ HTTP/1.1\r\nHost: ${authority}\r\n\r\n`)
    const head = await client.head()
    await client.through('data: one\n\n')
    held?.write('data: two\n\n')
    await client.through('data: two\n\n')
    const upstreamEnd = once(held ?? expect.fail('no answer'), 'close')
    held?.write('data: three\n\n')
    const error = await client.exactly(1_000).catch((reason: unknown) => reason)
    expect(error).toBeInstanceOf(ConnectionEnded)
    expect(String(error)).not.toContain('three')
    await upstreamEnd
    const record = await recordOf(head)
    expect(record).toMatchObject({
      response: { ended: 'cut', bytes: 22 },
      refusal: { reason: 'budget_exhausted', budget: 'little' },
      budgets: [{ name: 'little', left: { response_bytes: 8 } }],
    })
    respond = (_, response) => response.end('12345678')
    expect((await ask('/')).text).toBe('12345678')
    expect(reasonOf(await ask('/'))).toBe('budget_exhausted')
  })

  it('refuses as a whole what is announced to be too long, and takes nothing for it', async () => {
    respond = (request, response) => {
      response.writeHead(200, { 'Content-Length': '31' })
      response.end(request.method === 'HEAD' ? undefined : 'x'.repeat(31))
    }
    await begin('  little: { per: agent, every: 365d, responseBytes: 30 }\n')
    const refused = await ask('/')
    expect([refused.status, reasonOf(refused)]).toEqual([429, 'budget_exhausted'])
    expect(await recordOf(refused)).toMatchObject({
      response: { status: 429, ended: 'refused' },
      budgets: [{ left: { response_bytes: 30 } }],
    })
    expect((await ask('/', { method: 'HEAD' })).status).toBe(200)
    respond = (_, response) => response.end('x'.repeat(30))
    expect((await ask('/')).text).toHaveLength(30)
  })

  it('cuts a tunnel', async () => {
    await begin('  little: { per: agent, every: 365d, responseBytes: 9000, for: { to: db } }\n')
    await using client = await WireClient.open({ host: '127.0.0.1', port: gate?.port() ?? 0 })
    expect((await client.tunnel(`db.example:${raw.port}`)).status).toBe(200)
    await expect(client.exactly(20_000)).rejects.toBeInstanceOf(ConnectionEnded)
    const [record] = await (gate ?? expect.fail('no gate')).records(1)
    expect(record).toMatchObject({
      kind: 'tunnel',
      response: { ended: 'cut' },
      refusal: { reason: 'budget_exhausted', budget: 'little' },
    })
  })

  it.each(['/socket', '/key/socket'])('cuts a WebSocket (%s)', async (path) => {
    const { record } = await begin('  little: { per: agent, every: 365d, responseBytes: 130 }\n')
    const authority = `api.localhost:${upstream.port}`
    await using client = await WireClient.open({ host: '127.0.0.1', port: gate?.port() ?? 0 })
    client.send(
      `GET http://${authority}${path} HTTP/1.1\r\nHost: ${authority}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n`,
    )
    const head = await client.head()
    expect(head.status).toBe(101)
    const socket = joined.at(-1) ?? expect.fail('no connection at the upstream')
    const upstreamEnd = once(socket.resume(), 'end')
    // Unmasked binary frames of 60 bytes (RFC 6455 §5.2).
    const frame = Buffer.concat([Buffer.from([0x82, 60]), Buffer.alloc(60, 'x')])
    socket.write(frame)
    await client.exactly(frame.length)
    socket.write(frame)
    await client.exactly(frame.length)
    socket.write(frame)
    await expect(client.exactly(1_000)).rejects.toBeInstanceOf(ConnectionEnded)
    await upstreamEnd
    const told = await record(head.field('postern-request-id'))
    expect(told).toMatchObject({ response: { ended: 'cut' }, refusal: { reason: 'budget_exhausted' } })
    // What is looked into passes in smaller parts.
    expect([4, 6]).toContain(told.budgets?.[0]?.left.response_bytes)
  })

  it('lets a tunnel pass that stays within it', async () => {
    await begin('  ample: { per: agent, every: 365d, responseBytes: 10000, for: { to: db } }\n')
    await using client = await WireClient.open({ host: '127.0.0.1', port: gate?.port() ?? 0 })
    expect((await client.tunnel(`db.example:${raw.port}`)).status).toBe(200)
    expect((await client.exactly(10_000)).length).toBe(10_000)
  })
})

describe('a budget of paths', () => {
  it('refuses a further path, and lets those that were asked for go on', async () => {
    respond = hello
    await begin('  narrow: { per: agent, every: 365d, paths: 2 }\n')
    for (const path of ['/a', '/b?x=1', '/a', '/b?x=2']) expect((await ask(path)).status).toBe(200)
    const refused = await ask('/c')
    expect(reasonOf(refused)).toBe('budget_exhausted')
    expect((await recordOf(refused)).refusal?.detail).toContain('2 distinct paths')
    expect((await ask('/a')).status).toBe(200)
  })
})

describe('a budget of cost', () => {
  const byJson = '  tokens: { per: agent, every: 365d, cost: { json: usage.total_tokens, units: 100, reserve: 10 } }\n'
  const costs = async (path = '/', fields: readonly string[] = []) => {
    const answer = await ask(path, { fields })
    const [budget] = (await recordOf(answer)).budgets ?? []
    return [answer.status, budget?.cost, budget?.left.cost]
  }

  it('is read from a field of the answer', async () => {
    respond = (_, response) => response.writeHead(200, { 'X-Cost': '60.5' }).end()
    await begin('  money: { per: agent, every: 365d, cost: { header: x-cost, units: 100, reserve: 10 } }\n')
    expect(await costs()).toEqual([200, 60.5, 39.5])
    // What answers cost beyond what was set aside is spent all the same.
    expect(await costs()).toEqual([200, 60.5, 0])
    expect(reasonOf(await ask('/'))).toBe('budget_exhausted')
  })

  it('is read from a trailer', async () => {
    respond = (_, response) => {
      response.writeHead(200, { Trailer: 'X-Cost' })
      response.write('hello')
      response.addTrailers({ 'X-Cost': '7' })
      response.end()
    }
    await begin('  money: { per: agent, every: 365d, cost: { header: x-cost, units: 100, reserve: 10 } }\n')
    expect(await costs()).toEqual([200, 7, 93])
  })

  it('is read from JSON', async () => {
    respond = json({ choices: ['x'.repeat(100_000)], usage: { total_tokens: 70 } })
    await begin(byJson)
    expect(await costs()).toEqual([200, 70, 30])
    expect(await costs()).toEqual([200, 70, 0])
    expect(reasonOf(await ask('/'))).toBe('budget_exhausted')
  })

  it('is the sum of several numbers', async () => {
    respond = json({ usage: { input_tokens: 5, output_tokens: 6 } })
    await begin(
      '  tokens: { per: agent, every: 365d, cost: { json: [usage.input_tokens, usage.output_tokens], units: 100, reserve: 10 } }\n',
    )
    expect(await costs()).toEqual([200, 11, 89])
  })

  it('is read from the last event of a stream that has it', async () => {
    respond = (_, response) => {
      response.writeHead(200, { 'Content-Type': 'text/event-stream; charset=utf-8' })
      response.write('data: {"choices":[{"delta":{"content":"hi"}}],"usage":null}\n\n')
      response.write('data: {"choices":[],"usage":{"total_tokens":3}}\n\ndata: {"usage":{"total_')
      response.end('tokens":42}}\n\ndata: [DONE]\n\n')
    }
    await begin(byJson)
    expect(await costs()).toEqual([200, 42, 58])
  })

  it('is read from a coded body where that was decoded to look for the credential, else it is what was set aside', async () => {
    respond = (_, response) => {
      response.writeHead(200, { 'Content-Type': 'application/json', 'Content-Encoding': 'gzip' })
      response.end(gzipSync(JSON.stringify({ usage: { total_tokens: 20 } })))
    }
    await begin(byJson)
    expect(await costs('/key/1', ['Accept-Encoding: gzip'])).toEqual([200, 20, 80])
    expect(await costs('/plain', ['Accept-Encoding: gzip'])).toEqual([200, 10, 70])
  })

  it('is what was set aside where the answer does not say, and nothing where it is an error', async () => {
    respond = json({ usage: { total_tokens: '20' } })
    await begin(byJson)
    expect(await costs()).toEqual([200, 10, 90])
    respond = (_, response) => response.writeHead(503).end('no')
    expect(await costs()).toEqual([503, 0, 90])
  })

  it('is what was set aside where the agent goes before the end', async () => {
    respond = (_, response) => {
      response.writeHead(200, { 'Content-Type': 'text/event-stream' })
      response.write('data: {"usage":{"total_tokens":1}}\n\n')
    }
    const { record } = await begin(byJson)
    const authority = `api.localhost:${upstream.port}`
    const client = await WireClient.open({ host: '127.0.0.1', port: gate?.port() ?? 0 })
    client.send(`GET http://${authority}/ HTTP/1.1\r\nHost: ${authority}\r\n\r\n`)
    const head = await client.head()
    await client.through('\n\n')
    await client[Symbol.asyncDispose]()
    expect(await record(head.field('postern-request-id'))).toMatchObject({
      response: { ended: 'client_gone' },
      budgets: [{ cost: 10, left: { cost: 90 } }],
    })
  })
})

it('how much is used is told by status and metrics', async () => {
  respond = hello
  const { gate: running, folder } = await begin(
    '  few: { per: agent, every: 365d, requests: 4 }\n  others: { per: user, every: 365d, paths: 2, for: { to: db } }\nadmin: { socket: ./admin.sock, metrics: "127.0.0.1:0" }\n',
  )
  await ask('/')
  await ask('/')
  await ask('/', { listener: 'others' })
  expect((await askStatus(join(folder, 'admin.sock'))).budgets).toEqual([
    { name: 'few', accounts: 2, used: 0.5 },
    { name: 'others', accounts: 0, used: 0 },
  ])
  const metrics = await (await fetch(`http://127.0.0.1:${running.metricsPort}/metrics`)).text()
  expect(metrics).toContain('postern_budget_used_ratio{budget="few"} 0.5\n')
})

describe('a restart', () => {
  let place: Workplace
  const budget = '  few: { per: agent, every: 365d, requests: 5, cost: { header: x-cost, units: 100, reserve: 30 } }\n'

  async function run(): Promise<{ proxy: Postern; port: number }> {
    const proxy = place.start(['run'], { API_KEY: 'x' })
    return { proxy, port: await proxy.port() }
  }

  async function call(port: number): Promise<WireClient> {
    const authority = `api.localhost:${upstream.port}`
    const client = await WireClient.open({ host: '127.0.0.1', port })
    client.send(`GET http://${authority}/ HTTP/1.1\r\nHost: ${authority}\r\n\r\n`)
    return client
  }

  async function statusOf(port: number): Promise<number> {
    await using client = await call(port)
    return (await client.answer()).status
  }

  it('after kill -9 gives nothing back, not even of what was under way; a damaged file keeps it from starting', async () => {
    place = await workplace({
      'postern.yaml': `version: 1
trustDomain: acme.example
records: { to: ./records.jsonl }
stop: { file: ./state/stops.jsonl }
${configuration(budget)}`,
    })
    await using _ = place
    const file = join(place.path, 'state', 'budgets.jsonl')
    const first = await run()
    respond = (_, response) => response.writeHead(200, { 'X-Cost': '20' }).end()
    expect(await statusOf(first.port)).toBe(200)
    await vi.waitFor(async () => expect(await readFile(file, 'utf8')).toContain('"cost":20'), 5_000)
    const arrived = new Promise<void>((resolve) => {
      respond = () => resolve()
    })
    await using waiting = await call(first.port)
    await arrived
    first.proxy.child.kill('SIGKILL')
    await first.proxy.ended
    await waiting.rest()

    // Spent: 20, and the 30 that were set aside for the one under way.
    const second = await run()
    respond = (_, response) => response.writeHead(200, { 'X-Cost': '15' }).end()
    expect(await statusOf(second.port)).toBe(200)
    second.proxy.child.kill('SIGTERM')
    expect(await second.proxy.ended).toBe(0)
    const records = await recordsIn(join(place.path, 'records.jsonl'))
    expect(records.at(-1)?.budgets).toEqual([{ name: 'few', cost: 15, left: { requests: 2, cost: 35 } }])

    const third = await run()
    expect(await statusOf(third.port)).toBe(200)
    expect(await statusOf(third.port)).toBe(429)
    third.proxy.child.kill('SIGKILL')
    await third.proxy.ended

    const text = await readFile(file, 'utf8')
    // A torn end is what a kill leaves.
    await writeFile(file, `${text}{"book":"few ag`)
    const fourth = await run()
    expect(await statusOf(fourth.port)).toBe(429)
    fourth.proxy.child.kill('SIGKILL')
    await fourth.proxy.ended
    await writeFile(file, `{"book":"few ag\n${text}`)
    const fifth = place.start(['run'], { API_KEY: 'x' })
    expect(await fifth.ended).toBe(69)
    expect(fifth.errors).toContain('budgets.jsonl:1: this line says nothing about a budget')
  })
})
