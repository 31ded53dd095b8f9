// How long open streams outlive a stop: 200 streams of 20 agents, one subtree of them is stopped.
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { createServer, type Server } from 'node:http'
import { connect, type Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as wait } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { askStatus, askToLift, askToStop } from '../../proxy/record/admin-client.ts'
import { decimal } from '../format.ts'
import { median } from '../statistics.ts'
import type { Scenario } from './scenario.ts'

const agents = 20
const streamsOfEach = 10
const rounds = 5
const agent = 'spiffe://bench.example/agent'

export const stop: Scenario = {
  name: 'stop',
  async run() {
    const stage = await setStage()
    try {
      const found: Round[] = []
      for (let round = 0; round < rounds; round++) found.push(await stage.round(round))
      const acknowledged = found.map((each) => each.acknowledged)
      const last = found.map((each) => each.last)
      const after = found.map((each) => each.last - each.acknowledged)
      return {
        table: {
          title: 'A stop',
          columns: ['what', 'median ms', 'most ms'],
          rows: [
            row('from the order until it is acknowledged, written down', acknowledged),
            row('from the order until the last of its streams has ended', last),
            row('from the acknowledgement until then (negative: before it)', after),
          ],
          notes: [
            `${agents * streamsOfEach} open streams of ${agents} agents; a subtree with half of them is stopped, ${rounds} times. In every round all its ${(agents * streamsOfEach) / 2} streams ended, and all others went on.`,
          ],
        },
        figures: { 'stop: ms from acknowledgement to the last end': Math.max(...after) },
      }
    } finally {
      await stage.close()
    }
  },
}

interface Round {
  /** Milliseconds from the order. */
  readonly acknowledged: number
  readonly last: number
}

const row = (what: string, values: readonly number[]) => [
  what,
  decimal(median(values), 1),
  decimal(Math.max(...values), 1),
]

async function setStage() {
  const folder = await mkdtemp(join(tmpdir(), 'postern-stop-'))
  const upstream = createServer((_request, response) => {
    response.writeHead(200, { 'Content-Type': 'text/event-stream' })
    response.write('data: 1\n\n')
  }).listen(0, '127.0.0.1')
  await once(upstream, 'listening')
  const port = portOf(upstream)
  await writeFile(join(folder, 'postern.yaml'), configuration(folder, port))
  const program = fileURLToPath(new URL('../../cli/postern.js', import.meta.url))
  const proxy = spawn(process.execPath, [program, 'run'], { cwd: folder, stdio: 'ignore' })
  const admin = join(folder, 'admin/postern.sock')
  await until(() => askStatus(admin), proxy)
  const agentsSocket = join(folder, 'agents.sock')

  async function round(number: number): Promise<Round> {
    const open: { readonly stopped: boolean; readonly socket: Socket; ended?: number }[] = []
    for (let at = 0; at < agents; at++) {
      const stopped = at % 2 === 0
      const handle = await delegated(agentsSocket, `${agent}/${stopped ? 'stopped' : 'kept'}/r${number}-${at}`)
      for (let stream = 0; stream < streamsOfEach; stream++) {
        const socket = await opened(agentsSocket, port, handle)
        const entry: (typeof open)[number] = { stopped, socket }
        socket.on('close', () => {
          entry.ended = performance.now()
        })
        open.push(entry)
      }
    }
    const ends = Promise.all(open.filter(({ stopped }) => stopped).map(({ socket }) => once(socket, 'close')))
    const began = performance.now()
    const { stop: order, cut } = await askToStop(admin, {
      what: { kind: 'agent', id: `${agent}/stopped/*` },
      reason: 'the benchmark',
    })
    const acknowledged = performance.now() - began
    await ends
    const wrong = open.filter(({ stopped, ended }) => stopped !== (ended !== undefined))
    if (wrong.length > 0 || cut !== open.length / 2)
      throw new Error(`${wrong.length} streams ended wrongly, ${cut} cut`)
    const last = Math.max(...open.flatMap(({ stopped, ended = 0 }) => (stopped ? [ended] : []))) - began
    for (const { socket } of open) socket.destroy()
    await askToLift(admin, order.id)
    return { acknowledged, last }
  }

  return {
    round,
    async close() {
      const ended = once(proxy, 'exit')
      proxy.kill()
      await ended
      upstream.closeAllConnections()
      upstream.close()
      await rm(folder, { recursive: true })
    },
  }
}

function configuration(folder: string, port: number): string {
  return `version: 1
trustDomain: bench.example
records: { to: ./records.jsonl }
admin: { socket: ./admin/postern.sock }
listen:
  - { name: agents, address: unix://${folder}/agents.sock, accept: http-proxy, callers: [kernel], agent: ${agent} }
delegation: { grants: [{ agents: [${agent}], scopes: [stream.read] }] }
resolve: { localhost: [127.0.0.1] }
destinations:
  upstream: { hosts: [localhost], protocol: http, ports: [${port}], addresses: [127.0.0.0/8] }
rules:
  - { name: all, allow: { agents: ["${agent}/*"], to: upstream } }
`
}

async function delegated(path: string, to: string): Promise<string> {
  const body = JSON.stringify({ to, scopes: ['stream.read'] })
  const socket = connect(path)
  socket.write(
    `POST http://postern.internal/v1/delegations HTTP/1.1\r\nHost: postern.internal\r\nContent-Type: application/json\r\nContent-Length: ${body.length}\r\n\r\n${body}`,
  )
  const [, handle] = /"handle":"([^"]+)"/.exec(await received(socket, '"handle":"')) ?? []
  socket.destroy()
  if (handle === undefined) throw new Error('no delegation was made')
  return handle
}

/** A stream whose first event has come. */
async function opened(path: string, port: number, handle: string): Promise<Socket> {
  const socket = connect(path)
  socket.write(
    `GET http://localhost:${port}/stream HTTP/1.1\r\nHost: localhost:${port}\r\nDelegation-Ref: ${handle}\r\n\r\n`,
  )
  await received(socket, 'data: 1\n\n')
  return socket
}

async function received(socket: Socket, wanted: string): Promise<string> {
  let text = ''
  for await (const [chunk] of on(socket)) {
    text += chunk
    if (text.includes(wanted)) return text
  }
  throw new Error(`the connection ended after ${text}`)
}

/** The chunks of a socket, which goes on afterwards. */
async function* on(socket: Socket): AsyncGenerator<[Buffer]> {
  while (!socket.destroyed) yield (await once(socket, 'data')) as [Buffer]
}

async function until(probe: () => Promise<unknown>, proxy: ChildProcess): Promise<void> {
  for (const deadline = Date.now() + 20_000; ; await wait(50)) {
    try {
      await probe()
      return
    } catch (error) {
      if (Date.now() > deadline || proxy.exitCode !== null) throw error
    }
  }
}

function portOf(server: Server): number {
  const address = server.address()
  if (address === null || typeof address === 'string') throw new Error('no port')
  return address.port
}
