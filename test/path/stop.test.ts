// A stop, at every level: what is under way ends, what comes is refused, nobody else is touched, and a restart changes nothing.
import type { ServerResponse } from 'node:http'
import { join } from 'node:path'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it, vi } from 'vitest'
import type { Stopped } from '../../policy/stop/stop.ts'
import { askStops, askToLift, askToStop } from '../../proxy/record/admin-client.ts'
import { call, delegated, doorUrl, type MadeDelegation, reasonIn, reference } from '../support/agents-door.ts'
import { agentId, agentsListener } from '../support/gate.ts'
import { type Postern, type Workplace, workplace } from '../support/postern.ts'
import { recordsIn } from '../support/records.ts'
import { httpUpstream } from '../support/upstream.ts'
import { ConnectionEnded, WireClient } from '../support/wire-client.ts'

const agents = 20
const streamsOfEach = 10

let upstream: Awaited<ReturnType<typeof httpUpstream>>
let held = new Map<string, ServerResponse>()
let place: Workplace
let run: Postern
let port: number
let socket: string

beforeAll(async () => {
  upstream = await httpUpstream((request, response) => {
    if (request.url?.startsWith('/stream/') !== true) return void response.end('once')
    held.set(request.url, response)
    response.writeHead(200, { 'Content-Type': 'text/event-stream' })
    response.write('data: 1\n\n')
  })
})
afterAll(() => upstream.close())

beforeEach(async () => {
  held = new Map()
  place = await workplace({
    'key.txt': 'canary-of-the-stop',
    'postern.yaml': `version: 1
trustDomain: acme.example
records: { to: ./records.jsonl }
admin: { socket: ./admin/postern.sock }
${agentsListener}resolve: { localhost: [127.0.0.1], other.example: [127.0.0.1] }
delegation:
  grants: [{ agents: [${agentId}], scopes: ["crm.*"] }]
destinations:
  api: { hosts: [localhost], protocol: http, ports: [${upstream.port}], addresses: [127.0.0.0/8] }
  other: { hosts: [other.example], protocol: http, ports: [${upstream.port}], addresses: [127.0.0.0/8] }
credentials:
  key: { kind: file, path: ./key.txt, for: [api] }
rules:
  - { name: with-key, allow: { agents: [${agentId}, "${agentId}/*"], to: api, paths: [/stream/key/**] }, use: key }
  - { name: all-else, allow: { agents: [${agentId}, "${agentId}/*"], to: [api, other] } }
`,
  })
  socket = join(place.path, 'admin/postern.sock')
  await start()
})
afterEach(() => place[Symbol.asyncDispose]())

async function start(): Promise<void> {
  run = place.start(['run'])
  port = await run.port()
}

interface Stream {
  readonly name: string
  readonly client: WireClient
}

/** An event stream whose first event has come. */
async function stream(path: string, handle?: string, host = 'localhost'): Promise<Stream> {
  const authority = `${host}:${upstream.port}`
  const client = await WireClient.open({ host: '127.0.0.1', port })
  const fields = handle === undefined ? [] : [reference(handle)]
  client.send([`GET http://${authority}${path} HTTP/1.1`, `Host: ${authority}`, ...fields, '', ''].join('\r\n'))
  await client.through('data: 1\n\n')
  return { name: path, client }
}

const ended = async ({ client }: Stream) => {
  await expect(client.exactly(1 << 20)).rejects.toBeInstanceOf(ConnectionEnded)
}

/** Whether the next event still comes through. */
async function goesOn({ name, client }: Stream): Promise<void> {
  held.get(name)?.write('data: 2\n\n')
  expect((await client.through('data: 2\n\n')).toString()).toContain('data: 2')
}

const order = (what: Stopped) => askToStop(socket, { what, reason: 'a drill' })
const child = (name: string, fields: readonly string[] = []) =>
  delegated(port, { to: `${agentId}/${name}`, scopes: ['crm.read'] }, fields)
const plain = (handle?: string, host = 'localhost') =>
  call(port, `http://${host}:${upstream.port}/once`, handle === undefined ? {} : { fields: [reference(handle)] })

describe('a stop of a subtree of agents', () => {
  it('ends all of its 100 streams and none of the 100 others, and holds after kill -9', async () => {
    const children = await Promise.all(
      Array.from({ length: agents }, (_, at) => child(at % 2 === 0 ? `left/task-${at}` : `right/task-${at}`)),
    )
    const open = await Promise.all(
      children.flatMap(({ handle }, at) =>
        Array.from({ length: streamsOfEach }, (_, number) => stream(`/stream/${at}/${number}`, handle)),
      ),
    )
    const isLeft = ({ name }: Stream) => Number(name.split('/')[2]) % 2 === 0
    const { cut } = await order({ kind: 'agent', id: `${agentId}/left/*` })
    expect(cut).toBe(100)
    await Promise.all(open.filter(isLeft).map(ended))
    await Promise.all(open.filter((each) => !isLeft(each)).map(goesOn))
    expect(reasonIn(await plain(children[0]?.handle))).toBe('chain_revoked')
    expect((await plain(children[1]?.handle)).status).toBe(200)
    const cuts = await vi.waitFor(async () => {
      const found = (await recordsIn(join(place.path, 'records.jsonl'))).filter(
        ({ response }) => response?.ended === 'cut',
      )
      expect(found).toHaveLength(100)
      return found
    })
    expect(new Set(cuts.map(({ refusal }) => refusal?.reason))).toEqual(new Set(['revoked']))
    await Promise.all(open.map(({ client }) => client[Symbol.asyncDispose]()))

    run.child.kill('SIGKILL')
    await run.ended
    await start()
    const denied = call(port, `${doorUrl}/delegations`, {
      method: 'POST',
      body: { to: `${agentId}/left/task-0`, scopes: ['crm.read'] },
    })
    // The old handles are gone with the process; a new one for a stopped agent is worth nothing.
    const { handle }: MadeDelegation = JSON.parse((await denied).text)
    expect(reasonIn(await plain(handle))).toBe('chain_revoked')
  }, 60_000)
})

describe('a stop', () => {
  it.each<[string, (of: MadeDelegation) => Stopped]>([
    ['a transaction', ({ txn }) => ({ kind: 'txn', id: txn })],
    ['a delegation', ({ jti }) => ({ kind: 'delegation', jti })],
  ])('of %s ends what goes by it, and hands on nothing of it', async (_, whatOf) => {
    const [one, other] = [await child('one'), await child('other')]
    const [cut, kept] = [await stream('/stream/1', one.handle), await stream('/stream/2', other.handle)]
    await order(whatOf(one))
    await ended(cut)
    await goesOn(kept)
    const fields = [reference(one.handle)]
    const further = await call(port, `${doorUrl}/delegations`, {
      method: 'POST',
      fields,
      body: { to: `${agentId}/one/more`, scopes: ['crm.read'] },
    })
    expect(reasonIn(further)).toBe('chain_revoked')
    await kept.client[Symbol.asyncDispose]()
  })

  it('of a credential ends what it was put into, and nothing else', async () => {
    const [cut, kept] = [await stream('/stream/key/1'), await stream('/stream/2')]
    await order({ kind: 'credential', name: 'key' })
    await ended(cut)
    await goesOn(kept)
    const refused = await call(port, `http://localhost:${upstream.port}/stream/key/2`)
    expect(reasonIn(refused)).toBe('revoked')
    await kept.client[Symbol.asyncDispose]()
  })

  it('of a destination ends what goes there', async () => {
    const [cut, kept] = [await stream('/stream/1', undefined, 'other.example'), await stream('/stream/2')]
    await order({ kind: 'destination', name: 'other' })
    await ended(cut)
    await goesOn(kept)
    expect(reasonIn(await plain(undefined, 'other.example'))).toBe('revoked')
    await kept.client[Symbol.asyncDispose]()
  })

  it('of an agent refuses it at the door too; lifted, it may again', async () => {
    const { stop } = await order({ kind: 'agent', id: agentId })
    expect(reasonIn(await plain())).toBe('revoked')
    expect(reasonIn(await call(port, `${doorUrl}/whoami`))).toBe('revoked')
    await askToLift(socket, stop.id)
    expect((await plain()).status).toBe(200)
  })

  it('of everything ends everything, tunnels that are being asked for too', async () => {
    const open = await Promise.all([stream('/stream/1'), stream('/stream/2', (await child('one')).handle)])
    const { cut } = await order({ kind: 'all' })
    expect(cut).toBe(2)
    await Promise.all(open.map(ended))
    expect(reasonIn(await plain())).toBe('revoked')
    await using client = await WireClient.open({ host: '127.0.0.1', port })
    expect(reasonIn(await client.tunnel(`localhost:${upstream.port}`))).toBe('revoked')
    expect((await askStops(socket)).stops).toHaveLength(1)
  })

  it('is recorded: who ordered it, and why', async () => {
    await order({ kind: 'destination', name: 'other' })
    await vi.waitFor(async () => {
      const orders = (await recordsIn(join(place.path, 'records.jsonl'))).filter(({ kind }) => kind === 'stop')
      expect(orders.map(({ stop }) => stop)).toMatchObject([
        {
          event: 'stop.ordered',
          what: { kind: 'destination', id: 'other' },
          reason: 'a drill',
          by: { uid: process.getuid?.() },
        },
      ])
    })
  })
})
