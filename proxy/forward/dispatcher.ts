// The forwarder: one pool of connections for each destination, each connection made by the guarded connector.
import { Agent, type Dispatcher, errors } from 'undici'
import type { Answer, Authorized, Destination, Injected, Signal } from '../exchange.ts'
import { Refusal } from '../refusal.ts'
import { AnswerHandler, emptyBody, type Settle } from './answer.ts'
import { bindsConnection } from './bound-connection.ts'
import { Connector, type IsOwn } from './connector.ts'
import type { Forwarder } from './forwarder.ts'
import { endWhenIdle } from './idle.ts'
import { mismatch } from './mismatch.ts'
import type { Mutual, MutualFor } from './mutual.ts'
import { Recent } from './recent.ts'
import type { Resolve } from './resolver.ts'
import { connectBy, originOf } from './undici.ts'

/** An idle upstream connection is closed after this; most servers keep theirs for longer, so that few die under a request. */
const idleConnection = 4_000
export const largestAnswerHead = 65_536

/** Methods that change nothing, so that one may be sent again when a kept connection turns out dead (RFC 9110 §9.2.2). */
const repeatable = new Set(['GET', 'HEAD', 'OPTIONS'])

interface Pool {
  /** What its connections are made with; with anything else there is another pool. */
  readonly mutual: Mutual | undefined
  readonly agent: Agent
  readonly connector: Connector
  /** The address last connected to, by origin. */
  readonly addresses: Recent<string>
}

export class PooledForwarder implements Forwarder {
  readonly #pools = new Map<Destination, Pool>()
  readonly #resolve: Resolve
  readonly #isOwn: IsOwn
  readonly #mutualFor: MutualFor
  /** Pools of certificates of before, until their exchanges have ended. */
  readonly #draining = new Set<Agent>()

  constructor(resolve: Resolve, isOwn: IsOwn, mutualFor: MutualFor = () => undefined) {
    this.#resolve = resolve
    this.#isOwn = isOwn
    this.#mutualFor = mutualFor
  }

  /** Of each destination that was used: its name, and how many of its hosts are remembered. */
  get remembered(): readonly (readonly [destination: string, hosts: number])[] {
    return Array.from(this.#pools, ([{ name }, { connector }]) => [name, connector.remembered])
  }

  forward(exchange: Injected, signal: Signal): Promise<Answer> {
    return new Promise((resolve, reject) => {
      if (exchange.upgrade !== undefined) {
        const upgraded = (answer: Answer) => resolve(endingWhenIdle(answer, exchange.destination))
        this.#send(exchange, signal, { resolve: upgraded, reject })
      } else if (exchange.body !== undefined || !repeatable.has(exchange.method)) {
        this.#send(exchange, signal, { resolve, reject })
      } else {
        // A kept connection may have been closed by the upstream while the request was on its way.
        const onceMore = (refusal: Refusal) => {
          if (signal.aborted || !(refusal.cause instanceof errors.SocketError)) reject(refusal)
          else this.#send(exchange, signal, { resolve, reject })
        }
        this.#send(exchange, signal, { resolve, reject: onceMore })
      }
    })
  }

  async tunnel(exchange: Authorized, signal: Signal): Promise<Answer> {
    const { connector } = this.#pool(exchange.destination, undefined)
    const socket = await connector.connect({ ...exchange.target, scheme: 'http' }, true)
    if (signal.aborted) {
      socket.destroy()
      throw signal.reason
    }
    endWhenIdle(socket, exchange.destination.timeouts.idle)
    const address = socket.remoteAddress
    const findings = mismatch(exchange.connection, exchange.target, connector.resolved(exchange.target.host))
    return { status: 200, statusText: '', headers: [], body: emptyBody, tunnel: socket, address, findings }
  }

  /** Ends every connection: at once with a reason, else when the exchanges under way have ended. */
  async close(reason?: Error): Promise<void> {
    const agents = [...[...this.#pools.values()].map(({ agent }) => agent), ...this.#draining]
    this.#pools.clear()
    await Promise.all(agents.map((agent) => (reason === undefined ? agent.close() : agent.destroy(reason))))
  }

  #send(exchange: Injected, signal: Signal, settle: Settle): void {
    const { destination } = exchange
    try {
      const mutual = this.#mutualFor(destination)
      if (!(mutual instanceof Promise)) dispatch(this.#pool(destination, mutual), exchange, signal, settle)
      else
        mutual.then((known) => dispatch(this.#pool(destination, known), exchange, signal, settle)).catch(settle.reject)
    } catch (error) {
      settle.reject(Refusal.from(error))
    }
  }

  #pool(destination: Destination, mutual: Mutual | undefined): Pool {
    const pool = this.#pools.get(destination)
    if (pool !== undefined && pool.mutual === mutual) return pool
    if (pool !== undefined) void this.#drain(pool.agent)
    const opened = openPool(destination, mutual, this.#resolve, this.#isOwn)
    this.#pools.set(destination, opened)
    return opened
  }

  async #drain(agent: Agent): Promise<void> {
    this.#draining.add(agent)
    await agent.close().catch(() => {})
    this.#draining.delete(agent)
  }
}

function dispatch({ agent, connector, addresses }: Pool, exchange: Injected, signal: Signal, settle: Settle): void {
  const { connection, target, outgoing, body, upgrade } = exchange
  const origin = originOf(target)
  const options: Dispatcher.DispatchOptions = {
    origin,
    path: outgoing.path,
    method: outgoing.method,
    headers: outgoing.headers as string[],
    body: body ?? null,
    upgrade: upgrade ?? null,
  }
  const findings = () => mismatch(connection, target, connector.resolved(target.host))
  // Set only then: undici makes decisions of its own where nothing is said.
  if (bindsConnection(outgoing.headers)) options.reset = true
  agent.dispatch(options, new AnswerHandler(settle, signal, () => addresses.get(origin), findings))
}

function endingWhenIdle(answer: Answer, { timeouts }: Destination): Answer {
  if (answer.tunnel !== undefined) endWhenIdle(answer.tunnel, timeouts.idle)
  return answer
}

function openPool(
  { addresses, ca, timeouts }: Destination,
  mutual: Mutual | undefined,
  resolve: Resolve,
  isOwn: IsOwn,
): Pool {
  const connector = new Connector({ addresses, ca, patience: timeouts.connect, ...mutual }, resolve, isOwn)
  const used = new Recent<string>()
  const agent = new Agent({
    connect: connectBy(connector, (place, address) => used.set(originOf(place), address)),
    pipelining: 1,
    keepAliveTimeout: idleConnection,
    headersTimeout: timeouts.headers,
    bodyTimeout: timeouts.idle,
    maxHeaderSize: largestAnswerHead,
  })
  return { mutual, agent, connector, addresses: used }
}
