// The annotation that says what was put into a pod, for people and for the next time it is looked at.
import { createHash } from 'node:crypto'
import * as z from 'zod'
import { isObject } from './equal.ts'
import { enforcedBy, type Mode, modes } from './mode.ts'
import type { Parts } from './parts.ts'
import { type PolicyReference, policyText } from './policy-reference.ts'

const statusSchema = z.looseObject({
  containers: z.array(z.string()),
  volumes: z.array(z.string()),
  mode: z.enum(modes).optional(),
})
type Recorded = z.output<typeof statusSchema>

/** @param rest whatever else the pod gets, such as variables */
export function statusText(mode: Mode, policy: PolicyReference, parts: Parts, rest: unknown): string {
  return JSON.stringify({
    mode,
    enforced: enforcedBy[mode],
    policy: policyText(policy),
    containers: parts.initContainers.map(({ name }) => name),
    volumes: parts.volumes.map(({ name }) => name),
    hash: hashOf([mode, parts, rest]),
  })
}

/** What the annotation says was put in; nothing when there is none, or it cannot be read. It can be written by anyone. */
export function recorded(annotation: string | undefined): Recorded {
  if (annotation === undefined) return { containers: [], volumes: [] }
  try {
    return statusSchema.parse(JSON.parse(annotation))
  } catch {
    return { containers: [], volumes: [] }
  }
}

/** The same for the same values, in whatever order their members stand. */
function hashOf(value: unknown): string {
  return createHash('sha256').update(JSON.stringify(value, sorted)).digest('hex').slice(0, 16)
}

const sorted = (_: string, value: unknown) =>
  isObject(value) ? Object.fromEntries(Object.entries(value).sort(([a], [b]) => (a < b ? -1 : 1))) : value
