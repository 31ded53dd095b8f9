// What a chart renders, as objects.
import { parseAllDocuments } from 'yaml'

/** Of any kind; a member that is not there fails the test that reads it. */
export interface KubeObject {
  readonly apiVersion: string
  readonly kind: string
  readonly metadata: {
    readonly name: string
    readonly namespace?: string
    readonly labels?: Readonly<Record<string, string>>
    readonly annotations?: Readonly<Record<string, string>>
  }
  // biome-ignore lint/suspicious/noExplicitAny: each kind has another shape, and a wrong one fails the test
  readonly [key: string]: any
}

/** YAML as Kubernetes reads it, by the rules of 1.1; duplicate keys are errors. */
export function objectsOf(yaml: string): KubeObject[] {
  return parseAllDocuments(yaml, { version: '1.1' }).flatMap((document) => {
    const [problem] = [...document.errors, ...document.warnings]
    if (problem !== undefined) throw problem
    const object: KubeObject | null = document.toJS()
    return object === null ? [] : [object]
  })
}

export function the(objects: readonly KubeObject[], kind: string, name?: string): KubeObject {
  const found = objects.filter(
    (object) => object.kind === kind && (name ?? object.metadata.name) === object.metadata.name,
  )
  if (found.length !== 1 || found[0] === undefined) throw new Error(`${found.length} of ${kind} ${name ?? ''}`)
  return found[0]
}

export const ofKind = (objects: readonly KubeObject[], kind: string) => objects.filter((object) => object.kind === kind)
