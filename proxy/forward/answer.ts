// Turns what undici reports of one request into an Answer whose body is pushed in the tick in which it arrives.
import type { Duplex } from 'node:stream'
import type { Dispatcher } from 'undici'
import type { Answer, AnswerBody, BodySink, Flow, HeaderList } from '../exchange.ts'
import { Refusal } from '../refusal.ts'
import { refusalOf } from './failure.ts'

type Controller = Dispatcher.DispatchController

/** Bytes of a body that may wait here while nobody takes them; beyond, the upstream is paused. */
export const mostWaiting = 65_536

/**
 * Fields of an answer that end here (RFC 9110 §7.6.1), Alt-Svc, which would lead the agent past the proxy (RFC 7838), and
 * the one by which the proxy tells its own id of the request.
 */
const ending = new Set([
  'connection',
  'keep-alive',
  'proxy-connection',
  'proxy-authenticate',
  'proxy-authentication-info',
  'te',
  'trailer',
  'transfer-encoding',
  'upgrade',
  'alt-svc',
  'postern-request-id',
])

/** The fields that pass, in order and with their case. Upgrade and Connection stay in the answer to an upgrade. */
function passing(raw: Controller['rawHeaders'], upgraded: boolean): HeaderList {
  const fields = Array.isArray(raw) ? raw : []
  const named = upgraded ? undefined : namedByConnection(fields)
  const kept: string[] = []
  for (let at = 0; at < fields.length; at += 2) {
    const name = text(fields[at])
    const lower = name.toLowerCase()
    if (upgraded ? lower === 'alt-svc' || lower === 'postern-request-id' : ending.has(lower) || named?.has(lower))
      continue
    kept.push(name, text(fields[at + 1]))
  }
  return kept
}

/** undici takes off `chunked` alone; anything else would reach the agent as if it were the plain body (RFC 9112 §6.1). */
function isTransferCoded(raw: Controller['rawHeaders']): boolean {
  const fields = Array.isArray(raw) ? raw : []
  let chunked = 0
  for (let at = 0; at < fields.length; at += 2) {
    if (fields[at]?.length !== 17 || text(fields[at]).toLowerCase() !== 'transfer-encoding') continue
    chunked += 1
    if (
      chunked > 1 ||
      text(fields[at + 1])
        .trim()
        .toLowerCase() !== 'chunked'
    )
      return true
  }
  return false
}

/** A text for people, of no meaning (RFC 9112 §4); what could not be written again as it came is left out. */
const plainStatusText = /^[\t\x20-\x7e]*$/

function namedByConnection(fields: readonly (Buffer | string)[]): Set<string> | undefined {
  for (let at = 0; at < fields.length; at += 2) {
    if (fields[at]?.length !== 10 || text(fields[at]).toLowerCase() !== 'connection') continue
    const value = text(fields[at + 1])
    if (value === 'keep-alive' || value === 'close') continue
    return new Set(value.split(',').map((name) => name.trim().toLowerCase()))
  }
  return undefined
}

function text(field: Buffer | string | undefined): string {
  return typeof field === 'string' ? field : (field?.toString('latin1') ?? '')
}

export const emptyBody: AnswerBody = {
  deliver(sink) {
    sink.end([])
    return { resume: () => {}, cancel: () => {} }
  },
}

/** One exchange with an upstream, as undici's handler on one side and as an Answer on the other. */
export class AnswerHandler implements Dispatcher.DispatchHandler, AnswerBody, Flow {
  readonly #settle: { resolve(answer: Answer): void; reject(refusal: Refusal): void }
  readonly #signal: AbortSignal
  readonly #address: () => string | undefined
  readonly #onAbort = () => this.cancel(this.#signal.reason)
  #controller: Controller | undefined
  #answered = false
  #sink: BodySink | undefined
  #waiting: Uint8Array[] = []
  #waitingBytes = 0
  #ended: { readonly trailers: HeaderList } | { readonly failure: Refusal } | undefined

  /** @param address tells, once connected, which address was used */
  constructor(
    settle: { resolve(answer: Answer): void; reject(refusal: Refusal): void },
    signal: AbortSignal,
    address: () => string | undefined,
  ) {
    this.#settle = settle
    this.#signal = signal
    this.#address = address
    signal.addEventListener('abort', this.#onAbort)
  }

  onRequestStart(controller: Controller): void {
    this.#controller = controller
    if (this.#signal.aborted) controller.abort(this.#signal.reason)
  }

  onResponseStart(controller: Controller, status: number, _headers: unknown, statusText = ''): void {
    // An informational answer is for the one who asked, and that is the proxy (RFC 9110 §15.2).
    if (status < 200) return
    if (isTransferCoded(controller.rawHeaders)) {
      controller.abort(new Refusal('upstream_protocol', { detail: 'a Transfer-Encoding besides chunked' }))
      return
    }
    this.#answered = true
    const headers = passing(controller.rawHeaders, false)
    this.#settle.resolve({
      status,
      statusText: plainStatusText.test(statusText) ? statusText : '',
      headers,
      body: this,
      tunnel: undefined,
      address: this.#address(),
      findings: [],
    })
  }

  onRequestUpgrade(controller: Controller, status: number, _headers: unknown, tunnel: Duplex): void {
    this.#answered = true
    this.#release()
    const headers = passing(controller.rawHeaders, true)
    this.#settle.resolve({
      status,
      statusText: '',
      headers,
      body: emptyBody,
      tunnel,
      address: this.#address(),
      findings: [],
    })
  }

  onResponseData(controller: Controller, chunk: Buffer): void {
    if (this.#sink !== undefined) {
      if (!this.#sink.data(chunk)) controller.pause()
      return
    }
    this.#waiting.push(chunk)
    this.#waitingBytes += chunk.length
    if (this.#waitingBytes > mostWaiting) controller.pause()
  }

  onResponseEnd(controller: Controller): void {
    this.#release()
    const trailers =
      Array.isArray(controller.rawTrailers) && controller.rawTrailers.length > 0
        ? passing(controller.rawTrailers, false)
        : []
    this.#ended = { trailers }
    this.#sink?.end(trailers)
  }

  onResponseError(_controller: Controller, error: Error): void {
    this.#release()
    const failure = refusalOf(error)
    if (!this.#answered) this.#settle.reject(failure)
    this.#ended = { failure }
    this.#sink?.fail(failure)
  }

  deliver(sink: BodySink): Flow {
    this.#sink = sink
    let wanted = true
    for (const chunk of this.#waiting) wanted = sink.data(chunk)
    this.#waiting = []
    if (this.#ended === undefined) {
      if (wanted) this.#controller?.resume()
      else this.#controller?.pause()
    } else if ('failure' in this.#ended) sink.fail(this.#ended.failure)
    else sink.end(this.#ended.trailers)
    return this
  }

  resume(): void {
    this.#controller?.resume()
  }

  cancel(reason: Error): void {
    if (this.#ended === undefined) this.#controller?.abort(reason)
  }

  #release(): void {
    this.#signal.removeEventListener('abort', this.#onAbort)
  }
}
