// The step: does the answer give the secret back, in any encoding? Only answers to requests that carried one are looked at.
import type { Duplex } from 'node:stream'
import type { Answer, AnswerBody, Destination, Finding, HeaderList, Injected } from '../exchange.ts'
import { InspectedBody } from './body.ts'
import { codingsOf, decoded, isCoded, withoutCoding } from './decode.ts'
import { Echoes } from './echoes.ts'
import { inspectFields, inspectText } from './head.ts'
import { Needles } from './needles.ts'
import { InspectedTunnel } from './tunnel.ts'
import { uninspectable } from './uninspectable.ts'

/** What is read of the exchange. */
export interface Sent extends Pick<Injected, 'method' | 'upgrade' | 'emitted'> {
  readonly destination: Pick<Destination, 'echo'>
}

/**
 * @returns the answer without the secrets that were sent, of the same length; the very same answer when none were sent
 * @throws Refusal `response_uninspectable`, or `secret_echoed` where the destination says `block`; the upstream is let go of
 */
export function redact(answer: Answer, exchange: Sent): Answer {
  if (exchange.emitted.length === 0) return answer
  const needles = Needles.of(exchange.emitted)
  if (needles === undefined) return answer
  try {
    return inspect(answer, exchange, needles, new Echoes(exchange.destination.echo))
  } catch (error) {
    abandon(answer, error instanceof Error ? error : new Error(String(error)))
    throw error
  }
}

function inspect(answer: Answer, exchange: Sent, needles: Needles, echoes: Echoes): Answer {
  const statusText = inspectText(answer.statusText, 'status', needles, echoes)
  const headers = inspectFields(answer.headers, 'header', needles, echoes)
  if (echoes.blocked) throw echoes.refusal()
  return new Inspected(answer, echoes, statusText, rest(answer, headers, exchange, needles, echoes))
}

type Rest = Pick<Answer, 'headers' | 'body' | 'tunnel'>

/** What follows the head, and the fields that tell of it. */
function rest(answer: Answer, headers: HeaderList, exchange: Sent, needles: Needles, echoes: Echoes): Rest {
  const { body, tunnel } = answer
  const trusted = echoes.policy === 'trusted-echo'
  if (tunnel !== undefined)
    return { headers, body, tunnel: trusted ? tunnel : inspectTunnel(tunnel, answer, exchange, needles, echoes) }
  if (!isCoded(answer.headers)) return { headers, body: new InspectedBody(body, needles, echoes), tunnel }
  // Coded bodies of a trusted destination pass as they are; nobody looks into them.
  if (trusted) return { headers, body, tunnel }
  // No body, but the same fields as with one.
  if (hasNoBody(answer, exchange)) return { headers: withoutCoding(headers), body, tunnel }
  // A part of a coded body is a part of its code, which cannot be read alone.
  if (answer.status === 206) throw uninspectable('a part of a coded body')
  const plain = decoded(body, codingsOf(answer.headers))
  return { headers: withoutCoding(headers), body: new InspectedBody(plain, needles, echoes), tunnel }
}

/** RFC 9110 §6.4.1. */
function hasNoBody({ status }: Answer, { method }: Sent): boolean {
  return method === 'HEAD' || status === 204 || status === 304
}

function inspectTunnel(tunnel: Duplex, answer: Answer, exchange: Sent, needles: Needles, echoes: Echoes): Duplex {
  // None was offered (`inject/strip.ts`); compressed frames could not be looked into.
  if (answer.headers.some((name, at) => at % 2 === 0 && name.toLowerCase() === 'sec-websocket-extensions'))
    throw uninspectable('WebSocket extensions')
  return new InspectedTunnel(tunnel, exchange.upgrade, needles, echoes)
}

/** Lets go of an answer that nobody will get. */
function abandon(answer: Answer, reason: Error): void {
  answer.body.deliver({ data: () => true, end: () => {}, fail: () => {} }).cancel(reason)
  answer.tunnel?.destroy()
}

class Inspected implements Answer {
  readonly status: number
  readonly statusText: string
  readonly headers: HeaderList
  readonly body: AnswerBody
  readonly tunnel: Duplex | undefined
  readonly address: string | undefined
  readonly #answer: Answer
  readonly #echoes: Echoes

  constructor(answer: Answer, echoes: Echoes, statusText: string, { headers, body, tunnel }: Rest) {
    this.status = answer.status
    this.statusText = statusText
    this.headers = headers
    this.body = body
    this.tunnel = tunnel
    this.address = answer.address
    this.#answer = answer
    this.#echoes = echoes
  }

  get findings(): readonly Finding[] {
    return [...this.#answer.findings, ...this.#echoes.findings]
  }
}
