// Pods and namespaces for the tests of the injector.
import type { Namespace } from '../../../deploy/injector/options.ts'
import { type InjectorSettings, injectorSettingsSchema } from '../../../deploy/injector/settings.ts'

export const settings: InjectorSettings = injectorSettingsSchema.parse({
  image: 'registry.example/postern:1',
  captureImage: 'registry.example/postern-capture:1',
})

/** A labelled namespace; transparent unless told. */
export function namespace(labels: Readonly<Record<string, string>> = {}, annotations = {}): Namespace {
  const ours = Object.fromEntries(Object.entries(labels).map(([name, value]) => [`postern.dev/${name}`, value]))
  return { name: 'agents', labels: { 'postern.dev/inject': 'enabled', ...ours }, annotations }
}

/** What lets a container in without anything to mend. */
export const sound = { allowPrivilegeEscalation: false, capabilities: { drop: ['ALL'] } }

export interface PodChanges {
  readonly metadata?: object
  readonly spec?: object
  /** Of its only container. */
  readonly container?: object
}

export function pod({ metadata = {}, spec = {}, container = {} }: PodChanges = {}) {
  const agent = { name: 'agent', image: 'registry.example/agent:1', securityContext: sound, ...container }
  return {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { name: 'agent', ...metadata },
    spec: { containers: [agent], ...spec },
  }
}

/** As it goes over the wire. */
export function copy<T>(value: T): T {
  return JSON.parse(JSON.stringify(value))
}
