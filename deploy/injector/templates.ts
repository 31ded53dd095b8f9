// Where the pods are in what people write: pods themselves, and the templates of what makes pods.
import { isObject } from './equal.ts'

/** By kind, the members that lead to the template. */
const templates: Readonly<Record<string, readonly string[]>> = {
  Pod: [],
  PodTemplate: ['template'],
  Deployment: ['spec', 'template'],
  ReplicaSet: ['spec', 'template'],
  ReplicationController: ['spec', 'template'],
  StatefulSet: ['spec', 'template'],
  DaemonSet: ['spec', 'template'],
  Job: ['spec', 'template'],
  CronJob: ['spec', 'jobTemplate', 'spec', 'template'],
}

/**
 * The same object with its pod, or each of its pods in a List, replaced by what `change` makes of it.
 * @param change gets the pod and how it is called, `Deployment/agent`
 */
export function mapPods(
  object: unknown,
  change: (pod: unknown, called: string, namespace: string | undefined) => unknown,
): unknown {
  if (!isObject(object) || typeof object.kind !== 'string') return object
  const { kind, items, metadata } = object
  if (kind.endsWith('List') && Array.isArray(items)) {
    return { ...object, items: items.map((item) => mapPods(item, change)) }
  }
  const path = Object.hasOwn(templates, kind) ? templates[kind] : undefined
  if (path === undefined) return object
  const text = (key: string) => (isObject(metadata) && typeof metadata[key] === 'string' ? metadata[key] : undefined)
  return at(object, path, (pod) => change(pod, `${kind}/${text('name') ?? '(no name)'}`, text('namespace')))
}

function at(value: unknown, path: readonly string[], change: (value: unknown) => unknown): unknown {
  const [key, ...rest] = path
  if (key === undefined) return change(value)
  if (!isObject(value) || value[key] === undefined) return value
  return { ...value, [key]: at(value[key], rest, change) }
}
