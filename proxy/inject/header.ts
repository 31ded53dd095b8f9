// A header field of its own, such as X-Api-Key.
import { fieldValue } from './field-value.ts'
import type { Writer } from './writer.ts'

/** @param prefix stands before the credential */
export function header(name: string, prefix = ''): Writer {
  return {
    kind: 'header',
    field: name,
    write({ secret }, { headers }) {
      headers.push(name, prefix + fieldValue(secret))
      return [secret]
    },
  }
}
