// The second look, after every other injector: is the proxy in the pod, whole, and before all others?
import { equal } from './equal.ts'
import { isInjected, mutate, mutateEphemeral, type Outcome } from './mutate.ts'
import { type Namespace, readOptions, statusAnnotation } from './options.ts'
import { ourContainers, ourVolumes, partsOf } from './parts.ts'
import { type Container, type Pod, readPod } from './pod.ts'
import type { Refusal, RefusalReason } from './refusal.ts'
import { differences } from './same-parts.ts'
import type { InjectorSettings } from './settings.ts'

export type Verdict = Exclude<Outcome, { readonly kind: 'injected' }> | { readonly kind: 'intact' }

/** A pod that is created: nothing may be left to do. */
export function validate(raw: unknown, namespace: Namespace, settings: InjectorSettings): Verdict {
  const outcome = mutate(raw, namespace, settings)
  if (outcome.kind === 'skipped') return outcome
  const missing = sidecarRefusals(raw, namespace, settings)
  if (missing.length > 0) return { kind: 'refused', refusals: missing }
  if (outcome.kind === 'refused') return outcome
  if (outcome.patch.length === 0) return { kind: 'intact' }
  const places = [...new Set(outcome.patch.map(({ path }) => path.split('/').slice(1, 4).join('.')))]
  return refused('injection_undone', 'the pod', `${places.slice(0, 5).join(', ')} was changed`, redo)
}

/** A pod that is changed: the API allows images and annotations to be, and ours must not. */
export function validateUpdate(raw: unknown, before: unknown): Verdict {
  const [read, old] = [readPod(raw), readPod(before)]
  if (read.problem !== undefined || old.problem !== undefined)
    return refused('unreadable_pod', 'the pod', 'it cannot be read', 'Correct it.')
  if (!isInjected(old.pod)) return { kind: 'skipped', reason: 'not_injected' }
  const [one, other] = [oursOf(read.pod), oursOf(old.pod)]
  if (equal(one, other)) return { kind: 'intact' }
  return refused('sidecar_altered', 'the pod', 'what was injected is changed', 'Create a new pod instead.')
}

/** Containers that are added to a pod that runs. */
export function validateEphemeral(
  raw: unknown,
  before: unknown,
  namespace: Namespace,
  settings: InjectorSettings,
): Verdict {
  const outcome = mutateEphemeral(raw, before, namespace, settings)
  if (outcome.kind !== 'injected') return outcome
  if (outcome.patch.length === 0) return { kind: 'intact' }
  return refused('injection_undone', 'the pod', 'spec.ephemeralContainers was changed', redo)
}

const redo = 'Another admission webhook undoes it: let it leave these fields alone, or come before.'

function sidecarRefusals(raw: unknown, namespace: Namespace, settings: InjectorSettings): readonly Refusal[] {
  const read = readPod(raw)
  if (read.problem !== undefined) return []
  const asked = readOptions(read.pod, namespace, settings)
  if (asked.skip !== undefined) return []
  const inits = read.pod.spec.initContainers ?? []
  const made = partsOf(asked.options, settings).initContainers
  for (const [place, part] of made.entries()) {
    const at = inits.findIndex(({ name }) => name === part.name)
    const refusal = partRefusal(part, inits[at], at, place)
    if (refusal !== undefined) return [refusal]
  }
  return []
}

function partRefusal(part: Container, found: Container | undefined, at: number, place: number): Refusal | undefined {
  const where = `container ${part.name}`
  if (found === undefined) {
    const mend = 'Is the mutating webhook of postern in force? Create the pod again.'
    return { reason: 'sidecar_missing', where, found: 'it is not there', mend }
  }
  const differs = differences(found, part)
  if (differs.length > 0)
    return { reason: 'sidecar_altered', where, found: `it differs in ${differs.join(', ')}`, mend: redo }
  if (at === place) return undefined
  return { reason: 'sidecar_not_first', where, found: `it is init container ${at + 1}, not ${place + 1}`, mend: redo }
}

function oursOf({ metadata, spec }: Pod): unknown {
  const isOurs = ({ name }: Container) => ourContainers.includes(name)
  return {
    status: metadata.annotations?.[statusAnnotation],
    first: spec.initContainers?.[0]?.name,
    containers: (spec.initContainers ?? []).filter(isOurs),
    volumes: (spec.volumes ?? []).filter(({ name }) => ourVolumes.includes(name)),
  }
}

function refused(reason: RefusalReason, where: string, found: string, mend: string): Verdict {
  return { kind: 'refused', refusals: [{ reason, where, found, mend }] }
}
