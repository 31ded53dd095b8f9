// Turns what undici reports of one request into an Answer whose body is pushed in the tick in which it arrives.
import type { Duplex } from 'node:stream'
import type { Dispatcher } from 'undici'
import type { Answer, AnswerBody, BodySink, Finding, Flow, HeaderList, Signal } from '../exchange.ts'
import { Refusal } from '../refusal.ts'
import { passingFields, passingUpgrade, type RawFields } from './answer-fields.ts'
import { refusalOf } from './failure.ts'

/** Bytes of a body that may wait here while nobody takes them; beyond, the upstream is paused. */
export const mostWaiting = 65_536

/** A text for people, of no meaning (RFC 9112 §4); what could not be written again as it came is left out. */
const plainStatusText = /^[\t\x20-\x7e]*$/

export const emptyBody: AnswerBody = {
  deliver(sink) {
    sink.end([])
    return { resume: () => {}, cancel: () => {} }
  },
}

/** How it came out, once known. */
export interface Settle {
  resolve(answer: Answer): void
  reject(refusal: Refusal): void
}

/**
 * One exchange with an upstream, as undici's handler on one side and as an Answer on the other. The handler is of the kind
 * that undici itself works with: for the newer one it would make an object of the fields of each answer.
 */
export class AnswerHandler implements Dispatcher.DispatchHandler, AnswerBody, Flow {
  readonly #settle: Settle
  readonly #signal: Signal
  readonly #address: () => string | undefined
  readonly #findings: () => readonly Finding[]
  readonly #onAbort = () => this.cancel(Refusal.from(this.#signal.reason))
  #abort: ((reason: Error) => void) | undefined
  #resume: (() => void) | undefined
  #paused = false
  #answered = false
  #sink: BodySink | undefined
  #waiting: Uint8Array[] | undefined
  #waitingBytes = 0
  #ended: { readonly trailers: HeaderList } | { readonly failure: Refusal } | undefined

  /**
   * @param address tells, once connected, which address was used
   * @param findings tells, once connected, what is to be said of that
   */
  constructor(
    settle: Settle,
    signal: Signal,
    address: () => string | undefined,
    findings: () => readonly Finding[] = () => [],
  ) {
    this.#findings = findings
    this.#settle = settle
    this.#signal = signal
    this.#address = address
    signal.addEventListener('abort', this.#onAbort)
  }

  onConnect(abort: (reason?: Error) => void): void {
    this.#abort = abort
    if (this.#signal.aborted) abort(Refusal.from(this.#signal.reason))
  }

  /** What it throws ends the exchange. */
  onHeaders(status: number, raw: RawFields, resume: () => void, statusText: string): boolean {
    // An informational answer is for the one who asked, and that is the proxy (RFC 9110 §15.2).
    if (status < 200) return true
    const headers = passingFields(raw)
    this.#answered = true
    this.#resume = resume
    this.#settle.resolve({
      status,
      statusText: plainStatusText.test(statusText) ? statusText : '',
      headers,
      body: this,
      tunnel: undefined,
      address: this.#address(),
      findings: this.#findings(),
    })
    return !this.#paused
  }

  onUpgrade(status: number, raw: RawFields | null, tunnel: Duplex): void {
    this.#answered = true
    this.#release()
    this.#settle.resolve({
      status,
      statusText: '',
      headers: passingUpgrade(raw ?? []),
      body: emptyBody,
      tunnel,
      address: this.#address(),
      findings: this.#findings(),
    })
  }

  /** @returns whether more is wanted until `#resume` is called */
  onData(chunk: Uint8Array): boolean {
    if (this.#sink !== undefined) {
      if (!this.#sink.data(chunk)) this.#paused = true
    } else {
      this.#waiting ??= []
      this.#waiting.push(chunk)
      this.#waitingBytes += chunk.length
      if (this.#waitingBytes > mostWaiting) this.#paused = true
    }
    return !this.#paused
  }

  onComplete(raw: RawFields | null): void {
    this.#release()
    const trailers = raw === null || raw.length === 0 ? [] : passingFields(raw)
    this.#ended = { trailers }
    this.#sink?.end(trailers)
  }

  onError(error: Error): void {
    this.#release()
    const failure = refusalOf(error)
    if (!this.#answered) this.#settle.reject(failure)
    this.#ended = { failure }
    this.#sink?.fail(failure)
  }

  deliver(sink: BodySink): Flow {
    this.#sink = sink
    let wanted = true
    if (this.#waiting !== undefined) for (const chunk of this.#waiting) wanted = sink.data(chunk)
    this.#waiting = undefined
    if (this.#ended === undefined) {
      if (wanted) this.resume()
      else this.#paused = true
    } else if ('failure' in this.#ended) sink.fail(this.#ended.failure)
    else sink.end(this.#ended.trailers)
    return this
  }

  resume(): void {
    if (!this.#paused) return
    this.#paused = false
    this.#resume?.()
  }

  cancel(reason: Error): void {
    if (this.#ended === undefined) this.#abort?.(reason)
  }

  #release(): void {
    this.#signal.removeEventListener('abort', this.#onAbort)
  }
}
