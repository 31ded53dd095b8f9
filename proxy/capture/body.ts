// The body of a request: counted, and not asked for before somebody takes it.
import type { IncomingMessage } from 'node:http'
import { Readable } from 'node:stream'
import { Refusal } from '../refusal.ts'

/** Milliseconds that an agent may leave us waiting for the next byte of a body. */
export const bodyPatience = 60_000

/** Reads nothing until it is read from, so that a refused request leaves its body where it is. */
export class RequestBody extends Readable {
  readonly #message: IncomingMessage
  readonly #onBegin: () => void
  #begun = false
  #waiting: NodeJS.Timeout | undefined
  /** Bytes that have passed. */
  passed = 0

  /** @param onBegin called once, when the first byte is wanted: the moment for `100 Continue` (RFC 9110 §10.1.1) */
  constructor(message: IncomingMessage, onBegin: () => void) {
    super()
    this.#message = message
    this.#onBegin = onBegin
  }

  override _read(): void {
    this.#wait()
    if (this.#begun) {
      this.#message.resume()
      return
    }
    this.#begun = true
    this.#onBegin()
    this.#message
      .on('data', (chunk: Buffer) => {
        this.passed += chunk.length
        if (this.push(chunk)) {
          this.#waiting?.refresh()
          return
        }
        // From here on it is the upstream that makes us wait.
        clearTimeout(this.#waiting)
        this.#message.pause()
      })
      .on('end', () => {
        clearTimeout(this.#waiting)
        this.push(null)
      })
      .on('error', (cause) => this.destroy(new Refusal('client_gone', { detail: 'the upload broke off', cause })))
  }

  #wait(): void {
    clearTimeout(this.#waiting)
    this.#waiting = setTimeout(
      () => this.destroy(new Refusal('request_timeout', { detail: 'the body stopped coming' })),
      bodyPatience,
    )
  }

  override _destroy(error: Error | null, callback: (error: Error | null) => void): void {
    clearTimeout(this.#waiting)
    this.#message.pause()
    callback(error)
  }
}
