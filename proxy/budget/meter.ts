// Counts an answer as it passes, and reads from it what it cost. What no budget looks at passes as it is.
import type { Duplex } from 'node:stream'
import type { Spending } from '../../policy/budgets/spending.ts'
import type { Answer, AnswerBody, Authorized, BodySink, Finding, Flow, HeaderList } from '../exchange.ts'
import { type CostReader, costReader, tellFields } from './cost.ts'
import { refusalOf } from './refusal.ts'

/**
 * Comes after the answer was looked through for secrets: what the agent gets is counted, and codings are taken off by then.
 * @returns the very same answer when nothing of its body counts
 * @throws Refusal `budget_exhausted` when its body is announced to be longer than what is left; the upstream is let go of
 */
export function meter(answer: Answer, { spending, method }: Pick<Authorized, 'spending' | 'method'>): Answer {
  if (spending === undefined) return answer
  tellFields(spending, answer.headers)
  if (answer.tunnel !== undefined) {
    if (spending.countsBytes) meterTunnel(answer.tunnel, spending)
    return answer
  }
  if (spending.countsBytes && method !== 'HEAD') refuseTooLong(answer, spending)
  const reader = costReader(spending, answer.headers)
  const awaitsTrailers = spending.costs.some(({ kind }) => kind === 'header')
  if (reader === undefined && !spending.countsBytes && !awaitsTrailers) return answer
  return new MeteredAnswer(answer, { deliver: (sink) => new Metering(sink, spending, reader).follow(answer.body) })
}

/** Told in place of an answer, rather than by one that breaks off. */
function refuseTooLong(answer: Answer, spending: Spending): void {
  // These have no body, whatever their fields say (RFC 9110 §6.4.1).
  if (answer.status === 204 || answer.status === 304) return
  const exhausted = spending.lacksBytes(lengthIn(answer.headers))
  if (exhausted === undefined) return
  const refusal = refusalOf(exhausted)
  answer.body.deliver({ data: () => true, end: () => {}, fail: () => {} }).cancel(refusal)
  throw refusal
}

/** Content-Length; 0 where it says none. */
function lengthIn(headers: HeaderList): number {
  const at = headers.findIndex((name, index) => index % 2 === 0 && name.toLowerCase() === 'content-length')
  const length = at === -1 ? 0 : Number(headers[at + 1])
  return Number.isSafeInteger(length) ? length : 0
}

/** What comes out of it is passed on by others; it ends with the chunk that does not fit. */
function meterTunnel(tunnel: Duplex, spending: Spending): void {
  tunnel.on('data', (chunk: Uint8Array) => {
    const exhausted = spending.takeBytes(chunk.length)
    if (exhausted !== undefined) tunnel.destroy(refusalOf(exhausted))
  })
  // Whoever joins it to the agent lets it flow.
  tunnel.pause()
}

class MeteredAnswer implements Answer {
  readonly status: number
  readonly statusText: string
  readonly headers: HeaderList
  readonly body: AnswerBody
  readonly tunnel = undefined
  readonly address: string | undefined
  readonly #answer: Answer

  constructor(answer: Answer, body: AnswerBody) {
    this.status = answer.status
    this.statusText = answer.statusText
    this.headers = answer.headers
    this.body = body
    this.address = answer.address
    this.#answer = answer
  }

  get findings(): readonly Finding[] {
    return this.#answer.findings
  }
}

class Metering implements BodySink, Flow {
  readonly #sink: BodySink
  readonly #spending: Spending
  readonly #reader: CostReader | undefined
  #over = false
  #flow: Flow | undefined
  #cut: Error | undefined

  constructor(sink: BodySink, spending: Spending, reader: CostReader | undefined) {
    this.#sink = sink
    this.#spending = spending
    this.#reader = reader
  }

  follow(body: AnswerBody): Flow {
    this.#flow = body.deliver(this)
    // What was there already has been counted by now.
    if (this.#cut !== undefined) this.#flow.cancel(this.#cut)
    return this
  }

  data(chunk: Uint8Array): boolean {
    if (this.#over) return true
    const exhausted = this.#spending.countsBytes ? this.#spending.takeBytes(chunk.length) : undefined
    if (exhausted === undefined) {
      this.#reader?.push(chunk)
      return this.#sink.data(chunk)
    }
    this.#cut = refusalOf(exhausted)
    this.fail(this.#cut)
    this.#flow?.cancel(this.#cut)
    return true
  }

  end(trailers: HeaderList): void {
    if (this.#over) return
    tellFields(this.#spending, trailers)
    this.#close(true)
    this.#sink.end(trailers)
  }

  fail(error: Error): void {
    if (this.#over) return
    this.#close(false)
    this.#sink.fail(error)
  }

  resume(): void {
    this.#flow?.resume()
  }

  cancel(reason: Error): void {
    this.#close(false)
    this.#flow?.cancel(reason)
  }

  #close(whole: boolean): void {
    if (this.#over) return
    this.#over = true
    this.#reader?.end(whole)
  }
}
