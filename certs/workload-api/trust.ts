// Joins what two streams say of each trust domain: its roots, and the keys that verify its JWT-SVIDs.
import type { JWK } from 'jose'
import type { TrustBundle } from '../source.ts'
import type { TrustDomain } from '../spiffe-id.ts'

interface Joined {
  readonly roots: TrustBundle | undefined
  readonly keys: readonly JWK[] | undefined
  readonly bundle: TrustBundle
}

export class Trust {
  #roots: ReadonlyMap<TrustDomain, TrustBundle> = new Map()
  #keys: ReadonlyMap<TrustDomain, readonly JWK[]> = new Map()
  #joined: ReadonlyMap<TrustDomain, Joined> = new Map()

  /** Replaces the roots of all domains. */
  setRoots(roots: ReadonlyMap<TrustDomain, TrustBundle>): void {
    this.#roots = roots
    this.#join()
  }

  /** Replaces the keys of all domains. */
  setKeys(keys: ReadonlyMap<TrustDomain, readonly JWK[]>): void {
    this.#keys = keys
    this.#join()
  }

  get(trustDomain: TrustDomain): TrustBundle | undefined {
    return this.#joined.get(trustDomain)?.bundle
  }

  get all(): readonly TrustBundle[] {
    return Array.from(this.#joined.values(), ({ bundle }) => bundle)
  }

  /** A bundle of which nothing has changed stays the same object, so that what was validated by it stays so. */
  #join(): void {
    const joined = new Map<TrustDomain, Joined>()
    for (const trustDomain of new Set([...this.#roots.keys(), ...this.#keys.keys()])) {
      const roots = this.#roots.get(trustDomain)
      const keys = this.#keys.get(trustDomain)
      const known = this.#joined.get(trustDomain)
      if (known !== undefined && known.roots === roots && known.keys === keys) joined.set(trustDomain, known)
      else joined.set(trustDomain, { roots, keys, bundle: bundleOf(trustDomain, roots, keys) })
    }
    this.#joined = joined
  }
}

function bundleOf(
  trustDomain: TrustDomain,
  roots: TrustBundle | undefined,
  keys: readonly JWK[] | undefined,
): TrustBundle {
  const { x509Authorities = [], revocationLists } = roots ?? {}
  return {
    trustDomain,
    x509Authorities,
    ...(revocationLists === undefined ? {} : { revocationLists }),
    ...(keys === undefined ? {} : { jwtAuthorities: keys }),
  }
}
