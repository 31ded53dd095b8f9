// Bodies to be pushed, and what arrives of them.
import type { AnswerBody, BodySink, Flow, HeaderList } from '../../../proxy/exchange.ts'

/** A body whose pieces the test sends when it wants to. */
export class Source implements AnswerBody, Flow {
  #sink: BodySink | undefined
  resumed = 0
  cancelled: Error | undefined
  readonly #early: Uint8Array[]

  /** @param early is there already when the body is asked for */
  constructor(early: readonly Uint8Array[] = []) {
    this.#early = [...early]
  }

  deliver(sink: BodySink): Flow {
    this.#sink = sink
    for (const chunk of this.#early) sink.data(chunk)
    return this
  }

  send(chunk: Uint8Array | string): boolean {
    return this.#sink?.data(Buffer.from(chunk)) ?? false
  }

  end(trailers: HeaderList = []): void {
    this.#sink?.end(trailers)
  }

  fail(error: Error): void {
    this.#sink?.fail(error)
  }

  resume(): void {
    this.resumed++
  }

  cancel(reason: Error): void {
    this.cancelled = reason
    // A real upstream reports that it was broken off.
    this.#sink?.fail(reason)
  }
}

/** Takes a body in, as an agent's connection does. */
export class Taker implements BodySink {
  readonly chunks: Buffer[] = []
  wanting = true
  trailers: HeaderList | undefined
  failure: Error | undefined
  endings = 0
  readonly over: Promise<void>
  #settle: () => void = () => {}
  #watchers: (() => void)[] = []

  constructor() {
    this.over = new Promise((resolve) => {
      this.#settle = resolve
    })
  }

  get text(): string {
    return Buffer.concat(this.chunks).toString('latin1')
  }

  /** Resolves once so much has come. */
  async until(length: number): Promise<void> {
    while (this.text.length < length) await new Promise<void>((resolve) => this.#watchers.push(resolve))
  }

  data(chunk: Uint8Array): boolean {
    this.chunks.push(Buffer.from(chunk))
    for (const watcher of this.#watchers.splice(0)) watcher()
    return this.wanting
  }

  end(trailers: HeaderList): void {
    this.trailers = trailers
    this.endings++
    this.#settle()
  }

  fail(error: Error): void {
    this.failure = error
    this.endings++
    this.#settle()
  }
}
