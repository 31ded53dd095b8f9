// One port on which agents call: HTTP/1.1 with absolute-form targets and CONNECT, in clear on this machine or inside mutual TLS; or connections that were redirected here.
import { type IncomingMessage, type Server, ServerResponse } from 'node:http'
import type { Server as FrontServer, Socket } from 'node:net'
import type { Duplex } from 'node:stream'
import type { TLSSocket, TlsOptions } from 'node:tls'
import type { Limiter } from '../../policy/limits.ts'
import type { Caller, Captured, Connection, FailedConnection, Original, Reply } from '../exchange.ts'
import { Refusal } from '../refusal.ts'
import type { Turns } from '../turns.ts'
import type { Admit, Attempt } from './attempt.ts'
import { openTunnel } from './connect.ts'
import { Crowd, type CrowdLimit, type Member } from './crowd.ts'
import { Ending } from './ending.ts'
import { type Facts, factsOf, type PeerCredentials, presented } from './facts.ts'
import { Fronts } from './fronts.ts'
import { Handshakes, refusalOfHandshake } from './handshakes.ts'
import { createParser, refusalOfParser } from './parser.ts'
import { rate, rateLimits } from './rates.ts'
import { Reading, type readingLimits } from './reading.ts'
import { openRedirected } from './redirected.ts'
import { endWith, HttpReply, refuseOnSocket } from './reply.ts'
import { captureRequest, type Place } from './request.ts'
import { requestId } from './request-id.ts'
import type { ListenAddress } from './settings.ts'
import { type Asked, SocketReply } from './socket-reply.ts'
import type { Leaves } from './terminate.ts'

/** What a listener does with what it captures; the pipeline stands behind it. */
export interface Doors {
  handle(captured: Captured, reply: Reply): Promise<void>
  tunnel(captured: Captured, reply: Reply): Promise<void>
  readonly admit: Admit
  /** Resolves when another request may be read from the connection; undefined: at once. */
  room(connection: Connection): undefined | Promise<void>
  failed(failure: FailedConnection): void
}

export interface ListenerOptions {
  readonly name: string
  readonly address: ListenAddress
  /** How many ports there are, from that of the address on; one unless told. */
  readonly ports?: number
  readonly accept: Connection['accept']
  /** For `https-proxy`: this process's certificate and key, asked for once at the start; `Listener.present` replaces it. */
  readonly tls: TlsOptions | undefined
  readonly doors: Doors
  readonly leaves: Leaves
  readonly now: () => number
  /** The kernel's word on the other end of a UNIX socket, where it can be asked. */
  readonly peerCredentials: (socket: Socket) => PeerCredentials | undefined
  /** For `redirected`: where a connection was going, as the kernel remembers it, and whether that is this proxy itself. */
  readonly redirection?: {
    readonly originalDestination: (socket: Socket) => Original | undefined
    readonly isOwn: (address: string, port: number) => boolean
  }
  /** What keeps those who call here from every other way out. */
  readonly isolation?: Connection['isolation']
  /** Told of each connection. */
  readonly onAccept?: () => void
  /** Told when a limit closes a connection. */
  readonly onLimit?: (limit: ListenerLimit) => void
  /** Shared with all that the same thread serves. */
  readonly turns: Turns
  /** Others than usual, to reach them sooner. */
  readonly limits?: typeof limits
  readonly rates?: typeof rateLimits
  readonly reading?: typeof readingLimits
}

export type ListenerLimit = CrowdLimit | 'handshakes' | 'leaves'

/** Limits of a head and of patience; `docs/limits.md` says what each does. */
export const limits = {
  /** Milliseconds between two looks for heads that are late. */
  lookEvery: 5_000,
  headBytes: 32_768,
  headMilliseconds: 15_000,
  idleMilliseconds: 65_000,
  firstBytesMilliseconds: 15_000,
}

interface Context {
  readonly facts: Facts
  readonly member: Member
  /** Set inside a tunnel: where CONNECT said that it leads, and who asked. */
  readonly tunnel: { readonly place: Place; readonly connection: Connection } | undefined
  /** Requests on this connection altogether, those that are not answered yet, and the last one of them. */
  asked: number
  underWay: number
  last: { readonly message: IncomingMessage; readonly response: ServerResponse } | undefined
  /** What is to be said when they are. */
  farewell: (() => void) | undefined
}

export class Listener {
  readonly #options: ListenerOptions
  readonly #fronts: Fronts
  /** Reads requests from every connection and every tunnel; it does not listen itself. */
  readonly #http: Server
  readonly #contexts = new WeakMap<Duplex, Context>()
  readonly #crowd: Crowd
  readonly #limits: typeof limits
  /** Undefined where callers come in clear. */
  readonly #handshakes: Handshakes | undefined
  readonly #leaves: Limiter
  /** Connections on which a parser gave up: what is still in its buffers must not be read as requests. */
  readonly #spoilt = new WeakSet<Duplex>()
  /** Tunnels in which something was asked. */
  readonly #used = new WeakSet<Duplex>()
  /** Connections on which a tunnel is being opened. */
  readonly #opening = new Set<Duplex>()
  readonly #ending = new Ending()
  readonly #reading: Reading

  constructor(options: ListenerOptions) {
    this.#options = options
    this.#limits = options.limits ?? limits
    const rates = options.rates ?? rateLimits
    this.#leaves = rate(rates.leaves)
    this.#reading = new Reading(options.reading)
    this.#crowd = new Crowd((limit) => options.onLimit?.(limit))
    const { tls, turns, now } = options
    if (options.accept === 'https-proxy' && tls !== undefined)
      this.#handshakes = new Handshakes({
        tls,
        turns,
        now,
        rate: rate(rates.handshakes),
        patience: this.#limits.headMilliseconds,
        onLimit: () => options.onLimit?.('handshakes'),
      })
    this.#fronts = new Fronts({
      address: options.address,
      ports: options.ports ?? 1,
      allowHalfOpen: this.#handshakes === undefined,
      onSocket: (socket) => this.#admitted(socket),
    })
    this.#http = createParser(this.#limits)
    this.#http
      .on('request', (message, response) => this.#request(message, response, undefined))
      .on('checkContinue', (message, response) => this.#request(message, response, () => response.writeContinue()))
      .on('checkExpectation', (message, response) => this.#request(message, response, undefined))
      .on('upgrade', (message, socket, head) => this.#upgrade(message, socket, head))
      .on('connect', (message, _, head) => void this.#connect(message, head))
      .on('clientError', (error, socket) => void this.#clientError(error, socket as Socket))
  }

  /**
   * @param handed a server that listens already, such as one that another process opened where we are not; this one
   *   takes its place, and `handed` must not be used any more
   * @returns the address listened on, its port chosen by the system where 0 was asked for
   */
  listen(handed?: FrontServer): Promise<ListenAddress> {
    return this.#fronts.listen(handed)
  }

  /** Ports listened on. */
  get ports(): readonly number[] {
    return this.#fronts.ports
  }

  /** Connections open now. */
  get connections(): number {
    return this.#crowd.size
  }

  /** Connections that wait to be read. */
  get waiting(): number {
    return this.#reading.waiting
  }

  /** Replaces the certificate for handshakes to come. */
  present(tls: TlsOptions): void {
    this.#handshakes?.present(tls)
  }

  /** Takes no new connection; lets exchanges under way end for so long, then cuts them. */
  async close(graceMilliseconds: number): Promise<void> {
    this.#ending.begin()
    const closed = this.#fronts.close()
    this.#http.close()
    this.#http.closeIdleConnections()
    for (const socket of this.#opening) socket.destroy()
    const cut = setTimeout(() => this.#cut(), graceMilliseconds)
    await closed
    clearTimeout(cut)
    await this.#ending.nothingUnderWay()
  }

  #cut(): void {
    this.#ending.cut()
    for (const socket of this.#crowd) socket.destroy()
  }

  #admitted(socket: Socket): void {
    // Before a handshake too, so that whoever never ends one does not hold up our end.
    const member = this.#crowd.enter(socket)
    socket.on('error', () => socket.destroy())
    if (member === undefined) socket.destroy()
    else if (this.#handshakes === undefined) this.#accept(socket, member)
    else void this.#greet(socket, member, this.#handshakes)
  }

  async #greet(socket: Socket, member: Member, handshakes: Handshakes): Promise<void> {
    try {
      const secured = await handshakes.greet(socket, member.source)
      if (secured !== undefined) this.#accept(secured, member)
    } catch (error) {
      this.#handshakeFailed(error instanceof Error ? error : new Error(String(error)), socket)
    }
  }

  #accept(socket: Socket | TLSSocket, member: Member): void {
    const { name, accept, now, peerCredentials, redirection, isolation, onAccept } = this.#options
    onAccept?.()
    const original = redirection?.originalDestination(socket)
    const id = requestId(now())
    const facts = factsOf(socket, { id, listener: name, accept, peerCredentials, original, isolation })
    if (redirection !== undefined) return void this.#redirected(socket, member, facts, redirection.isOwn)
    this.#read(socket, unused({ facts, member, tunnel: undefined }))
  }

  #read(socket: Socket, context: Context): void {
    this.#contexts.set(socket, context)
    this.#http.emit('connection', socket)
    this.#reading.watch(socket, context)
  }

  #handshakeFailed(error: NodeJS.ErrnoException, socket: Socket): void {
    const { name, accept, now, peerCredentials, isolation } = this.#options
    const refusal = refusalOfHandshake(error)
    if (refusal !== undefined) {
      const id = requestId(now())
      const facts = factsOf(socket, { id, listener: name, accept, peerCredentials, original: undefined, isolation })
      this.#fail(id, facts.connection(undefined), undefined, undefined, refusal)
    }
    socket.destroy()
  }

  #request(message: IncomingMessage, response: ServerResponse, onBody: (() => void) | undefined): void {
    const context = this.#context(message.socket)
    if (context === undefined) return
    this.#pass(context, message, response, false, onBody ?? (() => {}))
  }

  #upgrade(message: IncomingMessage, socket: Duplex, head: Buffer): void {
    const context = this.#context(socket)
    if (context === undefined) return
    socket.on('error', () => socket.destroy())
    if (context.underWay > 0) {
      this.#overtaking(socket, context)
      return
    }
    this.#reading.handOver(message.socket)
    if (head.length > 0) socket.unshift(head)
    const response = new ServerResponse(message)
    response.shouldKeepAlive = false
    response.assignSocket(message.socket)
    // Nobody reads what was sent behind a change of protocol that was declined; left there, it would keep the connection open.
    response.on('finish', () => endWith(socket.resume(), ''))
    this.#pass(context, message, response, true, () => {})
  }

  #pass(
    context: Context,
    message: IncomingMessage,
    response: ServerResponse,
    upgrading: boolean,
    onBody: () => void,
  ): void {
    const { doors, now } = this.#options
    this.#used.add(message.socket)
    const connection = context.tunnel?.connection ?? context.facts.connection(presented(message.rawHeaders))
    let captured: Captured
    try {
      if (this.#ending.begun) throw new Refusal('shutting_down')
      captured = captureRequest(message, connection, context.tunnel?.place, now(), upgrading, onBody)
    } catch (error) {
      const id = requestId(now())
      const refusal = Refusal.from(error)
      this.#fail(id, connection, context.tunnel?.place.host, undefined, refusal)
      // Where one head is in doubt, so is where the next one begins.
      this.#spoilt.add(message.socket)
      response.shouldKeepAlive = false
      void new HttpReply(id, message, response, this.#ending).refuse(refusal)
      return
    }
    context.last = { message, response }
    const reply = new HttpReply(captured.id, message, response, this.#ending)
    void this.#follow(doors.handle(captured, reply), context).then(() =>
      this.#hold(message.socket, connection, context),
    )
  }

  /** @param exchange never rejects; ends when it is recorded */
  #follow(exchange: Promise<void>, context: Context): Promise<void> {
    context.asked += 1
    context.underWay += 1
    context.member.entered()
    this.#ending.entered()
    return exchange.then(() => {
      this.#ending.left()
      context.underWay -= 1
      context.member.left()
      if (context.underWay === 0) {
        // An idle connection holds nothing of what passed on it.
        context.last = undefined
        context.farewell?.()
      }
      if (this.#ending.begun) this.#http.closeIdleConnections()
    })
  }

  /** Where there is no room for more requests of a caller, the next one stays unread. */
  #hold(socket: Socket, connection: Connection, { underWay }: Context): void {
    if (underWay > 0 || socket.destroyed) return
    const room = this.#options.doors.room(connection)
    if (room !== undefined) this.#reading.hold(socket, room)
  }

  /** The connection is to become another one while answers on it are still to come; what belongs to whom could not be told. */
  #overtaking(socket: Duplex, context: Context): void {
    const detail = 'CONNECT or Upgrade before earlier requests on the connection were answered'
    const connection = context.tunnel?.connection ?? context.facts.connection(undefined)
    const refusal = new Refusal('bad_request', { detail })
    this.#fail(requestId(this.#options.now()), connection, context.tunnel?.place.host, undefined, refusal)
    socket.destroy()
  }

  async #connect(message: IncomingMessage, head: Buffer): Promise<void> {
    const { socket } = message
    const context = this.#context(socket)
    if (context === undefined) return
    socket.on('error', () => socket.destroy())
    if (context.underWay > 0) return this.#overtaking(socket, context)
    this.#reading.handOver(socket)
    const connection = context.facts.connection(presented(message.rawHeaders))
    const id = requestId(this.#options.now())
    if (context.tunnel !== undefined || connection.original !== undefined || this.#ending.begun) {
      const refusal = this.#ending.begun
        ? new Refusal('shutting_down')
        : new Refusal('bad_request', { detail: 'CONNECT inside a tunnel, or to a proxy elsewhere' })
      this.#fail(id, connection, context.tunnel?.place.host, undefined, refusal)
      return refuseOnSocket(socket, refusal, id)
    }
    const attempt = this.#attempt('by-connect', id, socket, connection, context)
    const opened = await openTunnel({ ...attempt, message, head })
    this.#opening.delete(socket)
    if (opened !== undefined) this.#enter(id, opened.socket, context, connection, opened)
  }

  async #redirected(
    socket: Socket,
    member: Member,
    facts: Facts,
    isOwn: (address: string, port: number) => boolean,
  ): Promise<void> {
    const connection = facts.connection(undefined)
    const { id } = connection
    const context = unused({ facts, member, tunnel: undefined })
    const attempt = this.#attempt('by-address', id, socket, connection, context)
    const opened = await openRedirected({ ...attempt, isOwn })
    this.#opening.delete(socket)
    if (opened === undefined) return
    if (opened.secured !== undefined)
      return this.#enter(id, opened.socket, { facts, member }, connection, opened.secured)
    this.#read(socket, context)
  }

  #attempt(asked: Asked, id: string, socket: Socket, connection: Connection, context: Context): Attempt {
    const { doors, leaves, now } = this.#options
    this.#opening.add(socket)
    return {
      id,
      socket,
      connection,
      now: now(),
      leaves,
      patience: this.#limits.firstBytesMilliseconds,
      mayMint: this.#mayMint,
      admit: doors.admit,
      opaque: (captured) => {
        this.#opening.delete(socket)
        return this.#follow(doors.tunnel(captured, new SocketReply(id, socket, this.#ending, asked)), context)
      },
      failed: (host, caller, refusal) =>
        this.#fail(id, connection, host, caller, this.#ending.begun ? new Refusal('shutting_down') : refusal),
    }
  }

  /** @throws Refusal `too_many_hosts` */
  readonly #mayMint = (caller: Caller, host: string): void => {
    const { leaves, now, onLimit } = this.#options
    if (leaves.has(host)) return
    const wait = this.#leaves.take(caller.id, now())
    if (wait === 0) return
    onLimit?.('leaves')
    throw new Refusal('too_many_hosts', { detail: 'a leaf for each new host costs a signature', retryAfter: wait })
  }

  /** Requests are read from the inside of a tunnel. */
  #enter(
    id: string,
    socket: Socket,
    { facts, member }: Pick<Context, 'facts' | 'member'>,
    connection: Connection,
    { place, caller }: { readonly place: Place; readonly caller: Caller },
  ): void {
    socket.once('close', () => {
      if (this.#used.has(socket) || this.#spoilt.has(socket) || this.#ending.begun) return
      // Clients that verify only after the handshake, Node among them, show their distrust in this way alone.
      const detail =
        'closed before any request; a client that does not trust the certificate made for this host does that'
      this.#fail(id, connection, place.host, caller, new Refusal('client_gone', { detail }))
    })
    this.#read(socket, unused({ facts, member, tunnel: { place, connection } }))
  }

  async #clientError(error: NodeJS.ErrnoException, socket: Socket): Promise<void> {
    const refusal = refusalOfParser(error)
    if (refusal === undefined) {
      socket.destroy()
      return
    }
    const context = this.#context(socket)
    if (context === undefined) return
    this.#spoilt.add(socket)
    // The parser would fail again over all that is still to come.
    this.#reading.stop(socket)
    this.#ending.entered()
    if (refusal.reason === 'request_timeout') await this.#options.turns.late(context.member.source)
    const id = requestId(this.#options.now())
    const connection = context.tunnel?.connection ?? context.facts.connection(undefined)
    this.#fail(id, connection, context.tunnel?.place.host, undefined, refusal)
    this.#ending.left()
    const { underWay, last } = context
    if (underWay === 0) refuseOnSocket(socket, refusal, id)
    // What was asked before is answered before, or the refusal would be taken for its answer.
    else if (last?.message.complete === true) context.farewell = () => refuseOnSocket(socket, refusal, id)
    // The body of the last one is what is malformed, so no answer to it is to be waited for.
    else if (underWay === 1 && last?.response.headersSent === false) refuseOnSocket(socket, refusal, id)
    else socket.destroy()
  }

  /** Undefined where nothing more is to be read; the connection ends with the refusal that is on its way. */
  #context(socket: Duplex): Context | undefined {
    if (this.#spoilt.has(socket)) return undefined
    const context = this.#contexts.get(socket)
    if (context === undefined) socket.destroy()
    return context
  }

  #fail(
    id: string,
    connection: Connection,
    host: string | undefined,
    caller: Caller | undefined,
    refusal: Refusal,
  ): void {
    const now = this.#options.now()
    this.#options.doors.failed({
      kind: 'connection',
      id,
      receivedAt: now,
      connection,
      caller,
      host,
      refusal,
      endedAt: now,
    })
  }
}

function unused(of: Pick<Context, 'facts' | 'member' | 'tunnel'>): Context {
  return { ...of, asked: 0, underWay: 0, last: undefined, farewell: undefined }
}
