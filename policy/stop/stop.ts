// What a stop says: whom or what it ends, why, and until when.
import * as z from 'zod'
import { agentPattern, maxIdLength } from '../agents.ts'

/** Shown on terminals and written to records, so without control characters. */
const text = (most: number) =>
  z
    .string()
    .min(1)
    .max(most)
    .regex(/^[^\p{Cc}\p{Zl}\p{Zp}]*$/u, 'text of one line, without control characters')

export const longestReason = 500

export const stoppedSchema = z.discriminatedUnion('kind', [
  z.strictObject({
    kind: z.literal('agent'),
    /** As in rules: a SPIFFE ID, or a prefix that ends in `/*` and means everything below it. */
    id: z
      .string()
      .max(maxIdLength)
      .regex(agentPattern, 'a SPIFFE ID such as spiffe://acme.example/ns/agents/sa/researcher, or one that ends in /*'),
  }),
  z.strictObject({ kind: z.literal('user'), id: text(maxIdLength) }),
  z.strictObject({ kind: z.literal('txn'), id: text(maxIdLength) }),
  z.strictObject({ kind: z.literal('delegation'), jti: text(maxIdLength) }),
  z.strictObject({ kind: z.literal('credential'), name: text(100) }),
  z.strictObject({ kind: z.literal('destination'), name: text(100) }),
  z.strictObject({ kind: z.literal('all') }),
])

export const reasonSchema = text(longestReason)

export const stopSchema = z.strictObject({
  id: z.string().regex(/^[!-~]{1,300}$/, 'an id of visible ASCII characters'),
  what: stoppedSchema,
  reason: reasonSchema,
  /** When it was ordered; epoch milliseconds. */
  at: z.int(),
  /** Not in force before; epoch milliseconds. */
  since: z.int().optional(),
  /** In force until then, and no longer; epoch milliseconds. Absent: until it is lifted. */
  until: z.int().optional(),
  /** Who ordered it, such as `uid 1000`, `file kill.yaml`, `feed https://stops.acme.example`. */
  by: text(2_200),
})

export type Stopped = z.infer<typeof stoppedSchema>
export type Stop = z.infer<typeof stopSchema>
/** What tells one stopped thing from another of its kind. */
export function idOf(what: Stopped): string {
  switch (what.kind) {
    case 'all':
      return ''
    case 'delegation':
      return what.jti
    case 'credential':
    case 'destination':
      return what.name
    default:
      return what.id
  }
}

/** Such as `agent spiffe://acme.example/a/*`, `everything`. */
export function describeStopped(what: Stopped): string {
  return what.kind === 'all' ? 'everything' : `${what.kind} ${idOf(what)}`
}

/** What a request, tunnel or delegation is, as far as a stop may concern it. */
export interface StopSubject {
  /** SPIFFE IDs of every hop and of the caller, also as it was attested. */
  readonly agents: readonly string[]
  readonly principal: { readonly kind: string; readonly id: string }
  readonly txn: string | undefined
  /** `jti` of all hops. */
  readonly delegations: readonly string[]
  /** Name of the credential, once it is known. */
  readonly credential?: string | undefined
  /** Name of the destination, once it is known. */
  readonly destination?: string | undefined
}
