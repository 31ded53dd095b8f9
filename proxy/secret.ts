// The one type that holds credential bytes. It prints as its name, whoever prints it and however.
import { createHash, createHmac, timingSafeEqual } from 'node:crypto'
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

  /** Whether this is the secret with that SHA-256 digest (32 bytes). The time that it takes tells nothing of either. */
  matches(digest: Uint8Array): boolean {
    return timingSafeEqual(createHash('sha256').update(this.#value).digest(), digest)
  }

  /** Read as the value of a Basic Authorization or Proxy-Authorization (RFC 7617 §2); undefined when it is not one. */
  basic(): { readonly username: string; readonly password: Secret } | undefined {
    const encoded = /^basic +([A-Za-z0-9+/_-]+=*) *$/i.exec(this.#value)?.[1]
    if (encoded === undefined) return undefined
    const pair = Buffer.from(encoded, 'base64').toString('utf8')
    const colon = pair.indexOf(':')
    if (colon === -1) return undefined
    return { username: pair.slice(0, colon), password: new Secret(`${this.name} password`, pair.slice(colon + 1)) }
  }

  /** Read as the value of a Bearer Authorization or Proxy-Authorization (RFC 6750 §2.1); undefined when it is not one. */
  bearer(): Secret | undefined {
    const token = /^bearer +([A-Za-z0-9._~+/-]+=*) *$/i.exec(this.#value)?.[1]
    return token === undefined ? undefined : new Secret(`${this.name} token`, token)
  }

  /** Shows the credential to what verifies it, and gives back the judgement alone. Called in `identify/` only; a house test holds that. */
  judgedBy<T>(verify: (value: string) => T): T {
    return verify(this.#value)
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
