// Remembers which chains were found valid, so that a caller who comes again costs a hash and not a path validation.
import { createHash } from 'node:crypto'
import type { TrustBundle } from '../source.ts'
import { trustDomainOf } from '../spiffe-id.ts'
import { type BundleLookup, type ValidSvid, validateX509Svid } from './validate.ts'

export interface SvidValidatorOptions {
  /** Asked each time; what was found valid under another bundle is validated anew. */
  readonly bundleFor: BundleLookup
  /** Epoch milliseconds. */
  readonly now: () => number
  /** How many chains are remembered; 1024 unless told. */
  readonly capacity?: number
}

interface Remembered {
  readonly svid: ValidSvid
  readonly bundle: TrustBundle
  /** Epoch milliseconds. */
  readonly validatedAt: number
}

export class SvidValidator {
  readonly #bundleFor: BundleLookup
  readonly #now: () => number
  readonly #capacity: number
  /** By SHA-256 of the chain, the oldest first. Refusals are not remembered. */
  readonly #remembered = new Map<string, Remembered>()

  constructor({ bundleFor, now, capacity = 1024 }: SvidValidatorOptions) {
    this.#bundleFor = bundleFor
    this.#now = now
    this.#capacity = capacity
  }

  /**
   * @param chain DER, leaf first
   * @throws SvidError
   */
  validate(chain: readonly Uint8Array[]): ValidSvid {
    const now = this.#now()
    const key = digest(chain)
    const known = this.#remembered.get(key)
    if (known !== undefined) {
      const current = this.#bundleFor(trustDomainOf(known.svid.id)) === known.bundle
      if (current && now >= known.validatedAt && now <= known.svid.expiresAt) return known.svid
      this.#remembered.delete(key)
    }
    let bundle: TrustBundle | undefined
    const bundleFor: BundleLookup = (trustDomain) => {
      bundle = this.#bundleFor(trustDomain)
      return bundle
    }
    const svid = validateX509Svid({ chain, bundleFor, now })
    if (bundle !== undefined) this.#remember(key, { svid, bundle, validatedAt: now })
    return svid
  }

  #remember(key: string, entry: Remembered): void {
    this.#remembered.set(key, entry)
    if (this.#remembered.size <= this.#capacity) return
    for (const oldest of this.#remembered.keys()) {
      this.#remembered.delete(oldest)
      break
    }
  }
}

/** The lengths are hashed too: the same bytes cut elsewhere are another chain. */
function digest(chain: readonly Uint8Array[]): string {
  const hash = createHash('sha256')
  const length = Buffer.allocUnsafe(4)
  for (const der of chain) {
    length.writeUInt32BE(der.length)
    hash.update(length).update(der)
  }
  return hash.digest('base64')
}
