// Puts the proxy into a pod, or says why not: pure, and the same again when it is applied again.
import { type AgentVariables, agentVariables, withVariables } from './agent-variables.ts'
import { equal } from './equal.ts'
import { guard, guardEphemeral } from './guard.ts'
import { diff, type Operation } from './json-patch.ts'
import type { Mode } from './mode.ts'
import { type Namespace, type Options, readOptions, type SkipReason, statusAnnotation } from './options.ts'
import { names, ourContainers, ourVolumes, type Parts, partsOf, trustMount } from './parts.ts'
import { type Container, type Pod, type ReadPod, readPod, type Volume } from './pod.ts'
import { policyText } from './policy-reference.ts'
import type { Refusal } from './refusal.ts'
import { containerNames, nameRefusal, reservedInContainers, reservedInVolumes, reservedSecrets } from './reserved.ts'
import { differences, sameVolume } from './same-parts.ts'
import type { InjectorSettings } from './settings.ts'
import { recorded, statusText } from './status.ts'

export type Outcome =
  | { readonly kind: 'skipped'; readonly reason: SkipReason }
  | { readonly kind: 'refused'; readonly refusals: readonly Refusal[] }
  | Injected

export interface Injected {
  readonly kind: 'injected'
  readonly mode: Mode
  /** As it is afterwards. */
  readonly pod: Pod
  /** Leads from what was given to `pod`; empty when nothing is to be done. */
  readonly patch: readonly Operation[]
  /** For whoever creates the pod: what of theirs was changed. */
  readonly warnings: readonly string[]
  /** For the audit log of the API server. */
  readonly annotations: Readonly<Record<string, string>>
}

/**
 * @param raw a pod, or the template of one
 * @param namespace where it is to run
 */
export function mutate(raw: unknown, namespace: Namespace, settings: InjectorSettings): Outcome {
  const read = readPod(raw)
  if (read.problem !== undefined) return unreadable(read.problem)
  const { pod } = read
  const asked = readOptions(pod, namespace, settings)
  if (asked.skip !== undefined) return { kind: 'skipped', reason: asked.skip }
  const { options } = asked
  const parts = partsOf(options, settings)
  const found = split(pod, parts)
  const guarded = guard(pod, (each) => found.ours.has(each), settings, options.harden)
  const others = [...found.otherInits, ...pod.spec.containers]
  const secrets = reservedSecrets(options.policy, settings)
  const refusals = [
    ...asked.refusals,
    ...found.refusals,
    ...guarded.refusals,
    ...reservedInContainers(others, secrets, settings),
    ...reservedInVolumes(found.otherVolumes, secrets),
  ]
  if (refusals.length > 0) return { kind: 'refused', refusals }
  return assembled(raw, guarded.pod, parts, found, options, settings, guarded.rewritten)
}

/**
 * Containers that are added to a pod that runs (`kubectl debug`).
 * @param before the pod without them: what is there already can neither be changed nor taken out
 */
export function mutateEphemeral(
  raw: unknown,
  before: unknown,
  namespace: Namespace,
  settings: InjectorSettings,
): Outcome {
  const [read, old] = [readPod(raw), readPod(before)]
  if (read.problem !== undefined) return unreadable(read.problem)
  if (old.problem !== undefined) return unreadable(old.problem)
  const { pod } = read
  const asked = readOptions(pod, namespace, settings)
  if (asked.skip !== undefined) return { kind: 'skipped', reason: asked.skip }
  // One that was there before the namespace was labelled has no trust files to mount.
  if (!isInjected(old.pod)) return { kind: 'skipped', reason: 'not_injected' }
  const { metadata } = old.pod
  // How the pod is captured was settled when it was created, whatever its namespace says now.
  const { mode = asked.options.mode } = recorded(metadata.annotations?.[statusAnnotation])
  const options = { ...asked.options, mode }
  const there = new Set((old.pod.spec.ephemeralContainers ?? []).map(({ name }) => name))
  const variables = agentVariables(options.mode, settings)
  const secrets = reservedSecrets(options.policy, settings)
  const [refusals, rewritten, warnings]: [Refusal[], Refusal[], string[]] = [[...asked.refusals], [], []]
  const ephemeralContainers = (pod.spec.ephemeralContainers ?? []).map((container) => {
    if (there.has(container.name)) return container
    const guarded = guardEphemeral(container, pod.spec, settings, options.harden)
    refusals.push(...guarded.refusals, ...reservedInContainers([container], secrets, settings))
    if (container.targetContainerName === names.sidecar)
      refusals.push({
        reason: 'targets_proxy',
        where: `container ${container.name}`,
        found: `its target is ${names.sidecar}`,
        mend: 'Name another container as target.',
      })
    rewritten.push(...guarded.rewritten)
    return adapted(guarded.container, variables, settings, warnings)
  })
  if (refusals.length > 0) return { kind: 'refused', refusals }
  const next: Pod = ephemeralContainers.length === 0 ? pod : { ...pod, spec: { ...pod.spec, ephemeralContainers } }
  return injected(raw, next, options, [...warnings, ...rewritten.map(rewrittenText)])
}

export function isInjected({ metadata, spec }: Pod): boolean {
  const sidecar = spec.initContainers?.some(({ name }) => name === names.sidecar) === true
  return sidecar && metadata.annotations?.[statusAnnotation] !== undefined
}

function unreadable({ at, message }: NonNullable<ReadPod['problem']>): Outcome {
  const where = at === '' ? 'the pod' : at
  return { kind: 'refused', refusals: [{ reason: 'unreadable_pod', where, found: message, mend: 'Correct it.' }] }
}

interface Split {
  /** Containers that are ours, as they stand in the pod. */
  readonly ours: ReadonlySet<Container>
  readonly otherInits: readonly Container[]
  readonly otherVolumes: readonly Volume[]
  /** Names of ours that are somebody else's. */
  readonly refusals: readonly Refusal[]
}

/**
 * What is ours from an earlier time: the same as would be made now, or recorded by the annotation. That anyone can
 * write, and gains nothing by it: it is made anew.
 */
function split(pod: Pod, parts: Parts): Split {
  const { metadata, spec } = pod
  const status = recorded(metadata.annotations?.[statusAnnotation])
  const refusals: Refusal[] = containerNames(pod)
    .filter((name) => ourContainers.includes(name))
    .map((name) => nameRefusal('container', name))
  const ours = new Set<Container>()
  const otherInits: Container[] = []
  for (const container of spec.initContainers ?? []) {
    const { name } = container
    const made = parts.initContainers.find((each) => each.name === name)
    const isSame = made !== undefined && differences(container, made).length === 0
    if (!ourContainers.includes(name)) otherInits.push(container)
    else if (isSame || status.containers.includes(name)) ours.add(container)
    else refusals.push(nameRefusal('container', name))
  }
  const otherVolumes: Volume[] = []
  for (const volume of spec.volumes ?? []) {
    const { name } = volume
    const made = parts.volumes.find((each) => each.name === name)
    const isSame = made !== undefined && sameVolume(volume, made)
    if (!ourVolumes.includes(name)) otherVolumes.push(volume)
    else if (!isSame && !status.volumes.includes(name)) refusals.push(nameRefusal('volume', name))
  }
  return { ours, otherInits, otherVolumes, refusals }
}

function assembled(
  raw: unknown,
  pod: Pod,
  parts: Parts,
  { ours }: Split,
  options: Options,
  settings: InjectorSettings,
  rewritten: readonly Refusal[],
): Injected {
  const { metadata, spec } = pod
  const variables = agentVariables(options.mode, settings)
  const warnings: string[] = []
  const adapt = (container: Container) => adapted(container, variables, settings, warnings)
  const isOurs = (container: Container) => ourContainers.includes(container.name)
  const kept = [...ours]
  const made = parts.initContainers.map((part) => {
    const there = kept.find(({ name }) => name === part.name)
    // With what the API server added to it, which would only come back.
    return there !== undefined && differences(there, part).length === 0 ? there : part
  })
  const rest = {
    values: [...variables.values],
    javaOptions: variables.javaOptions,
    mount: trustMount(settings),
  }
  const next: Pod = {
    ...pod,
    metadata: {
      ...metadata,
      annotations: {
        ...metadata.annotations,
        [statusAnnotation]: statusText(options.mode, options.policy, parts, rest),
      },
    },
    spec: {
      ...spec,
      volumes: volumesOf(spec.volumes ?? [], parts),
      // First, since what starts before the rules and the proxy is not captured.
      initContainers: [...made, ...(spec.initContainers ?? []).filter((each) => !isOurs(each)).map(adapt)],
      containers: spec.containers.map(adapt),
    },
  }
  return injected(raw, next, options, [...warnings, ...rewritten.map(rewrittenText)])
}

/** Each of ours stays where it stands, since the order of volumes means nothing and others may have added theirs. */
function volumesOf(there: readonly Volume[], { volumes }: Parts): Volume[] {
  const kept = there.flatMap((volume) => {
    if (!ourVolumes.includes(volume.name)) return [volume]
    return volumes.find(({ name }) => name === volume.name) ?? []
  })
  return [...kept, ...volumes.filter(({ name }) => !kept.some((volume) => volume.name === name))]
}

function injected(raw: unknown, pod: Pod, { mode, policy }: Options, warnings: readonly string[]): Injected {
  const patch = diff(raw, pod)
  const annotations = { mode, policy: policyText(policy), changed: String(patch.length > 0) }
  return { kind: 'injected', mode, pod, patch, warnings, annotations }
}

function adapted(
  container: Container,
  variables: AgentVariables,
  settings: InjectorSettings,
  warnings: string[],
): Container {
  const { env, replaced } = withVariables(container.env ?? [], variables)
  if (replaced.length > 0) warnings.push(`container ${container.name}: set anew, for the proxy: ${replaced.join(', ')}`)
  const mount = trustMount(settings)
  const mounts = container.volumeMounts ?? []
  return {
    ...container,
    env: [...env],
    volumeMounts: mounts.some((each) => equal(each, mount)) ? mounts : [...mounts, mount],
  }
}

function rewrittenText({ where, found }: Refusal): string {
  return `${where}: ${found}; rewritten`
}
