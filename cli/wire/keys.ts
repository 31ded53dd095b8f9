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

/** @param settings `ca` holds PEM by now, not paths */
export function openKeys({ url, file = '', ca, addresses }: KeysSettings, surroundings: KeySurroundings): OpenKeys {
  const { resolve, isOwn, now, onProblem } = surroundings
  if (url === undefined) {
    const read = () => readSmallFile(file)
    return { keys: new KeySet({ read, now, onProblem }), close: async () => {} }
  }
  const dispatcher = guardedDispatcher({ ca, addresses, patience }, resolve, isOwn)
  const read = () => fetchDocument(dispatcher, url, patience)
  return { keys: new KeySet({ read, now, onProblem }), close: () => dispatcher.close() }
}
