// The cluster whose service-account tokens prove a caller, and its keys.
import type { KeySet } from '../../proxy/identify/key-set.ts'
import type { KubernetesSettings } from '../../proxy/identify/settings.ts'
import { type KeySurroundings, openKeys } from './keys.ts'

export interface Cluster {
  readonly issuer: string
  readonly audience: string | undefined
  readonly keys: KeySet
  close(): Promise<void>
}

/** @param settings `keys.ca` holds PEM by now, not paths */
export function openCluster({ issuer, audience, keys }: KubernetesSettings, surroundings: KeySurroundings): Cluster {
  return { issuer, audience, ...openKeys(keys, surroundings) }
}
