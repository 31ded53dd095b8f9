// The end of a proxy that is told to stop: not ready, nothing new, what is under way ends within its time, records last.
import { once } from 'node:events'
import { request, type ServerResponse } from 'node:http'
import { connect } from 'node:net'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it, vi } from 'vitest'
import { credentialed } from '../support/credentialed.ts'
import { agentId, agentsListener } from '../support/gate.ts'
import { type Postern, type Workplace, workplace } from '../support/postern.ts'
import { recordsIn } from '../support/records.ts'
import { httpUpstream, type Upstream } from '../support/upstream.ts'
import { WireClient } from '../support/wire-client.ts'

let upstream: Upstream
const held: ServerResponse[] = []
let place: Workplace
let run: Postern

beforeAll(async () => {
  upstream = await httpUpstream((message, response) => {
    if (message.url === '/hold') held.push(response)
    else response.end('hello')
  })
})
afterAll(() => upstream.close())
beforeEach(async () => {
  place = await workplace({
    'postern.yaml': `version: 1
trustDomain: acme.example
records: { to: ./records.jsonl }
admin: { metrics: 127.0.0.1:0 }
${agentsListener}resolve: { localhost: [127.0.0.1] }
destinations:
  api: { hosts: [localhost], protocol: http, ports: [${upstream.port}], addresses: [127.0.0.0/8] }
rules:
  - { name: agent-reads, allow: { agents: [${agentId}], to: api } }
`,
  })
})
afterEach(async () => {
  for (const response of held.splice(0)) response.destroy()
  await place[Symbol.asyncDispose]()
})

const authority = () => `localhost:${upstream.port}`
const get = (path: string) => [`GET http://${authority()}${path} HTTP/1.1`, `Host: ${authority()}`]
const start = (...argv: string[]) => {
  run = place.start(['run', '-c', 'postern.yaml', ...argv])
}
const open = async () => WireClient.open({ host: '127.0.0.1', port: await run.port() })
const records = () => recordsIn(join(place.path, 'records.jsonl'))

/** A request that waits at the upstream. */
async function waiting(): Promise<{ client: WireClient; response: ServerResponse }> {
  const client = await open()
  client.send([...get('/hold'), '', ''].join('\r\n'))
  const response = await vi.waitFor(() => {
    const [last] = held.splice(0)
    if (last === undefined) throw new Error('not yet')
    return last
  })
  return { client, response }
}

async function readyz(): Promise<{ status: number; body: string }> {
  const asked = request({ host: '127.0.0.1', port: await run.metricsPort(), path: '/readyz' }).end()
  const [answer] = await once(asked, 'response')
  return { status: answer.statusCode, body: await text(answer) }
}

describe('SIGTERM', () => {
  it('lets what is under way end, takes nothing new, and ends with 0', async () => {
    start()
    const { client, response } = await waiting()
    await using idle = await open()
    expect((await idle.request(get('/'))).text).toBe('hello')
    expect((await readyz()).status).toBe(200)
    run.child.kill('SIGTERM')
    await run.told('stopping')
    // An idle connection is closed, a new one is not accepted, and the kubelet is told.
    expect(await idle.some()).toBeUndefined()
    const port = await run.port()
    const [error] = await once(connect(port, '127.0.0.1'), 'error')
    expect(error).toMatchObject({ code: 'ECONNREFUSED' })
    const { status, body } = await readyz()
    expect(status).toBe(503)
    expect(body).toContain('received SIGTERM')
    response.end('at last')
    const answer = await client.answer()
    expect(answer.text).toBe('at last')
    // The connection on which it came takes no more.
    expect(await client.some()).toBeUndefined()
    expect(await run.ended).toBe(0)
    expect((await records()).map(({ id, response }) => [id, response?.ended])).toContainEqual([
      answer.field('postern-request-id'),
      'complete',
    ])
  })

  it('refuses what is asked on a connection that still has something under way', async () => {
    start()
    const { client, response } = await waiting()
    run.child.kill('SIGTERM')
    await run.told('stopping')
    client.send([...get('/'), '', ''].join('\r\n'))
    response.end('at last')
    expect((await client.answer()).text).toBe('at last')
    const rest = (await client.rest()).toString()
    if (rest !== '') expect(rest).toContain('"reason":"shutting_down"')
    expect(await run.ended).toBe(0)
  })

  it('cuts what does not end within the grace, and says so in its record', async () => {
    start('--grace', '0.3')
    const { client } = await waiting()
    const began = performance.now()
    run.child.kill('SIGTERM')
    expect((await client.rest()).toString()).toBe('')
    expect(await run.ended).toBe(0)
    expect(performance.now() - began).toBeLessThan(5_000)
    const [record] = await records()
    expect(record).toMatchObject({ request: { path: '/hold' }, response: { ended: 'cut' } })
    expect(record).toMatchObject({ refusal: { reason: 'shutting_down' } })
  })

  it('ends at once when it comes twice', async () => {
    start()
    await waiting()
    run.child.kill('SIGTERM')
    await run.told('stopping')
    run.child.kill('SIGTERM')
    expect(await run.ended).toBe(0)
  })
})

describe('with a grace', () => {
  it('tunnels in which nothing is under way end at once, the others when it is over, and the records say why', async () => {
    const stream: ServerResponse[] = []
    await using world = await credentialed((_message, response) => {
      response.write('beginning')
      stream.push(response)
    }, 'canary-0c4d7a1e93bf')
    const way = { host: '127.0.0.1', port: world.gate.port() }
    await using idle = await world.open()
    await using silent = await WireClient.open(way)
    expect((await silent.tunnel(world.authority)).status).toBe(200)
    await using busy = await world.open()
    busy.send(`GET / HTTP/1.1\r\nHost: ${world.authority}\r\n\r\n`)
    const head = await busy.head()
    await busy.through('beginning')

    const began = performance.now()
    const closed = world.gate.gate.close('test over', 400)
    expect(await idle.some()).toBeUndefined()
    expect(await silent.some()).toBeUndefined()
    expect(performance.now() - began).toBeLessThan(300)
    await busy.rest()
    expect(performance.now() - began).toBeGreaterThan(390)
    await closed
    const records = await world.gate.records(2)
    expect(records.find(({ id }) => id === head.field('postern-request-id'))).toMatchObject({
      outcome: 'failed',
      response: { status: 200, bytes: 9, ended: 'cut' },
      refusal: { reason: 'shutting_down' },
    })
    // The one that was not even begun.
    expect(records.filter(({ kind }) => kind === 'connection')).toMatchObject([
      { destination: { host: 'api.example' }, refusal: { reason: 'shutting_down' } },
    ])
    await vi.waitFor(() => expect(stream[0]?.closed).toBe(true))
  })
})
