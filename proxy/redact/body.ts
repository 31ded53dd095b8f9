// Looks for secrets in a body as it passes.
import type { AnswerBody, BodySink, Flow, HeaderList } from '../exchange.ts'
import type { Echoes } from './echoes.ts'
import { inspectFields } from './head.ts'
import type { Needles } from './needles.ts'
import { Scanner } from './scanner.ts'

export class InspectedBody implements AnswerBody {
  readonly #body: AnswerBody
  readonly #needles: Needles
  readonly #echoes: Echoes

  constructor(body: AnswerBody, needles: Needles, echoes: Echoes) {
    this.#body = body
    this.#needles = needles
    this.#echoes = echoes
  }

  deliver(sink: BodySink): Flow {
    return new Inspection(sink, this.#needles, this.#echoes).follow(this.#body)
  }
}

class Inspection implements BodySink {
  readonly #sink: BodySink
  readonly #needles: Needles
  readonly #echoes: Echoes
  readonly #scanner: Scanner
  #noted = 0
  #over = false
  #flow: Flow | undefined

  constructor(sink: BodySink, needles: Needles, echoes: Echoes) {
    this.#sink = sink
    this.#needles = needles
    this.#echoes = echoes
    this.#scanner = new Scanner(needles)
  }

  follow(body: AnswerBody): Flow {
    const flow = body.deliver(this)
    this.#flow = flow
    // What was there already has been looked at by now.
    if (this.#echoes.blocked) flow.cancel(this.#echoes.refusal())
    return flow
  }

  data(chunk: Uint8Array): boolean {
    if (this.#over) return true
    const clean = this.#scanner.push(chunk)
    if (this.#scanner.count > this.#noted && this.#stopped()) return true
    if (this.#echoes.policy === 'trusted-echo') return this.#sink.data(chunk)
    return clean.length === 0 || this.#sink.data(clean)
  }

  end(trailers: HeaderList): void {
    if (this.#over) return
    const clean = this.#scanner.finish()
    const passed = inspectFields(trailers, 'trailer', this.#needles, this.#echoes)
    if (this.#stopped()) return
    this.#over = true
    if (clean.length > 0 && this.#echoes.policy !== 'trusted-echo') this.#sink.data(clean)
    this.#sink.end(passed)
  }

  fail(error: Error): void {
    if (this.#over) return
    this.#over = true
    // What is held may be the beginning of a secret, and nothing will tell any more.
    this.#sink.fail(error)
  }

  /** Notes what was found, and ends the body where that is the policy. */
  #stopped(): boolean {
    this.#echoes.add('body', this.#scanner.count - this.#noted)
    this.#noted = this.#scanner.count
    if (!this.#echoes.blocked) return false
    this.#over = true
    const refusal = this.#echoes.refusal()
    this.#sink.fail(refusal)
    this.#flow?.cancel(refusal)
    return true
  }
}
