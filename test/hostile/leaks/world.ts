// A proxy in front of an upstream that says whatever it is told to about the credential that it was sent.
import type { Socket } from 'node:net'
import { agentId, agentsListener, openGate, type TestGate } from '../../support/gate.ts'
import { rawUpstream } from '../../support/upstream.ts'
import { ConnectionEnded, WireClient } from '../../support/wire-client.ts'
import type { Wire } from './places.ts'

const token = 'sk-proj-Zq8/fT3+xW_1aQ=9kLmN~7'
const claims = { iss: 'login.acme.example', sub: 'spiffe://acme.example/ns/agents/sa/researcher', exp: 1_999_999_999 }
const jwt = [
  '{"alg":"RS256","typ":"JWT"}',
  JSON.stringify(claims),
  Buffer.from(Array.from({ length: 256 }, (_, at) => (at * 89 + 7) % 256)),
]
  .map((part) => Buffer.from(part).toString('base64url'))
  .join('.')

interface Way {
  readonly secret: string
  /** Of the rule. */
  readonly inject: string
  /** What the upstream makes of the request that it got. */
  read(head: string): string | undefined
}

const basic = (head: string) =>
  Buffer.from(/authorization: basic (\S+)/i.exec(head)?.[1] ?? '', 'base64').toString('latin1')

/** How the credential goes there. Each is a rule for a path. */
export const ways: Readonly<Record<string, Way>> = {
  bearer: { secret: token, inject: 'bearer', read: (head) => /authorization: bearer (\S+)/i.exec(head)?.[1] },
  header: {
    secret: 'p%41ss "w&rd\\/;<:> +x',
    inject: '{ header: X-Api-Key }',
    read: (head) => /x-api-key: (.*)/i.exec(head)?.[1],
  },
  query: {
    secret: 'Q~k3y/with+Plus=and&Amp',
    inject: '{ query: key }',
    read: (head) => decodeURIComponent(/[?&]key=([^& ]*)/.exec(head)?.[1] ?? ''),
  },
  basic: { secret: 'robots:Pass-w0rd/31', inject: 'basic', read: (head) => basic(head).replace(/^robot:/, '') },
  jwt: { secret: jwt, inject: 'bearer', read: (head) => /authorization: bearer (\S+)/i.exec(head)?.[1] },
}

/** Makes the answer out of the credential that came. */
export type Answering = (secret: string) => Promise<Wire>

/** Everything that the agent got of one answer. */
export interface Got {
  readonly raw: Buffer
  readonly status: number | undefined
  /** The connection ended before the answer did. */
  readonly broken: boolean
}

export interface World extends AsyncDisposable {
  readonly gate: TestGate
  readonly port: number
  /** Requests that came without the credential. */
  readonly missing: () => number
  /** Heads of requests that came, newest last; at most a hundred. */
  readonly seen: readonly string[]
  agent(): Agent
}

export async function openWorld({ echo = 'redact' } = {}): Promise<World> {
  const asked = new Map<string, Answering>()
  const seen: string[] = []
  let missing = 0
  let asking = 0
  const upstream = await rawUpstream((socket) => serve(socket))

  function serve(socket: Socket): void {
    let came = ''
    let going = Promise.resolve()
    let upgraded = false
    socket.setNoDelay(true)
    socket.on('data', (chunk: Buffer) => {
      if (upgraded) return
      came += chunk.toString('latin1')
      const end = came.indexOf('\r\n\r\n')
      if (end === -1) return
      const head = came.slice(0, end)
      came = ''
      upgraded = /^upgrade:/im.test(head)
      going = going.then(() => respond(head, socket))
    })
  }

  async function respond(head: string, socket: Socket): Promise<void> {
    if (seen.push(head) > 100) seen.shift()
    const [, way = '', id = ''] = /^\S+ \/(\w+)\/(\d+)/.exec(head) ?? []
    const answering = asked.get(id)
    const secret = ways[way]?.read(head)
    if (answering === undefined || secret !== ways[way]?.secret) missing++
    const { pieces, ends } = (await answering?.(secret ?? '')) ?? { pieces: [], ends: true }
    // One after the other, each as a segment of its own where it can be.
    for (const piece of pieces) await new Promise<void>((done) => socket.write(piece, () => done()))
    if (ends) socket.end()
  }

  const port = upstream.port
  const gate = await openGate(
    `${agentsListener}resolve: { localhost: [127.0.0.1] }
destinations:
  api: { hosts: [localhost], protocol: http, ports: [${port}], addresses: [127.0.0.0/8], echo: ${echo} }
credentials:
${Object.keys(ways)
  .map(
    (name) =>
      `  ${name}: { kind: env, variable: ${name.toUpperCase()}, ${name === 'basic' ? 'username: robot, ' : ''}for: [api] }\n`,
  )
  .join('')}rules:
${Object.entries(ways)
  .map(
    ([name, { inject }]) =>
      `  - { name: ${name}, allow: { agents: [${agentId}], to: api, paths: [/${name}/**] }, use: ${name}, inject: ${inject} }\n`,
  )
  .join('')}`,
    { environment: Object.fromEntries(Object.entries(ways).map(([name, { secret }]) => [name.toUpperCase(), secret])) },
  )
  return {
    gate,
    port,
    missing: () => missing,
    seen,
    agent: () =>
      new Agent(gate.port(), port, (answering) => {
        const id = String(asking++)
        asked.set(id, answering)
        return { id, done: () => asked.delete(id) }
      }),
    async [Symbol.asyncDispose]() {
      await gate[Symbol.asyncDispose]()
      await upstream.close()
    },
  }
}

/** Asks one thing after the other, over one connection as long as that lasts, and keeps every byte that comes. */
export class Agent implements AsyncDisposable {
  readonly #gatePort: number
  readonly #port: number
  readonly #plan: (answering: Answering) => { readonly id: string; done(): void }
  #client: WireClient | undefined
  #raw: Buffer[] = []

  constructor(gatePort: number, port: number, plan: (answering: Answering) => { readonly id: string; done(): void }) {
    this.#gatePort = gatePort
    this.#port = port
    this.#plan = plan
  }

  /** @param fields further header lines */
  async ask(way: string, method: string, answering: Answering, ...fields: readonly string[]): Promise<Got> {
    const { id, done } = this.#plan(answering)
    const client = await this.#connected()
    this.#raw = []
    try {
      const authority = `localhost:${this.#port}`
      const length = method === 'POST' ? ['Content-Length: 0'] : []
      const { status, field } = await client.request([
        `${method} http://${authority}/${way}/${id} HTTP/1.1`,
        `Host: ${authority}`,
        ...length,
        ...fields,
      ])
      if (field('connection')?.toLowerCase() === 'close') await this.#leave()
      return { raw: Buffer.concat(this.#raw), status, broken: false }
    } catch (error) {
      if (!(error instanceof ConnectionEnded)) throw error
      await this.#leave()
      return { raw: Buffer.concat(this.#raw), status: undefined, broken: true }
    } finally {
      done()
    }
  }

  /** All that comes after an upgrade, until the upstream or the proxy ends it. */
  async upgrade(way: string, protocol: string, answering: Answering, ...fields: readonly string[]): Promise<Buffer> {
    await this.#leave()
    const { id, done } = this.#plan(answering)
    const client = await this.#connected()
    this.#raw = []
    const authority = `localhost:${this.#port}`
    client.send(
      [
        `GET http://${authority}/${way}/${id} HTTP/1.1`,
        `Host: ${authority}`,
        'Connection: Upgrade',
        `Upgrade: ${protocol}`,
        ...fields,
        '',
        '',
      ].join('\r\n'),
    )
    const { status } = await client.answer()
    if (status === 101) await client.rest()
    done()
    const raw = Buffer.concat(this.#raw)
    await this.#leave()
    return raw
  }

  async #connected(): Promise<WireClient> {
    if (this.#client !== undefined) return this.#client
    const client = await WireClient.open({ host: '127.0.0.1', port: this.#gatePort })
    client.socket.on('data', (chunk: Buffer) => this.#raw.push(chunk))
    this.#client = client
    return client
  }

  async #leave(): Promise<void> {
    await this.#client?.[Symbol.asyncDispose]()
    this.#client = undefined
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.#leave()
  }
}
