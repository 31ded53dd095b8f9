// A bundle endpoint of a federated trust domain, by either profile of SPIFFE Federation §5.2: asked over the same guard as every request.
import { setTimeout as sleep } from 'node:timers/promises'
import { longestBundle } from '../../certs/bundle/members.ts'
import { EndpointTrust } from '../../certs/federation/endpoint-trust.ts'
import type { BundleFeed } from '../../certs/federation/feed.ts'
import { FileFeed } from '../../certs/federation/file-feed.ts'
import { PolledFeed } from '../../certs/federation/polled-feed.ts'
import { type TrustDomain, trustDomainOf } from '../../certs/spiffe-id.ts'
import type { BundleLookup } from '../../certs/svid/validate.ts'
import type { IsOwn } from '../../proxy/forward/connector.ts'
import { fetchDocument } from '../../proxy/forward/document.ts'
import type { Resolve } from '../../proxy/forward/resolver.ts'
import { guardedDispatcher } from '../../proxy/forward/undici.ts'
import type { FederationSettings } from '../../proxy/identify/settings.ts'
import { Refusal } from '../../proxy/refusal.ts'

export interface EndpointSurroundings {
  readonly resolve: Resolve
  readonly isOwn: IsOwn
  /** Epoch milliseconds. */
  readonly now: () => number
  /** Milliseconds that one answer may take, redirects included; 10 seconds unless told. */
  readonly patience?: number
  /** The bundles that are trusted besides. */
  readonly others: BundleLookup
  readonly onChange: () => void
  readonly onTaken: () => void
  readonly onProblem: (problem: Error) => void
}

type EndpointSettings = Extract<FederationSettings, { readonly url: string }>

/** Of one answer: bytes, and redirects on the way to it. Where a redirect leads is forgotten afterwards (§5.2.1). */
const bounds = { largest: longestBundle, redirects: 5 }
/** Milliseconds for one answer, redirects included. */
export const answerWithin = 10_000

/** Resolves after so many milliseconds, or when the signal is aborted. */
export const pause = (milliseconds: number, signal: AbortSignal) =>
  sleep(milliseconds, undefined, { signal, ref: false }).catch(() => undefined)

export function endpointFeed(
  trustDomain: TrustDomain,
  settings: EndpointSettings,
  surroundings: EndpointSurroundings,
): BundleFeed {
  const { resolve, isOwn, now, patience = answerWithin, onChange, onTaken, onProblem } = surroundings
  const { url, addresses, refresh } = settings
  const proof = proofOf(trustDomain, settings, () => feed.bundle, surroundings)
  const dispatcher = guardedDispatcher({ addresses, patience, ca: proof.ca, checkPeer: proof.check }, resolve, isOwn)
  const feed: PolledFeed = new PolledFeed({
    trustDomain,
    fetch: () => fetchDocument(dispatcher, url, patience, bounds),
    refresh,
    now,
    wait: pause,
    onChange,
    onTaken() {
      proof.taken()
      onTaken()
    },
    onProblem,
  })
  return {
    get bundle() {
      return feed.bundle
    },
    get status() {
      return feed.status
    },
    async start() {
      await proof.start()
      await feed.start()
    },
    async close() {
      feed.close()
      proof.close()
      await dispatcher.destroy()
    },
  }
}

/** How an endpoint proves that it is the one that is meant. */
interface Proof {
  readonly ca: readonly string[]
  /** Throws unless it is, for connections that the web's authorities say nothing of. */
  readonly check: ((chain: readonly Uint8Array[]) => void) | undefined
  /** An answer was taken. */
  taken(): void
  start(): Promise<void>
  close(): void
}

function proofOf(
  trustDomain: TrustDomain,
  settings: EndpointSettings,
  told: () => BundleFeed['bundle'],
  { now, others, onProblem }: EndpointSurroundings,
): Proof {
  if (settings.source === 'https_web')
    return { ca: settings.ca, check: undefined, taken() {}, async start() {}, close() {} }
  const { endpointId, bundle: path } = settings
  const first =
    path === undefined
      ? undefined
      : new FileFeed({ trustDomain: trustDomainOf(endpointId), path, now, onChange() {}, onProblem })
  const endpoint = new EndpointTrust({ endpointId, trustDomain, configured: () => first?.bundle, told, others, now })
  return {
    ca: [],
    check(chain) {
      try {
        endpoint.judge(chain)
      } catch (cause) {
        throw new Refusal('upstream_untrusted', { detail: cause instanceof Error ? cause.message : '', cause })
      }
    },
    taken: () => endpoint.taken(),
    start: async () => first?.start(),
    close: () => first?.close(),
  }
}
