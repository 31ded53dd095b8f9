// The identity of this process: readiness says whether there is one, and people can look at it.
import { type OpenedSource, openSource, type SourceContents } from '../../certs/open-source.ts'
import type { IdentitySettings } from '../../certs/settings.ts'
import type { SvidSource } from '../../certs/source.ts'
import type { TrustDomain } from '../../certs/spiffe-id.ts'
import { parseWorkloadApiAddress } from '../../certs/workload-api/address.ts'
import { WorkloadApiSource } from '../../certs/workload-api/source.ts'
import type { Config } from '../../proxy/config/schema.ts'
import { createResolver } from '../../proxy/forward/resolver.ts'
import type { AdminStatus } from '../../proxy/record/admin-protocol.ts'
import type { Readiness } from '../../proxy/record/readiness.ts'
import { federationStatus, openTrust } from './federation.ts'
import type { House } from './house.ts'
import { workloadPeers } from './workload-peer.ts'

const check = 'identity'

/**
 * Opens the source of the identity, and tells by readiness and metrics what it has.
 * @throws when it cannot be opened
 */
export async function openIdentity(
  settings: IdentitySettings,
  { config, environment, now, log, metrics, readiness, closes }: House,
): Promise<OpenedSource> {
  const identity = await openSource(settings, {
    trustDomain: config().trustDomain,
    now,
    endpoint: environment.SPIFFE_ENDPOINT_SOCKET,
    peerOf: workloadPeers(),
    onProblem: (problem) => log.warn({ err: problem }, 'the source of the identity has a problem'),
  })
  const followed = new AbortController()
  closes(() => {
    followed.abort()
    return identity.close()
  })
  if (identity.needsIdentity) followIdentity(identity.source, readiness, followed.signal)
  metrics.svidExpiry.from(() => expiryOf(identity.source))
  return identity
}

/** When the own SVID expires, as Unix time; 0 where there is none. */
function expiryOf(svids: SvidSource): number {
  try {
    return svids.svid().expiresAt / 1_000
  } catch {
    return 0
  }
}

/** An SVID expires without a word of its source. */
const lookEvery = 5_000

/**
 * Follows the source until the signal is aborted.
 * @param every milliseconds between two looks at what only time changes
 */
export function followIdentity(
  source: SvidSource,
  readiness: Readiness,
  signal: AbortSignal,
  every: number = lookEvery,
): void {
  const look = (): void => {
    try {
      source.svid()
      readiness.ready(check)
    } catch (error) {
      readiness.notReady(check, error instanceof Error ? error.message : String(error))
    }
  }
  // Subscribed before the first look, so that nothing happens unseen in between.
  const updates = source.updates(signal)
  look()
  const looking = setInterval(look, every).unref()
  signal.addEventListener('abort', () => clearInterval(looking), { once: true })
  void (async () => {
    for await (const _ of updates) look()
  })()
}

/** A Workload API of whatever trust domain, or what a configuration says. */
export type IdentityPlace =
  | { readonly socket: string }
  | {
      readonly settings: IdentitySettings
      readonly trustDomain: TrustDomain
      readonly endpoint: string | undefined
      readonly config: Config
    }

/** The keys for JWT-SVIDs come on a stream of their own; milliseconds that they may come later. */
const keysWithin = 1_000

export interface IdentityView {
  readonly contents: SourceContents
  /** Of each trust domain that the configuration names besides. */
  readonly federation: NonNullable<AdminStatus['federation']>
  /** A JWT-SVID of the identity in use, where an audience was given and the source gave one. */
  readonly token: string | undefined
  /** What went wrong on the way. */
  readonly problems: readonly string[]
}

/**
 * What this process would get now.
 * @param audience of a JWT-SVID; empty for none
 * @throws when it is not said, or wrongly, where the source is
 */
export async function lookAtIdentity(
  place: IdentityPlace,
  audience: readonly string[],
  now: () => number,
): Promise<IdentityView> {
  const problems: string[] = []
  const onProblem = ({ message }: Error) => void problems.push(message)
  const { source, contents, close } = await openPlace(place, now, onProblem)
  try {
    const isWaitingForKeys = () => contents().bundles.some(({ jwtAuthorities }) => jwtAuthorities === undefined)
    const updates = source.updates(AbortSignal.timeout(keysWithin))
    if (source instanceof WorkloadApiSource && isWaitingForKeys()) {
      for await (const _ of updates) if (!isWaitingForKeys()) break
    }
    const token = audience.length === 0 ? undefined : await source.jwt(audience).catch(onProblem)
    return { ...(await trusted(place, source, contents(), now)), token: token ?? undefined, problems }
  } finally {
    await close()
  }
}

/** With a configuration, what it makes of the source: whom else it trusts, and whom not though the source gives a bundle. */
async function trusted(
  place: IdentityPlace,
  source: SvidSource,
  contents: SourceContents,
  now: () => number,
): Promise<Pick<IdentityView, 'contents' | 'federation'>> {
  if (!('config' in place)) return { contents, federation: [] }
  const { config } = place
  const resolve = createResolver(() => config.resolve)
  const trust = await openTrust(config, source, { resolve, isOwn: () => false, now, onRefresh() {} })
  try {
    const named = new Set(trust.federated.keys())
    const local = contents.bundles.filter(
      ({ trustDomain }) => !named.has(trustDomain) && trust.bundle(trustDomain) !== undefined,
    )
    const others = [...named].flatMap((trustDomain) => trust.bundle(trustDomain) ?? [])
    return { contents: { ...contents, bundles: [...local, ...others] }, federation: federationStatus(trust) }
  } finally {
    await trust.close()
  }
}

interface Looked {
  readonly source: SvidSource
  contents(): SourceContents
  close(): Promise<void>
}

async function openPlace(
  place: IdentityPlace,
  now: () => number,
  onProblem: (problem: Error) => void,
): Promise<Looked> {
  if ('settings' in place) {
    const { settings } = place
    // To look is not to serve: the proxy may be running on that socket.
    const own = settings.source === 'embedded' ? { source: settings.source } : settings
    return await openSource(own, { ...place, now, onProblem })
  }
  const address = parseWorkloadApiAddress(place.socket)
  const source = await WorkloadApiSource.open({ address, trustDomain: undefined, now, onProblem })
  return {
    source,
    contents: () => ({ identities: source.identities, bundles: source.bundles }),
    close: async () => source.close(),
  }
}
