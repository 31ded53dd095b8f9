// AdmissionReview (admission.k8s.io/v1): what the API server asks, and what it is answered.
import * as z from 'zod'
import { isObject } from './equal.ts'
import { mutate, mutateEphemeral, type Outcome } from './mutate.ts'
import { isExcluded, type Namespace } from './options.ts'
import { refusalMessage } from './refusal.ts'
import type { InjectorSettings } from './settings.ts'
import { type Verdict, validate, validateEphemeral, validateUpdate } from './validate.ts'

const reviewSchema = z.looseObject({
  apiVersion: z.literal('admission.k8s.io/v1'),
  kind: z.literal('AdmissionReview'),
  request: z.looseObject({
    uid: z.string().min(1).max(256),
    resource: z.looseObject({ group: z.string(), version: z.string(), resource: z.string() }),
    subResource: z.string().nullish(),
    operation: z.string(),
    namespace: z.string().nullish(),
    object: z.unknown().optional(),
    oldObject: z.unknown().optional(),
  }),
})

export type ReviewRequest = z.output<typeof reviewSchema>['request']
export type Endpoint = 'mutate' | 'validate'

/** @throws Error that says what is wrong with it */
export function readReview(body: string): ReviewRequest {
  const read = reviewSchema.safeParse(JSON.parse(body))
  if (read.success) return read.data.request
  const [issue] = read.error.issues
  throw new Error(`not an AdmissionReview of admission.k8s.io/v1: ${issue?.path.join('.')}: ${issue?.message}`)
}

/** Where the labels of the namespace are not needed, so that it need not be asked for. */
export function isOutside({ namespace, resource, object }: ReviewRequest, settings: InjectorSettings): boolean {
  const isPod = resource.group === '' && resource.resource === 'pods' && isObject(object)
  return !isPod || namespace == null || isExcluded(namespace, settings)
}

export function judge(
  endpoint: Endpoint,
  { operation, subResource, object, oldObject }: ReviewRequest,
  namespace: Namespace,
  settings: InjectorSettings,
): Outcome | Verdict {
  const isMutating = endpoint === 'mutate'
  const of = `${operation}/${subResource ?? ''}`
  if (of === 'CREATE/') return (isMutating ? mutate : validate)(object, namespace, settings)
  if (of === 'UPDATE/ephemeralcontainers') {
    return (isMutating ? mutateEphemeral : validateEphemeral)(object, oldObject, namespace, settings)
  }
  if (of === 'UPDATE/' && !isMutating) return validateUpdate(object, oldObject)
  return { kind: 'skipped', reason: 'other_object' }
}

/** The body of the answer. */
export function answerText(uid: string, outcome: Outcome | Verdict): string {
  return reviewText({ uid, ...responseOf(outcome) })
}

/** Something went wrong here: with failurePolicy Fail, and without, it is not admitted. */
export function failureText(uid: string, message: string): string {
  return reviewText({ uid, allowed: false, status: { status: 'Failure', code: 500, reason: 'InternalError', message } })
}

const reviewText = (response: object) =>
  JSON.stringify({ apiVersion: 'admission.k8s.io/v1', kind: 'AdmissionReview', response })

function responseOf(outcome: Outcome | Verdict): object {
  switch (outcome.kind) {
    case 'skipped':
      return { allowed: true, auditAnnotations: { decision: 'skipped', reason: outcome.reason } }
    case 'intact':
      return { allowed: true, auditAnnotations: { decision: 'intact' } }
    case 'refused': {
      const message = refusalMessage(outcome.refusals)
      const reasons = [...new Set(outcome.refusals.map(({ reason }) => reason))].join(',')
      return {
        allowed: false,
        status: { status: 'Failure', code: 403, reason: 'Forbidden', message },
        auditAnnotations: { decision: 'refused', reasons },
      }
    }
    case 'injected': {
      const { patch, warnings, annotations } = outcome
      return {
        allowed: true,
        auditAnnotations: { decision: 'injected', ...annotations },
        ...(warnings.length === 0 ? {} : { warnings: shown(warnings) }),
        ...(patch.length === 0
          ? {}
          : { patchType: 'JSONPatch', patch: Buffer.from(JSON.stringify(patch)).toString('base64') }),
      }
    }
  }
}

/** The API server cuts what is longer than 256 characters, or 4,096 in all. */
function shown(warnings: readonly string[]): string[] {
  const some = warnings.slice(0, 15).map((text) => (text.length <= 240 ? text : `${text.slice(0, 239)}…`))
  return warnings.length > some.length ? [...some, `and ${warnings.length - some.length} more`] : some
}
