// The attestors of each listener, strongest first, by the names that its `callers` uses.
import type { TrustDomain } from '../../certs/spiffe-id.ts'
import type { ListenSettings } from '../../proxy/capture/settings.ts'
import type { Attestor } from '../../proxy/identify/attestor.ts'
import type { Attestors } from '../../proxy/identify/identify.ts'
import { egressOf, JwtSvidAttestor } from '../../proxy/identify/jwt-svid.ts'
import { kernelFacts } from '../../proxy/identify/kernel/facts.ts'
import { KernelAttestor, type KernelMapping } from '../../proxy/identify/kernel.ts'
import { KubernetesTokenAttestor } from '../../proxy/identify/kubernetes-token.ts'
import { OneKindOfToken } from '../../proxy/identify/token-kind.ts'
import { X509SvidAttestor } from '../../proxy/identify/x509-svid.ts'
import type { Trust as TrustedDomains } from './federation.ts'
import type { Cluster } from './kubernetes.ts'

/** A certificate proves more than a token that others could have read, a namespace or a token of this run less, and a user id least. */
const strength = ['x509-svid', 'jwt-svid', 'kubernetes-token', 'namespace', 'run-token', 'kernel']

export interface Trust {
  readonly trustDomain: TrustDomain
  readonly trusted: TrustedDomains | undefined
  /** Whose service-account tokens count; undefined where none is configured. */
  readonly cluster: Cluster | undefined
  /** Epoch milliseconds. */
  readonly now: () => number
}

/**
 * @param given attestors that this run brings along
 * @throws when a listener names a proof that nothing here can check
 */
export function attestorsOf(
  listen: readonly ListenSettings[],
  given: ReadonlyMap<string, Attestor>,
  trust: Trust,
): Attestors {
  const byListener = new Map<string, readonly Attestor[]>()
  for (const listener of listen) {
    const names = [...listener.callers].sort((one, other) => strength.indexOf(one) - strength.indexOf(other))
    byListener.set(
      listener.name,
      names.map((name) => given.get(name) ?? amongTokens(names, builtIn(name, listener, trust))),
    )
  }
  return byListener
}

function builtIn(name: string, listener: ListenSettings, { trustDomain, trusted, cluster, now }: Trust): Attestor {
  const bundleFor = (domain: TrustDomain) => trusted?.bundle(domain)
  const epoch = () => trusted?.epoch ?? 0
  switch (name) {
    case 'x509-svid':
      return new X509SvidAttestor({ bundleFor, epoch, now })
    case 'jwt-svid':
      return new JwtSvidAttestor({
        audience: egressOf(trustDomain),
        bundleFor,
        epoch,
        now,
        kernel: witnessOf(listener),
      })
    case 'kubernetes-token': {
      if (cluster === undefined) throw new Error(`listener ${listener.name}: there is no section kubernetes`)
      const { issuer, audience = egressOf(trustDomain), keys } = cluster
      return new KubernetesTokenAttestor({ trustDomain, issuer, audience, keys, now, kernel: witnessOf(listener) })
    }
    case 'kernel':
      return kernelOf(listener)
    default:
      throw new Error(`listener ${listener.name}: ${name} can be checked only where postern exec opens the listener`)
  }
}

/** Two kinds of token come in the one header, so each attestor is shown its own kind only where both are accepted. */
function amongTokens(names: readonly string[], attestor: Attestor): Attestor {
  const { name } = attestor
  if (name !== 'jwt-svid' && name !== 'kubernetes-token') return attestor
  return names.includes('jwt-svid') && names.includes('kubernetes-token')
    ? new OneKindOfToken(name, attestor)
    : attestor
}

function kernelOf({ containers = {}, executables = {}, uids = {}, agent }: ListenSettings): Attestor {
  const mapping: KernelMapping = {
    containers: new Map(Object.entries(containers)),
    executables: new Map(Object.entries(executables)),
    uids: new Map(Object.entries(uids).map(([uid, id]) => [Number(uid), id])),
    others: agent,
  }
  return new KernelAttestor(mapping, kernelFacts())
}

/** Who must confirm a token: nobody where TLS keeps it from others. */
function witnessOf(listener: ListenSettings): Attestor | undefined {
  return listener.accept === 'https-proxy' ? undefined : kernelOf(listener)
}
