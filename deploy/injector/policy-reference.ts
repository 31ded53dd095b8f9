// Which ConfigMap or Secret holds the configuration of a pod's proxy.
import * as z from 'zod'

export interface PolicyReference {
  readonly kind: 'configmap' | 'secret'
  readonly name: string
}

/** `NAME`, `configmap/NAME` or `secret/NAME`. */
export function parsePolicyReference(text: string): PolicyReference | undefined {
  const parts = /^(?:(configmap|secret)\/)?([a-z0-9](?:[a-z0-9.-]{0,251}[a-z0-9])?)$/.exec(text)
  if (parts?.[2] === undefined) return undefined
  return { kind: parts[1] === 'secret' ? 'secret' : 'configmap', name: parts[2] }
}

export const policyReference = z.string().transform((text, context): PolicyReference => {
  const read = parsePolicyReference(text)
  if (read !== undefined) return read
  context.addIssue({ code: 'custom', message: 'not NAME, configmap/NAME or secret/NAME' })
  return z.NEVER
})

export const policyText = ({ kind, name }: PolicyReference) => `${kind}/${name}`
