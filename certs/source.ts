// Where this process's own identity and its trust come from. Asked at each handshake, never cached by the asker.
import type { JWK } from 'jose'
import type { SpiffeId, TrustDomain } from './spiffe-id.ts'

export interface X509Svid {
  readonly id: SpiffeId
  /** DER, leaf first. */
  readonly chain: readonly Uint8Array[]
  readonly key: import('node:crypto').KeyObject
  /** Epoch milliseconds. */
  readonly expiresAt: number
  /** What the operator says this identity is for, where the Workload API tells it. */
  readonly hint?: string
}

/** The roots of one trust domain. Bundles of different domains are never merged (SPIFFE Federation §4.2). A source replaces a bundle when it changes; it never changes one that it gave out. */
export interface TrustBundle {
  readonly trustDomain: TrustDomain
  /** DER of each root. */
  readonly x509Authorities: readonly Uint8Array[]
  /** DER of each revocation list, where the source has any (Workload API, field `crl`). */
  readonly revocationLists?: readonly Uint8Array[]
  /** Public keys, each with its `kid`, that verify JWT-SVIDs; absent where the source has none. */
  readonly jwtAuthorities?: readonly JWK[]
}

export interface SvidSource {
  /** @throws when there is no identity (yet, or any more). */
  svid(): X509Svid
  bundle(trustDomain: TrustDomain): TrustBundle | undefined
  /** A JWT-SVID for this audience. */
  jwt(audience: readonly string[]): Promise<string>
  /** Yields after each change. */
  updates(signal: AbortSignal): AsyncIterable<void>
}
