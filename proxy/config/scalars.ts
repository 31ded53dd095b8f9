// Values that several rooms' settings share: names, durations, paths, SPIFFE IDs, references to secrets.
import * as z from 'zod'
import { parseSpiffeId, parseTrustDomain, pathOf, type SpiffeId, type TrustDomain } from '../../certs/spiffe-id.ts'

/** What a listener, destination or credential is called: it stands in records, metrics and command lines. */
export const name = z
  .string()
  .regex(
    /^[A-Za-z0-9][A-Za-z0-9._-]{0,62}$/,
    'a name of letters, digits, dots, dashes and underscores, at most 63 of them',
  )

/** The ID of a workload: one with a path. */
export const spiffeId = z.string().transform((text, context): SpiffeId => {
  try {
    const id = parseSpiffeId(text)
    if (pathOf(id) !== '') return id
    context.addIssue({ code: 'custom', message: 'not the SPIFFE ID of a workload: the path is missing' })
  } catch (error) {
    context.addIssue({ code: 'custom', message: messageOf(error), params: { expected: exampleId } })
  }
  return z.NEVER
})

export const trustDomain = z.string().transform((text, context): TrustDomain => {
  try {
    return parseTrustDomain(text)
  } catch (error) {
    const message = messageOf(error).replace('SPIFFE ID', 'trust domain')
    context.addIssue({ code: 'custom', message, params: { expected: 'a name such as acme.example' } })
    return z.NEVER
  }
})

const exampleId = 'an ID such as spiffe://acme.example/researcher'
const messageOf = (error: unknown) => (error instanceof Error ? error.message : String(error))

const units = { ms: 1, s: 1_000, m: 60_000, h: 3_600_000, d: 86_400_000 } as const

/** `250ms`, `10s`, `5m`, `1h`, `7d` → milliseconds. */
export const duration = z
  .string()
  .regex(/^\d{1,9}(ms|s|m|h|d)$/, 'a duration such as 250ms, 10s, 5m, 1h or 7d')
  .transform((text) => {
    const unit = text.replace(/^\d+/, '') as keyof typeof units
    return Number.parseInt(text, 10) * units[unit]
  })
  .meta({ format: 'time-span' })

/** A path in the file system. The loader makes it absolute, against the folder of the configuration file, wherever a schema says `format: 'path'`. */
export const filePath = z.string().min(1, 'a path').meta({ format: 'path' })

/** Where a secret value comes from. The value itself never stands in the configuration. */
export type SecretReference =
  | { readonly from: 'env'; readonly name: string }
  | { readonly from: 'file'; readonly path: string }

/** `${env:NAME}` or `${file:/path}`. */
export const secretReference = z
  .string()
  .regex(
    /^\$\{(env:[A-Za-z_][A-Za-z0-9_]*|file:[^}]+)\}$/,
    'a reference such as ${env:NAME} or ${file:/path}; secrets do not stand in the configuration',
  )
  .transform((text): SecretReference => {
    const inner = text.slice(2, -1)
    return inner.startsWith('env:') ? { from: 'env', name: inner.slice(4) } : { from: 'file', path: inner.slice(5) }
  })
  .meta({ format: 'secret-reference' })
