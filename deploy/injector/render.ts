// What the injector would make of what stands in a file, without a cluster.
import { parseAllDocuments, stringify } from 'yaml'
import { lineDiff } from './line-diff.ts'
import { mutate } from './mutate.ts'
import type { Namespace, SkipReason } from './options.ts'
import type { Refusal } from './refusal.ts'
import type { InjectorSettings } from './settings.ts'
import { mapPods } from './templates.ts'

export interface Rendered {
  /** All documents, with their pods as they would be admitted. */
  readonly yaml: string
  readonly pods: readonly RenderedPod[]
}

export interface RenderedPod {
  /** `Deployment/agent`. */
  readonly called: string
  readonly diff: readonly string[]
  readonly warnings: readonly string[]
  readonly refusals: readonly Refusal[]
  readonly skipped: SkipReason | undefined
}

/**
 * @param namespace that of pods whose metadata names none; one that names another is taken for labelled alike
 * @throws Error when the text is not YAML
 */
export function render(text: string, namespace: Namespace, settings: InjectorSettings): Rendered {
  const pods: RenderedPod[] = []
  const documents = parseAllDocuments(text)
  if (!Array.isArray(documents)) return { yaml: '', pods }
  const changed = documents.map((document) => {
    const [error] = document.errors
    if (error !== undefined) throw new Error(error.message)
    return mapPods(document.toJS(), (pod, called, of) => {
      const { rendered, pod: after } = renderPod(pod, called, { ...namespace, name: of ?? namespace.name }, settings)
      pods.push(rendered)
      return after
    })
  })
  return {
    yaml: changed
      .filter((each) => each !== null)
      .map(yamlOf)
      .join('---\n'),
    pods,
  }
}

function renderPod(pod: unknown, called: string, namespace: Namespace, settings: InjectorSettings) {
  const outcome = mutate(pod, namespace, settings)
  const none = { called, diff: [], warnings: [], refusals: [], skipped: undefined }
  if (outcome.kind === 'skipped') return { rendered: { ...none, skipped: outcome.reason }, pod }
  if (outcome.kind === 'refused') return { rendered: { ...none, refusals: outcome.refusals }, pod }
  const { warnings, pod: after } = outcome
  return { rendered: { ...none, diff: lineDiff(yamlOf(pod), yamlOf(after)), warnings }, pod: after }
}

/** Without anchors, which are for people to write. */
const yamlOf = (value: unknown) => stringify(value, { aliasDuplicateObjects: false, lineWidth: 0 })
