// The seam to whoever makes and ends delegations.
import type { SpiffeId } from '../../certs/spiffe-id.ts'
import type { Identified } from '../exchange.ts'
import type { Secret } from '../secret.ts'

/** What an agent asks to be handed on, or to be given at the root. */
export interface DelegationRequest {
  /** Who is to have it; undefined: the caller itself. */
  readonly to: SpiffeId | undefined
  readonly scopes: readonly string[]
  readonly constraints: readonly unknown[]
  /** Milliseconds that it shall last; undefined: as long as it usually does. */
  readonly ttl: number | undefined
  /** Tokens that a chain through it may have; undefined: as many as before. */
  readonly maxDepth: number | undefined
  /** Take what both sides have in common where more is asked than there is. */
  readonly narrow: boolean
  /** Proof of the user on whose behalf; at the root only. */
  readonly subjectToken: Secret | undefined
  /**
   * To the asking process and what it starts, to the process that started it and all that starts, or to whoever proves
   * the SPIFFE ID `to` itself; undefined: as it fits.
   */
  readonly bind: 'process' | 'parent' | 'id' | undefined
}

export interface Delegated {
  readonly jti: string
  readonly txn: string
  readonly handle: string
  /** DT_0~DT_1~… */
  readonly chain: string
  readonly holder: SpiffeId
  readonly boundTo: string
  readonly depth: number
  readonly maxDepth: number
  readonly scopes: readonly string[]
  readonly constraints: readonly unknown[]
  /** Epoch milliseconds. */
  readonly expiresAt: number
}

/** The key that signs what an agent hands on; the private half stays here. */
export interface AgentKey {
  readonly kty: 'OKP'
  readonly crv: 'Ed25519'
  readonly alg: 'Ed25519'
  /** base64url */
  readonly x: string
}

export interface DelegationDesk {
  /** What an issuer elsewhere has to name (`cnf.jwk`) in a root for the caller, so that the caller can hand it on. */
  keyOf(asked: Identified): AgentKey
  /**
   * Takes a chain that began elsewhere, and gives a handle for it.
   * @throws Refusal `chain_*`
   */
  adopt(asked: Identified, chain: string): Delegated
  /** @throws Refusal `chain_*`, `delegation_*`, `user_token_*`, `revoked` */
  make(asked: Identified, request: DelegationRequest): Promise<Delegated>
  /**
   * Ends a delegation that the caller holds or has handed on, with all below it.
   * @throws Refusal `delegation_unknown`
   */
  end(asked: Identified, jti: string): Promise<void>
}
