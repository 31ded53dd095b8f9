// Where the bundle of one federated trust domain comes from. Asked at each handshake, never cached by the asker.
import type { TrustBundle } from '../source.ts'

export interface BundleFeed {
  /** Undefined while there is none: callers of the trust domain are refused. */
  readonly bundle: TrustBundle | undefined
  readonly status: FeedStatus
  /** Begins to look; resolves once it has looked for the first time, whatever came of it. */
  start(): Promise<void>
  close(): Promise<void> | void
}

/** How a feed is; all times in epoch milliseconds. */
export interface FeedStatus {
  /** `waiting`: there has been none yet. `empty`: its owner says that all SVIDs of the domain are invalid. */
  readonly state: 'waiting' | 'held' | 'empty'
  readonly sequence?: bigint | undefined
  readonly refreshedAt?: number | undefined
  readonly nextRefresh?: number | undefined
  /** What went wrong last; absent when the last look went well. */
  readonly problem?: string | undefined
}

export function stateOf(bundle: TrustBundle | undefined): FeedStatus['state'] {
  if (bundle === undefined) return 'waiting'
  return bundle.x509Authorities.length + (bundle.jwtAuthorities?.length ?? 0) === 0 ? 'empty' : 'held'
}
