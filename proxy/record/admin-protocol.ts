// What is said on the admin socket; the server and the client hold each other to it.
import * as z from 'zod'
import { adminStops } from './admin-stops.ts'

export const adminStatus = z.strictObject({
  version: z.string(),
  pid: z.int(),
  started_at: z.iso.datetime(),
  ready: z.boolean(),
  reasons: z.array(z.strictObject({ check: z.string(), why: z.string() })),
  policy_version: z.string(),
  config: z.strictObject({
    file: z.string().optional(),
    loaded_at: z.iso.datetime(),
    /** Why the newest file is not in force. */
    error: z.string().optional(),
  }),
  records: z.strictObject({
    to: z.string(),
    healthy: z.boolean(),
    /** Of the last line, which an auditor notes down: what is cut off later is then missed. */
    seq: z.int(),
    head: z.string(),
    /** The last line that a signed checkpoint of this process covers. */
    checkpoint: z.int().optional(),
  }),
  connections: z.int(),
  /** What Node's permission model leaves to the process; absent where it is off. */
  permissions: z.array(z.string()).optional(),
  /** Absent where there is none. */
  budgets: z
    .array(
      z.strictObject({
        name: z.string(),
        /** Who share it and have used something of it in this window. */
        accounts: z.int(),
        /** What the one who has used most has used of it: 1 is all. */
        used: z.number(),
      }),
    )
    .optional(),
  /** Absent where there is none. */
  federation: z
    .array(
      z.strictObject({
        trust_domain: z.string(),
        state: z.enum(['waiting', 'held', 'empty']),
        /** A whole number that may be larger than 2^53. */
        sequence: z.string().optional(),
        refreshed_at: z.iso.datetime().optional(),
        next_refresh: z.iso.datetime().optional(),
        /** Why the last look failed. */
        problem: z.string().optional(),
      }),
    )
    .optional(),
  stops: z.strictObject({ active: z.int(), unwritten: z.int(), feed: adminStops.shape.feed }).optional(),
})

export const adminReload = z.discriminatedUnion('reloaded', [
  z.strictObject({ reloaded: z.literal(true), policy_version: z.string() }),
  z.strictObject({ reloaded: z.literal(false), errors: z.array(z.string()) }),
])

export const adminError = z.strictObject({ error: z.string() })

export type AdminStatus = z.infer<typeof adminStatus>
export type AdminReload = z.infer<typeof adminReload>
