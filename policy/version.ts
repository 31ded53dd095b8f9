// A short name for what a piece of configuration says, the same for the same content whatever the order of its keys.
import { createHash } from 'node:crypto'

/** @returns 12 hex digits of SHA-256 over the canonical JSON of the value */
export function fingerprint(value: unknown): string {
  return createHash('sha256').update(JSON.stringify(value, sorted)).digest('hex').slice(0, 12)
}

function sorted(_key: string, value: unknown): unknown {
  if (typeof value === 'bigint') return value.toString()
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return value
  return Object.fromEntries(Object.entries(value).sort(([a], [b]) => (a < b ? -1 : a > b ? 1 : 0)))
}
