// Gives an answer, or a refusal, to the agent.
import type { IncomingMessage, ServerResponse } from 'node:http'
import { STATUS_CODES } from 'node:http'
import type { Duplex } from 'node:stream'
import type { Answer, BodySink, Delivered, Flow, HeaderList, Reply, Signal } from '../exchange.ts'
import { Refusal } from '../refusal.ts'
import { Withdrawal } from '../withdrawal.ts'
import type { Ending } from './ending.ts'
import { splice } from './splice.ts'

/** Milliseconds that a client has for reading last words and closing its side. */
const patience = 1_000

/** Bytes of a body that goes into one piece with its head: as text, since that is what Node joins a head to. */
const smallBody = 16_384

/** The field that carries a request's id, in every answer and refusal. */
const idField = 'Postern-Request-Id'

export class HttpReply implements Reply, BodySink {
  readonly #id: string
  readonly #request: IncomingMessage
  readonly #response: ServerResponse
  readonly #listenerEnds: Ending
  readonly #gone = new Withdrawal()
  /** Aborted when access to a connection that was handed over is withdrawn. */
  #severed: Withdrawal | undefined
  #flow: Flow | undefined
  #sent = 0
  /** Length of the body as its head announces it. */
  #announced: number | undefined
  #failure: Refusal | undefined
  #delivered: ((delivered: Delivered) => void) | undefined

  constructor(id: string, request: IncomingMessage, response: ServerResponse, listenerEnds: Ending) {
    this.#id = id
    this.#request = request
    this.#response = response
    this.#listenerEnds = listenerEnds
    response.on('close', () => this.#closed())
  }

  get signal(): Signal {
    if (this.#response.destroyed && !this.#gone.aborted) this.#gone.abort(new Refusal('client_gone'))
    return this.#gone
  }

  cut(refusal: Refusal): boolean {
    if (this.#failure !== undefined || this.#response.destroyed || this.#response.writableFinished) return false
    if (this.#gone.aborted) return false
    this.#severed?.abort(refusal)
    // Ends what a step waits for, which then refuses.
    this.#gone.abort(refusal)
    if (this.#delivered !== undefined) this.fail(refusal)
    return true
  }

  send(answer: Answer): Promise<Delivered> {
    if (answer.tunnel !== undefined) return this.#switch(answer, answer.tunnel)
    const response = this.#response
    return new Promise((resolve) => {
      this.#delivered = resolve
      if (response.destroyed) {
        this.#flow = answer.body.deliver(this)
        this.#closed()
        return
      }
      response.sendDate = false
      if (this.#listenerEnds.begun) response.shouldKeepAlive = false
      response.writeHead(answer.status, answer.statusText || undefined, [...answer.headers, idField, this.#id])
      this.#announced = lengthIn(answer.headers)
      this.#flow = answer.body.deliver(this)
      // The head does not wait for a body that takes its time.
      if (this.#sent === 0 && !response.writableEnded && !response.destroyed) response.flushHeaders()
    })
  }

  refuse(refusal: Refusal): Promise<Delivered> {
    const response = this.#response
    this.#failure = refusal
    return new Promise((resolve) => {
      this.#delivered = resolve
      if (response.destroyed) return this.#closed()
      if (response.headersSent) return response.destroy()
      const body = JSON.stringify(refusal.problem(this.#id))
      const status = statusFor(refusal)
      // With its own text: one that an answer was to have may stand there already.
      response.writeHead(status, STATUS_CODES[status] ?? '', [
        ...refusalFields(refusal, body),
        idField,
        this.#id,
        // What is left of an unread body must not be read as the next request.
        ...(this.#request.complete ? [] : ['Connection', 'close']),
      ])
      response.end(body)
    })
  }

  data(chunk: Uint8Array): boolean {
    this.#sent += chunk.length
    const response = this.#response
    if (this.#sent === this.#announced) {
      // The last of it: head, body and end leave in one write where the body is small.
      if (chunk.length > smallBody || response.headersSent) response.end(chunk)
      else response.end(asText(chunk), 'latin1')
      return true
    }
    if (response.write(chunk)) return true
    response.once('drain', () => this.#flow?.resume())
    return false
  }

  end(trailers: HeaderList): void {
    if (this.#response.writableEnded) return
    // Trailers have a place in chunked bodies only (RFC 9110 §6.5.1).
    if (trailers.length > 0) this.#response.addTrailers(pairs(trailers))
    this.#response.end()
  }

  fail(error: Error): void {
    this.#failure = Refusal.from(error)
    // A chunked body that ends without its last chunk, or one shorter than announced, tells the agent that it is not whole.
    this.#response.destroy()
  }

  #closed(): void {
    const whole = this.#response.writableFinished
    if (!whole) {
      this.#failure ??= this.#listenerEnds.reason
      const reason = this.#failure ?? new Refusal('client_gone', { detail: 'the client closed the connection' })
      this.#gone.abort(reason)
      this.#flow?.cancel(reason)
    }
    this.#delivered?.({ ended: this.#ending(whole), refusal: this.#failure, sent: this.#sent })
  }

  #ending(whole: boolean): Delivered['ended'] {
    const reason = this.#failure?.reason
    if (reason === undefined) return whole ? 'complete' : 'client_gone'
    if (reason === 'client_gone') return 'client_gone'
    if (whole) return 'refused'
    if (reason === 'shutting_down') return 'cut'
    if (!this.#response.headersSent) return 'refused'
    return reason.startsWith('upstream_') ? 'upstream_gone' : 'cut'
  }

  async #switch(answer: Answer, upstream: Duplex): Promise<Delivered> {
    const socket = this.#response.socket
    if (socket === null || this.#response.destroyed) {
      upstream.destroy()
      return { ended: 'client_gone', refusal: undefined, sent: 0 }
    }
    this.#severed = new Withdrawal()
    this.#response.detachSocket(socket)
    const fields = [...answer.headers, idField, this.#id]
    socket.write(`HTTP/1.1 ${answer.status} ${STATUS_CODES[answer.status] ?? ''}\r\n${head(fields)}\r\n`, 'latin1')
    return splice(socket, upstream, this.#listenerEnds.over, this.#severed)
  }
}

/** Refuses on a bare socket, where there is no response to write to: after a parser's error or a CONNECT. */
export function refuseOnSocket(socket: Duplex, refusal: Refusal, id: string): void {
  if (!socket.writable) {
    socket.destroy()
    return
  }
  const body = JSON.stringify(refusal.problem(id))
  const status = statusFor(refusal)
  const fields = [...refusalFields(refusal, body), idField, id, 'Connection', 'close']
  endWith(socket, `HTTP/1.1 ${status} ${STATUS_CODES[status] ?? 'Refused'}\r\n${head(fields)}\r\n${body}`)
}

/** Last words on a connection. Whoever does not close its side then is not waited for. */
export function endWith(socket: Duplex, bytes: string | Uint8Array): void {
  socket.end(bytes)
  setTimeout(() => socket.destroy(), patience).unref()
}

/** Statuses that others coined (495, 499) are for records; whoever can still be answered gets a registered one. */
function statusFor(refusal: Refusal): number {
  return STATUS_CODES[refusal.status] === undefined ? 400 : refusal.status
}

function refusalFields(refusal: Refusal, body: string): string[] {
  return [
    'Content-Type',
    'application/problem+json',
    'Content-Length',
    String(Buffer.byteLength(body)),
    'Cache-Control',
    'no-store',
    // Most clients show nothing of the answer to a CONNECT but its head.
    'Postern-Reason',
    refusal.reason,
    ...(refusal.retryAfter === undefined ? [] : ['Retry-After', String(refusal.retryAfter)]),
    ...(refusal.reason === 'unidentified_caller' ? ['Proxy-Authenticate', 'Basic realm="postern"'] : []),
  ]
}

function asText(chunk: Uint8Array): string {
  return (Buffer.isBuffer(chunk) ? chunk : Buffer.from(chunk.buffer, chunk.byteOffset, chunk.length)).toString('latin1')
}

function lengthIn(fields: HeaderList): number | undefined {
  for (let at = 0; at < fields.length; at += 2) {
    if (fields[at]?.length === 14 && fields[at]?.toLowerCase() === 'content-length') return Number(fields[at + 1])
  }
  return undefined
}

function head(fields: HeaderList): string {
  return pairs(fields)
    .map(([name, value]) => `${name}: ${value}\r\n`)
    .join('')
}

function pairs(fields: HeaderList): [string, string][] {
  const found: [string, string][] = []
  for (let at = 0; at < fields.length; at += 2) found.push([fields[at] ?? '', fields[at + 1] ?? ''])
  return found
}
