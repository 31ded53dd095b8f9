// The public keys of an issuer, from where the configuration says; asked for when somebody shows a token of it.
import type { IsOwn } from '../../proxy/forward/connector.ts'
import { fetchDocument } from '../../proxy/forward/document.ts'
import type { Resolve } from '../../proxy/forward/resolver.ts'
import { guardedDispatcher } from '../../proxy/forward/undici.ts'
import { KeySet } from '../../proxy/identify/key-set.ts'
import type { KeysSettings } from '../../proxy/identify/settings.ts'
import { readSmallFile } from '../../proxy/obtain/small-file.ts'

/** Milliseconds that reading the keys may take; whoever shows a token waits for it. */
const patience = 5_000

export interface OpenKeys {
  readonly keys: KeySet
  close(): Promise<void>
}

export interface KeySurroundings {
  readonly resolve: Resolve
  readonly isOwn: IsOwn
  /** Epoch milliseconds. */
  readonly now: () => number
  readonly onProblem: (problem: Error) => void
}

/** Where a key set is read from. */
export interface OpenKeyDocument {
  /** The JSON of it; rejects with what is wrong, in time. */
  readonly read: () => Promise<string>
  close(): Promise<void>
}

/** @param settings `ca` holds PEM by now, not paths */
export function openKeyDocument(
  { url, file = '', ca, addresses }: KeysSettings,
  { resolve, isOwn }: Pick<KeySurroundings, 'resolve' | 'isOwn'>,
): OpenKeyDocument {
  if (url === undefined) return { read: () => readSmallFile(file), close: async () => {} }
  const dispatcher = guardedDispatcher({ ca, addresses, patience }, resolve, isOwn)
  return { read: () => fetchDocument(dispatcher, url, patience), close: () => dispatcher.close() }
}

/** @param settings `ca` holds PEM by now, not paths */
export function openKeys(settings: KeysSettings, surroundings: KeySurroundings): OpenKeys {
  const { now, onProblem } = surroundings
  const { read, close } = openKeyDocument(settings, surroundings)
  return { keys: new KeySet({ read, now, onProblem }), close }
}
