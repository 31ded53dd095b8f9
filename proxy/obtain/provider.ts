// One kind of credential source.
import type { Caller, Chain, Destination, Principal, Signal } from '../exchange.ts'
import type { Secret } from '../secret.ts'

/** For whom and for what a credential is needed. */
export interface Need {
  readonly caller: Caller
  readonly principal: Principal
  readonly chain: Chain
  readonly destination: Destination
}

/** A credential, for a time. */
export interface Lease {
  /** Name of the credential in the configuration. */
  readonly credential: string
  readonly kind: string
  readonly secret: Secret
  /** The other half of a Basic credential. */
  readonly username: string | undefined
  /** Epoch milliseconds; undefined: until it is replaced at its source. */
  readonly expiresAt: number | undefined
  /** As granted, where the source says so. */
  readonly scopes: readonly string[] | undefined
  /** Whether the manager had it already. Set by the manager. */
  readonly cache: 'hit' | 'miss' | 'refresh'
}

export interface CredentialProvider {
  readonly kind: string
  /**
   * @returns a lease; the manager fills in `cache`
   * @throws Refusal `credential_unavailable`, `consent_required` or `scope_not_granted`
   */
  obtain(need: Need, signal: AbortSignal): Promise<Lease>
  /** Takes it back at its source, where the source can (RFC 7009). */
  revoke?(lease: Lease, signal: AbortSignal): Promise<void>
  /** Where `revoke` takes it back: after a reload or restart, only a provider with the same may be asked to. */
  readonly revokesAt?: string
  /** Calls `changed` after the source itself was replaced, so that what was cached is out of date. Ends with `close`. */
  watch?(changed: () => void): void
  /**
   * What of a need makes two leases different, so that one is never served for the other; '' where one serves all.
   * Any other lease belongs to the caller and chain that it was made for, and ends when they are stopped.
   */
  partition(need: Need): string
  /** Ends watches and connections. Resolves when what must not be broken off has been done. */
  close?(): void | Promise<void>
}

/** Hands out leases: cache, single flight, refresh. Implemented by `obtain/manager.ts`. */
export interface Credentials {
  /** A lease that is valid now. Synchronous when cached, so that the hot path does not wait. */
  obtain(credential: string, need: Need, signal: Signal): Lease | Promise<Lease>
  /** The upstream refused it: drop it, if it is still the current one. Answers whether another can be had at once. */
  refused(lease: Lease, need: Need): boolean
}
