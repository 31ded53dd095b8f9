// Whose callers are trusted, as the configuration says it: the feed of each federated trust domain, and what is told of it.
import { FileFeed } from '../../certs/federation/file-feed.ts'
import { SourceFeed } from '../../certs/federation/source-feed.ts'
import { TrustedDomains } from '../../certs/federation/trusted-domains.ts'
import type { SvidSource } from '../../certs/source.ts'
import { parseTrustDomain, type TrustDomain } from '../../certs/spiffe-id.ts'
import type { Config } from '../../proxy/config/schema.ts'
import type { FederationSettings } from '../../proxy/identify/settings.ts'
import type { AdminStatus } from '../../proxy/record/admin-protocol.ts'
import { type EndpointSurroundings, endpointFeed, pause } from './bundle-endpoint.ts'
import type { House } from './house.ts'

/** Milliseconds that a start waits for the bundles of others; after that it goes on without them. */
const firstLook = 3_000

export interface FederationSurroundings extends Pick<EndpointSurroundings, 'resolve' | 'isOwn' | 'now' | 'patience'> {
  /** Told of each answer of an endpoint, good or bad, and of each file that cannot be used. */
  readonly onRefresh: (trustDomain: TrustDomain, problem: Error | undefined) => void
}

export type Trust = TrustedDomains<FederationSettings>

/** Begins to look for the bundles; some seconds at most it waits for them. */
export async function openTrust(
  { trustDomain, identity, federation }: Pick<Config, 'trustDomain' | 'identity' | 'federation'>,
  source: SvidSource,
  { onRefresh, ...surroundings }: FederationSurroundings,
): Promise<Trust> {
  const named = identity?.source === 'files' ? Object.keys(identity.bundles).map(parseTrustDomain) : []
  const trust: Trust = new TrustedDomains({
    source,
    local: new Set([trustDomain, ...named]),
    feedOf(domain, settings) {
      const onProblem = (problem: Error) => onRefresh(domain, problem)
      const told = { now: surroundings.now, onChange: trust.changed, onProblem }
      switch (settings.source) {
        case 'workload-api':
          return new SourceFeed(domain, source)
        case 'file':
          return new FileFeed({ trustDomain: domain, path: settings.path, ...told })
        default: {
          const onTaken = () => onRefresh(domain, undefined)
          return endpointFeed(domain, settings, { ...surroundings, ...told, onTaken, others: (of) => trust.bundle(of) })
        }
      }
    },
  })
  const over = new AbortController()
  await Promise.race([trust.prepare(federated(federation))(), pause(firstLook, over.signal)])
  over.abort()
  return trust
}

/** The same for the house: told of by metrics, and followed until the end. */
export async function openFederation(source: SvidSource, house: House): Promise<Trust> {
  const { config, resolve, isOwn, now, log, metrics, closes } = house
  const trust = await openTrust(config(), source, {
    resolve,
    isOwn,
    now,
    onRefresh(domain, problem) {
      metrics.federationRefreshes.add(1, domain, problem === undefined ? 'ok' : 'failed')
      if (problem !== undefined) log.warn({ err: problem }, 'a federated bundle could not be refreshed')
    },
  })
  const followed = new AbortController()
  closes(() => {
    followed.abort()
    return trust.close()
  })
  void trust.follow(followed.signal)
  metrics.federationRefreshed.from(() =>
    federationStatus(trust).flatMap(({ trust_domain, refreshed_at }) =>
      refreshed_at === undefined ? [] : [[[trust_domain], Date.parse(refreshed_at) / 1_000] as const],
    ),
  )
  return trust
}

/** By trust domain, for `TrustedDomains.prepare`. */
export function federated(federation: Config['federation']): ReadonlyMap<TrustDomain, FederationSettings> {
  return new Map(Object.entries(federation).map(([name, settings]) => [parseTrustDomain(name), settings]))
}

/** What is told of each federated trust domain; empty where there is none. */
export function federationStatus(trust: Trust | undefined): NonNullable<AdminStatus['federation']> {
  const time = (at: number) => new Date(at).toISOString()
  return Array.from(
    trust?.federated ?? [],
    ([trust_domain, { state, sequence, refreshedAt, nextRefresh, problem }]) => ({
      trust_domain,
      state,
      ...(sequence === undefined ? {} : { sequence: String(sequence) }),
      ...(refreshedAt === undefined ? {} : { refreshed_at: time(refreshedAt) }),
      ...(nextRefresh === undefined ? {} : { next_refresh: time(nextRefresh) }),
      ...(problem === undefined ? {} : { problem }),
    }),
  )
}
