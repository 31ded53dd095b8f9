// Values that several rooms' settings share: durations, sizes, ranges, references to secrets.
import { z } from 'zod'

const units = { ms: 1, s: 1_000, m: 60_000, h: 3_600_000, d: 86_400_000 } as const

/** `250ms`, `10s`, `5m`, `1h`, `7d` → milliseconds. */
export const duration = z
  .string()
  .regex(/^\d{1,9}(ms|s|m|h|d)$/, 'a duration such as 250ms, 10s, 5m, 1h or 7d')
  .transform((text) => {
    const unit = text.replace(/^\d+/, '') as keyof typeof units
    return Number.parseInt(text, 10) * units[unit]
  })

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
