// The attestors of each listener, strongest first, by the names that its `callers` uses.
import type { SvidSource } from '../../certs/source.ts'
import type { ListenSettings } from '../../proxy/capture/settings.ts'
import type { Attestor } from '../../proxy/identify/attestor.ts'
import type { Attestors } from '../../proxy/identify/identify.ts'
import { kernelFacts } from '../../proxy/identify/kernel/facts.ts'
import { KernelAttestor } from '../../proxy/identify/kernel.ts'
import { X509SvidAttestor } from '../../proxy/identify/x509-svid.ts'

/** A certificate proves more than a token of this run, and that more than a user id. */
const strength = ['x509-svid', 'run-token', 'kernel']

/**
 * @param given attestors that this run brings along
 * @throws when a listener names a proof that nothing here can check
 */
export function attestorsOf(
  listen: readonly ListenSettings[],
  given: ReadonlyMap<string, Attestor>,
  svids: SvidSource | undefined,
  now: () => number,
): Attestors {
  const byListener = new Map<string, readonly Attestor[]>()
  for (const listener of listen) {
    const names = [...listener.callers].sort((one, other) => strength.indexOf(one) - strength.indexOf(other))
    byListener.set(
      listener.name,
      names.map((name) => given.get(name) ?? builtIn(name, listener, svids, now)),
    )
  }
  return byListener
}

function builtIn(name: string, listener: ListenSettings, svids: SvidSource | undefined, now: () => number): Attestor {
  if (name === 'x509-svid') return new X509SvidAttestor({ bundleFor: (domain) => svids?.bundle(domain), now })
  if (name === 'kernel') {
    const uids = new Map(Object.entries(listener.uids ?? {}).map(([uid, id]) => [Number(uid), id]))
    return new KernelAttestor(uids, kernelFacts(), listener.agent)
  }
  throw new Error(`listener ${listener.name}: ${name} can be checked only where postern exec opens the listener`)
}
