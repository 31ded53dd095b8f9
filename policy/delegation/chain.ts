// A delegation chain as the steps of its verification know it: each step takes what the one before gave.
import type { SpiffeId } from '../../certs/spiffe-id.ts'
import type { Constraint } from './constraints.ts'

/** One handoff, or the root grant. */
export interface VerifiedHop {
  /** The agent that may use this token and hand on from it. */
  readonly id: SpiffeId
  readonly jti: string
  readonly scopes: readonly string[]
  readonly constraints: readonly Constraint[]
  /** Epoch milliseconds. */
  readonly issuedAt: number
  /** Epoch milliseconds. */
  readonly expiresAt: number
  /** Whom the token is meant for. */
  readonly audience: readonly string[]
  /** RFC 7638 thumbprint of the key that signs what this agent hands on. */
  readonly thumbprint: string
  /** SHA-256 of the signing input, base64url: the `par_hash` of a child. */
  readonly digest: string
  /** Where the issuer publishes whether the token still stands. */
  readonly status: { readonly uri: string; readonly index: number } | undefined
}

/** Steps 1 to 7 hold. It authorizes nothing yet: who presents it, and what for, has not been asked. */
export interface VerifiedChain {
  /** As presented: tokens joined by `~`, root first. */
  readonly text: string
  /** SHA-256 of the text, base64url. */
  readonly digest: string
  /** Root first, at least one. */
  readonly hops: readonly VerifiedHop[]
  readonly leaf: VerifiedHop
  /** An agent, when the first agent acts for itself. */
  readonly principal: { readonly kind: 'user' | 'agent'; readonly id: string }
  /** The transaction, the same at all hops. */
  readonly txn: string
  /** Handoffs: 0 is a root grant alone. */
  readonly depth: number
  /** How many tokens a chain that begins like this may have. */
  readonly maxDepth: number
  readonly root: { readonly issuer: string; readonly keyId: string }
  /** Epoch milliseconds from which all hops are valid, clock skew allowed for. */
  readonly validFrom: number
  /** Epoch milliseconds: the first expiry of all hops. */
  readonly expiresAt: number
}
