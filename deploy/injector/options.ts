// What the labels and annotations of a namespace and of a pod ask for.
import { nearest } from '../../proxy/config/nearest.ts'
import { isAsStrict, type Mode, modes } from './mode.ts'
import type { Pod } from './pod.ts'
import { type PolicyReference, parsePolicyReference, policyText } from './policy-reference.ts'
import type { Refusal, RefusalReason } from './refusal.ts'
import { type InjectorSettings, quantity } from './settings.ts'

export const prefix = 'postern.dev/'
/** Where a pod says what was put into it. */
export const statusAnnotation = `${prefix}status`

/** A namespace, as far as it has to do with us. */
export interface Namespace {
  readonly name: string
  readonly labels: Readonly<Record<string, string>>
  readonly annotations: Readonly<Record<string, string>>
}

/** What of ours may stand where. */
export const known = {
  namespace: ['inject', 'mode', 'harden', 'policy', 'policies', 'opt-out'],
  pod: ['inject', 'mode', 'policy', 'cpu-request', 'cpu-limit', 'memory-request', 'memory-limit', 'status'],
} as const

export const skipReasons = [
  'namespace_excluded',
  'namespace_not_labelled',
  'opted_out',
  'not_injected',
  'other_object',
] as const
export type SkipReason = (typeof skipReasons)[number]

export interface Options {
  readonly mode: Mode
  readonly harden: 'refuse' | 'rewrite'
  readonly policy: PolicyReference
  readonly resources: InjectorSettings['resources']
}

export type Asked =
  | { readonly skip: SkipReason }
  | { readonly skip?: undefined; readonly options: Options; readonly refusals: readonly Refusal[] }

/** An own namespace that waited for itself could never start; what runs the cluster must not wait for us either. */
export function isExcluded(namespace: string, settings: InjectorSettings): boolean {
  return namespace === settings.namespace || settings.excludedNamespaces.includes(namespace)
}

export function readOptions(pod: Pod, namespace: Namespace, settings: InjectorSettings): Asked {
  if (isExcluded(namespace.name, settings)) return { skip: 'namespace_excluded' }
  const reader = new Reader()
  const where = `namespace ${namespace.name}`
  const ofNamespace = reader.ours(where, known.namespace, namespace.labels, namespace.annotations)
  // The label alone, since the webhook configurations select namespaces by it.
  const given: Given = { ...ofNamespace, inject: namespace.labels[`${prefix}inject`] }
  if (given.inject === undefined || given.inject === 'disabled') return { skip: 'namespace_not_labelled' }
  reader.oneOf(where, 'inject', given.inject, ['enabled', 'disabled'])
  const optOut = reader.oneOf(where, 'opt-out', given['opt-out'], ['allowed', 'refused']) ?? 'refused'
  const required = reader.oneOf(where, 'mode', given.mode, modes) ?? settings.mode
  const harden = reader.oneOf(where, 'harden', given.harden, ['refuse', 'rewrite']) ?? settings.harden
  const policy = reader.policy(where, given.policy) ?? settings.policy

  const { labels, annotations } = pod.metadata
  const asked = reader.ours('the pod', known.pod, labels ?? {}, annotations ?? {})
  if (reader.oneOf('the pod', 'inject', asked.inject, ['enabled', 'disabled']) === 'disabled') {
    if (optOut === 'allowed') return { skip: 'opted_out' }
    reader.refuse('option_not_allowed', 'the pod', `${prefix}inject is disabled`, {
      mend: `Leave it out, or label the namespace ${prefix}opt-out=allowed.`,
    })
  }
  const mode = reader.oneOf('the pod', 'mode', asked.mode, modes) ?? required
  if (!isAsStrict(mode, required)) {
    reader.refuse('option_not_allowed', 'the pod', `${prefix}mode is ${mode}, and the namespace has ${required}`, {
      mend: 'A pod may ask for what holds it better, not for less: leave it out.',
    })
  }
  const options = {
    mode,
    harden,
    policy: chosenPolicy(reader, policy, reader.policy('the pod', asked.policy), given.policies),
    resources: resourcesOf(reader, asked, settings),
  }
  return { options, refusals: reader.refusals }
}

function chosenPolicy(
  reader: Reader,
  usual: PolicyReference,
  asked: PolicyReference | undefined,
  allowed: string | undefined,
): PolicyReference {
  if (asked === undefined || policyText(asked) === policyText(usual)) return usual
  const others = (allowed ?? '').split(',').flatMap((text) => parsePolicyReference(text.trim()) ?? [])
  if (!others.some((other) => policyText(other) === policyText(asked))) {
    reader.refuse('option_not_allowed', 'the pod', `${prefix}policy is ${policyText(asked)}`, {
      mend: `Name it in the annotation ${prefix}policies of the namespace, or leave it out.`,
    })
  }
  return asked
}

function resourcesOf(reader: Reader, asked: Given, { resources }: InjectorSettings): InjectorSettings['resources'] {
  const read = (name: (typeof known.pod)[number]) => reader.quantity(name, asked[name])
  const cpuLimit = read('cpu-limit') ?? resources.cpuLimit
  return {
    cpuRequest: read('cpu-request') ?? resources.cpuRequest,
    memoryRequest: read('memory-request') ?? resources.memoryRequest,
    memoryLimit: read('memory-limit') ?? resources.memoryLimit,
    ...(cpuLimit === undefined ? {} : { cpuLimit }),
  }
}

type Given = Readonly<Record<string, string | undefined>>
type Texts = Readonly<Record<string, string>>

/** Collects what is wrong, so that it is told all at once. */
class Reader {
  readonly refusals: Refusal[] = []

  refuse(reason: RefusalReason, where: string, found: string, { mend }: { readonly mend: string }): void {
    this.refusals.push({ reason, where, found, mend })
  }

  /** Values by name without the prefix; an annotation goes before a label. */
  ours(where: string, names: readonly string[], labels: Texts, annotations: Texts): Given {
    const given: Record<string, string> = {}
    for (const [key, value] of [...Object.entries(labels), ...Object.entries(annotations)]) {
      if (!key.startsWith(prefix)) continue
      const name = key.slice(prefix.length)
      if (names.includes(name)) {
        given[name] = value
        continue
      }
      const near = nearest(name, names)
      this.refuse('unknown_option', where, `${key} is not known`, {
        mend:
          near === undefined
            ? `There is ${names.map((each) => prefix + each).join(', ')}.`
            : `Did you mean ${prefix}${near}?`,
      })
    }
    return given
  }

  oneOf<Value extends string>(
    where: string,
    name: string,
    value: string | undefined,
    values: readonly Value[],
  ): Value | undefined {
    if (value === undefined) return undefined
    const read = values.find((each) => each === value)
    if (read === undefined) this.#bad(where, name, value, `one of ${values.join(', ')}`)
    return read
  }

  policy(where: string, value: string | undefined): PolicyReference | undefined {
    if (value === undefined) return undefined
    const read = parsePolicyReference(value)
    if (read === undefined) this.#bad(where, 'policy', value, 'NAME, configmap/NAME or secret/NAME')
    return read
  }

  quantity(name: string, value: string | undefined): string | undefined {
    if (value === undefined || quantity.safeParse(value).success) return value
    this.#bad('the pod', name, value, 'a quantity such as 50m, 0.5 or 128Mi')
    return undefined
  }

  #bad(where: string, name: string, value: string, expected: string): void {
    const shown = JSON.stringify(value.slice(0, 60))
    this.refuse('bad_option', where, `${prefix}${name} is ${shown}`, { mend: `It must be ${expected}.` })
  }
}
