// Authorization: Bearer … (RFC 6750 §2.1).
import type { Lease } from '../obtain/provider.ts'
import type { Draft } from './draft.ts'
import { fieldValue } from './field-value.ts'
import type { Writer } from './writer.ts'

export const bearer: Writer = {
  kind: 'bearer',
  field: 'authorization',
  write({ secret }: Lease, { headers }: Draft) {
    headers.push('authorization', `Bearer ${fieldValue(secret)}`)
    return [secret]
  },
}
