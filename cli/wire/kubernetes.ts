// The cluster's keys, from where the configuration says; asked for when a caller shows a token.
import type { IsOwn } from '../../proxy/forward/connector.ts'
import { fetchDocument } from '../../proxy/forward/document.ts'
import type { Resolve } from '../../proxy/forward/resolver.ts'
import { guardedDispatcher } from '../../proxy/forward/undici.ts'
import { KeySet } from '../../proxy/identify/key-set.ts'
import type { KubernetesSettings } from '../../proxy/identify/settings.ts'
import { readSmallFile } from '../../proxy/obtain/small-file.ts'

/** Milliseconds that reading the keys may take; a caller waits for it. */
const patience = 5_000

export interface Cluster {
  readonly issuer: string
  readonly audience: string | undefined
  readonly keys: KeySet
  close(): Promise<void>
}

interface Surroundings {
  readonly resolve: Resolve
  readonly isOwn: IsOwn
  /** Epoch milliseconds. */
  readonly now: () => number
  readonly onProblem: (problem: Error) => void
}

/** @param settings `keys.ca` holds PEM by now, not paths */
export function openCluster({ issuer, audience, keys }: KubernetesSettings, surroundings: Surroundings): Cluster {
  const { resolve, isOwn, now, onProblem } = surroundings
  const { url, file = '', ca, addresses } = keys
  if (url === undefined) {
    const read = () => readSmallFile(file)
    return { issuer, audience, keys: new KeySet({ read, now, onProblem }), close: async () => {} }
  }
  const dispatcher = guardedDispatcher({ ca, addresses, patience }, resolve, isOwn)
  const read = () => fetchDocument(dispatcher, url, patience)
  return { issuer, audience, keys: new KeySet({ read, now, onProblem }), close: () => dispatcher.close() }
}
