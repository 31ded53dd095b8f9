// Who may begin a chain: this proxy itself, and the issuers that the configuration names, by the keys that they publish.
import { createPublicKey, type KeyObject } from 'node:crypto'
import * as z from 'zod'
import type { Roots } from '../../../policy/delegation/keys.ts'

/** Milliseconds after which published keys are read again, so that one that was withdrawn ends. */
const freshFor = 300_000
/** So long the keys of before serve while they cannot be read. */
const keptFor = 3_600_000
/** A caller with an invented key cannot make us ask more often than this. */
const pause = 10_000
const mostKeys = 100

/** Ed25519 alone (RFC 8037); other keys of the set are passed over. */
const keySchema = z.object({
  kty: z.literal('OKP'),
  crv: z.literal('Ed25519'),
  x: z.string(),
  kid: z.string().min(1),
  use: z.literal('sig').optional(),
})

const setSchema = z.object({ keys: z.array(z.unknown()).max(mostKeys) })

interface Published {
  readonly read: () => Promise<string>
  keys: ReadonlyMap<string, KeyObject>
  readAt: number
  askedAt: number
}

export interface RootKeysOptions {
  readonly own: { readonly issuer: string; readonly keyId: string; readonly key: KeyObject }
  /** By issuer: reads the JSON of its key set (RFC 7517 §5). */
  readonly published: ReadonlyMap<string, () => Promise<string>>
  /** Epoch milliseconds. */
  readonly now: () => number
  readonly onProblem: (problem: Error) => void
}

export class RootKeys implements Roots {
  readonly #options: RootKeysOptions
  readonly #published: ReadonlyMap<string, Published>
  #epoch = 0

  constructor(options: RootKeysOptions) {
    this.#options = options
    this.#published = new Map(
      [...options.published].map(([issuer, read]) => [
        issuer,
        { read, keys: new Map(), readAt: Number.NEGATIVE_INFINITY, askedAt: Number.NEGATIVE_INFINITY },
      ]),
    )
  }

  /** Rises whenever the keys do not stay the same. */
  get epoch(): number {
    return this.#epoch
  }

  /** Undefined also for a key that is only being looked for: whoever asks again finds it. */
  find(issuer: string, keyId: string): KeyObject | undefined {
    const { own, now } = this.#options
    if (issuer === own.issuer) return keyId === own.keyId ? own.key : undefined
    const published = this.#published.get(issuer)
    if (published === undefined) return undefined
    const age = now() - published.readAt
    const key = age < keptFor ? published.keys.get(keyId) : undefined
    if (key === undefined || age >= freshFor) void this.#renew(issuer, published)
    return key
  }

  /** Reads all of them. Resolves when that has succeeded or failed. */
  async renew(): Promise<void> {
    await Promise.all([...this.#published].map(([issuer, published]) => this.#renew(issuer, published)))
  }

  async #renew(issuer: string, published: Published): Promise<void> {
    const { now, onProblem } = this.#options
    if (now() - published.askedAt < pause) return
    published.askedAt = now()
    try {
      const keys = readKeys(await published.read())
      if (!sameKeys(keys, published.keys)) this.#epoch += 1
      published.keys = keys
      published.readAt = now()
    } catch (cause) {
      onProblem(new Error(`the keys of ${issuer} cannot be read`, { cause }))
    }
  }
}

function readKeys(text: string): ReadonlyMap<string, KeyObject> {
  const keys = new Map<string, KeyObject>()
  for (const entry of setSchema.parse(JSON.parse(text)).keys) {
    const { success, data: jwk } = keySchema.safeParse(entry)
    if (!success) continue
    if (keys.has(jwk.kid)) throw new Error('two keys have one name')
    keys.set(jwk.kid, createPublicKey({ key: { kty: jwk.kty, crv: jwk.crv, x: jwk.x }, format: 'jwk' }))
  }
  return keys
}

function sameKeys(one: ReadonlyMap<string, KeyObject>, other: ReadonlyMap<string, KeyObject>): boolean {
  if (one.size !== other.size) return false
  return [...one].every(([id, key]) => other.get(id)?.equals(key) === true)
}
