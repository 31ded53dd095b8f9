// What is for the proxy alone: names, volumes, ports and Secrets that no other container may have.
import { portsFrom } from '../../proxy/capture/redirected-ports.ts'
import { equal } from './equal.ts'
import { ourVolumes, trustMount } from './parts.ts'
import type { Container, Pod, Volume } from './pod.ts'
import type { PolicyReference } from './policy-reference.ts'
import type { Refusal, RefusalReason } from './refusal.ts'
import type { InjectorSettings } from './settings.ts'

/** Secrets of the namespace that only the sidecar may see. */
export function reservedSecrets(policy: PolicyReference, { credentials }: InjectorSettings): ReadonlySet<string> {
  return new Set([credentials, ...(policy.kind === 'secret' ? [policy.name] : [])])
}

/** @param others its containers but for ours */
export function reservedInContainers(
  others: readonly Container[],
  secrets: ReadonlySet<string>,
  settings: InjectorSettings,
): Refusal[] {
  return others.flatMap((each) => inContainer(each, secrets, settings))
}

/** @param others its volumes but for ours */
export function reservedInVolumes(others: readonly Volume[], secrets: ReadonlySet<string>): Refusal[] {
  return others.flatMap((volume) => {
    const named = [volume.secret?.secretName, ...(volume.projected?.sources ?? []).map(({ secret }) => secret?.name)]
    return named.flatMap((name) =>
      name != null && secrets.has(name) ? [secretRefusal(`volume ${volume.name}`, name)] : [],
    )
  })
}

function inContainer(container: Container, secrets: ReadonlySet<string>, settings: InjectorSettings): Refusal[] {
  const found: Refusal[] = []
  const where = `container ${container.name}`
  const refuse = (reason: RefusalReason, what: string, mend: string) => found.push({ reason, where, found: what, mend })
  const trust = trustMount(settings)
  for (const mount of container.volumeMounts ?? []) {
    if (equal(mount, trust)) continue
    if (ourVolumes.includes(mount.name)) {
      refuse('volume_reserved', `it mounts ${mount.name}`, 'Take the mount out; what it needs is mounted for it.')
    } else if (`${mount.mountPath}/`.startsWith(`${trust.mountPath}/`)) {
      refuse('path_taken', `${mount.name} is mounted at ${mount.mountPath}`, 'Mount it elsewhere.')
    }
  }
  for (const { name, valueFrom } of container.env ?? []) {
    const volume = valueFrom?.fileKeyRef?.volumeName
    if (volume != null && ourVolumes.includes(volume))
      refuse('volume_reserved', `its variable ${name} comes from ${volume}`, 'Take the variable out.')
  }
  const ports = new Set([...Object.values(settings.ports), ...portsFrom(settings.ports.redirected)])
  for (const { containerPort } of container.ports ?? []) {
    if (ports.has(containerPort)) refuse('port_taken', `it has port ${containerPort}`, 'Give it another port.')
  }
  const references = [
    ...(container.env ?? []).map(({ valueFrom }) => valueFrom?.secretKeyRef?.name),
    ...(container.envFrom ?? []).map(({ secretRef }) => secretRef?.name),
  ]
  for (const name of new Set(references)) {
    if (name != null && secrets.has(name)) found.push(secretRefusal(where, name))
  }
  return found
}

function secretRefusal(where: string, name: string): Refusal {
  const mend = 'Take the reference out: the proxy puts credentials into requests, nobody else needs them.'
  return { reason: 'secret_reserved', where, found: `it refers to Secret ${name}`, mend }
}

/** The name must be free, or ours already. */
export function nameRefusal(kind: 'container' | 'volume', name: string): Refusal {
  return {
    reason: 'name_taken',
    where: `${kind} ${name}`,
    found: 'there is one of this name already',
    mend: 'Rename it; or, if it was copied from a pod that had been injected, take it out.',
  }
}

/** Of those that run beside one another; ours are none of them. */
export function containerNames({ spec }: Pod): readonly string[] {
  return [...spec.containers, ...(spec.ephemeralContainers ?? [])].map(({ name }) => name)
}
