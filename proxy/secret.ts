// The one type that holds credential bytes. It prints as its name, whoever prints it and however.
import { createHmac } from 'node:crypto'
import { inspect } from 'node:util'

export class Secret {
  /** What the configuration calls it; safe to print. */
  readonly name: string
  readonly #value: string

  /** @param value the credential itself, as text; credentials are bytes of ASCII or UTF-8 in HTTP. */
  constructor(name: string, value: string) {
    this.name = name
    this.#value = value
  }

  /** The credential in clear. Called in `obtain/`, `inject/` and `redact/` only; a house test holds that. */
  reveal(): string {
    return this.#value
  }

  /** A keyed, truncated HMAC-SHA-256 (16 hex digits): tells two secrets apart in a record, cannot be guessed back without the key. */
  fingerprint(key: Uint8Array): string {
    return createHmac('sha256', key).update(this.#value).digest('hex').slice(0, 16)
  }

  toString(): string {
    return `[secret ${this.name}]`
  }

  toJSON(): string {
    return this.toString()
  }

  [Symbol.toPrimitive](): string {
    return this.toString()
  }

  [inspect.custom](): string {
    return this.toString()
  }
}
