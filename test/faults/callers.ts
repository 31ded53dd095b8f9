// Agents that ask at a constant rate, and what came of each request.
import { once } from 'node:events'
import { Agent, type IncomingMessage, request } from 'node:http'
import { through } from '../support/through.ts'
import { hostOfB, hostsOfA, type World } from './world.ts'

export interface Outcome {
  /** `answered` by the destination, `refused` by the proxy, `cut` after the head, `broken` without one. */
  readonly kind: 'answered' | 'refused' | 'cut' | 'broken'
  /** Of the answer. */
  readonly status: number
  /** Of a refusal, or what broke. */
  readonly reason: string
  readonly id: string | undefined
  readonly milliseconds: number
}

/**
 * Who asks what. `A new` asks another host each time, whose name is not known yet. `key` of B carries a credential, `open`
 * none, `tunnel` is a new connection each with a credential.
 */
export type Stream = 'A' | 'A new' | 'B key' | 'B open' | 'B tunnel'

/** After so long nobody waits: that is a proxy that hangs. Milliseconds. */
const patience = 15_000
const refusalType = 'https://postern.internal/v1/reasons/'

/** A second, by listener. */
const rates: readonly { readonly stream: Stream; readonly listener: string; readonly rate: number }[] = [
  { stream: 'A', listener: 'one', rate: 10 },
  { stream: 'A', listener: 'both', rate: 4 },
  { stream: 'A new', listener: 'one', rate: 4 },
  { stream: 'B key', listener: 'two', rate: 6 },
  { stream: 'B key', listener: 'both', rate: 4 },
  { stream: 'B open', listener: 'two', rate: 8 },
  { stream: 'B tunnel', listener: 'two', rate: 2 },
]

export class Callers {
  readonly #world: World
  readonly #ca: string
  readonly #agent = new Agent({ keepAlive: true, maxSockets: 200 })
  readonly #timers: NodeJS.Timeout[] = []
  readonly #underWay = new Set<Promise<void>>()
  #heard: (stream: Stream, outcome: Outcome) => void = () => {}
  #number = 0

  /** @param ca PEM of what agents trust */
  constructor(world: World, ca: string) {
    this.#world = world
    this.#ca = ca
  }

  /** @param streams what is asked; everything unless told */
  start(streams: readonly Stream[] = rates.map(({ stream }) => stream)): void {
    for (const { stream, listener, rate } of rates.filter(({ stream }) => streams.includes(stream)))
      this.#timers.push(setInterval(() => this.#begin(stream, listener), 1_000 / rate))
  }

  /** Where outcomes of what is begun from here on go. */
  listen(heard: (stream: Stream, outcome: Outcome) => void): void {
    this.#heard = heard
  }

  /** Waits for what is under way. */
  async settled(): Promise<void> {
    await Promise.all(this.#underWay)
  }

  async stop(): Promise<void> {
    for (const timer of this.#timers) clearInterval(timer)
    await this.settled()
    this.#agent.destroy()
  }

  /** @param host of A; any of them without */
  async ask(
    stream: Stream,
    listener: string,
    host = hostsOfA[this.#number++ % hostsOfA.length] ?? '',
  ): Promise<Outcome> {
    const began = performance.now()
    const outcome = await (stream === 'B tunnel' ? this.#tunnel(listener) : this.#plain(stream, listener, host))
    return { ...outcome, milliseconds: performance.now() - began }
  }

  #begin(stream: Stream, listener: string): void {
    const heard = this.#heard
    const work: Promise<void> = this.ask(stream, listener)
      .then((outcome) => heard(stream, outcome))
      .finally(() => this.#underWay.delete(work))
    this.#underWay.add(work)
  }

  async #plain(stream: Stream, listener: string, hostOfA: string): Promise<Omit<Outcome, 'milliseconds'>> {
    const { a, b, openB } = this.#world.ports
    const [scheme, authority] = {
      A: ['https', `${hostOfA}:${a}`] as const,
      'A new': ['https', `${this.#newHost()}:${a}`] as const,
      'B key': ['https', `${hostOfB}:${b}`] as const,
      'B tunnel': ['https', ''] as const,
      'B open': ['http', `open.b.test:${openB}`] as const,
    }[stream]
    const asked = request({
      host: '127.0.0.1',
      port: this.#world.proxy.port(listener),
      path: `${scheme}://${authority}/`,
      headers: { host: authority },
      agent: this.#agent,
      signal: AbortSignal.timeout(patience),
    }).end()
    // Errors after the answer has begun come with its body as well.
    asked.on('error', () => {})
    let answer: IncomingMessage
    try {
      ;[answer] = await once(asked, 'response')
    } catch (error) {
      return { kind: 'broken', status: 0, reason: codeOf(error), id: undefined }
    }
    const { statusCode: status = 0 } = answer
    const id = answer.headers['postern-request-id']?.toString()
    let body = ''
    try {
      for await (const chunk of answer) body += chunk
    } catch (error) {
      return { kind: 'cut', status, reason: codeOf(error), id }
    }
    return { ...told(status, body), id }
  }

  #newHost(): string {
    // Without a name server there are only those that are known.
    return this.#world.parts.has('DNS') ? `new-${this.#number++}.a.test` : (hostsOfA[0] ?? '')
  }

  async #tunnel(listener: string): Promise<Omit<Outcome, 'milliseconds'>> {
    const way = { port: this.#world.proxy.port(listener), ca: this.#ca }
    try {
      await using client = await through(way, hostOfB, this.#world.ports.b)
      const { status, text, field } = await client.request([
        'GET / HTTP/1.1',
        `Host: ${hostOfB}:${this.#world.ports.b}`,
      ])
      return { ...told(status, text), id: field('postern-request-id') }
    } catch (error) {
      return { kind: 'broken', status: 0, reason: codeOf(error), id: undefined }
    }
  }
}

function told(status: number, body: string): Pick<Outcome, 'kind' | 'status' | 'reason'> {
  if (status >= 400 && body.includes(refusalType)) {
    const { reason } = JSON.parse(body)
    return { kind: 'refused', status, reason }
  }
  return { kind: 'answered', status, reason: '' }
}

function codeOf(error: unknown): string {
  if (error instanceof Error) return 'code' in error && typeof error.code === 'string' ? error.code : error.message
  return String(error)
}
