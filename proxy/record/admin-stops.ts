// What is said of stops on the admin socket.
import * as z from 'zod'
import { type Stop, stopSchema } from '../../policy/stop/stop.ts'

const time = z.iso.datetime()

export const adminStop = z.strictObject({
  id: z.string(),
  what: stopSchema.shape.what,
  reason: z.string(),
  at: time,
  since: time.optional(),
  until: time.optional(),
  by: z.string(),
})

export const adminStops = z.strictObject({
  /** Oldest first. */
  stops: z.array(adminStop),
  /** Orders and lifts that are not on the disk yet. */
  unwritten: z.int(),
  /** Where orders are written down. */
  file: z.string().optional(),
  feed: z.strictObject({ stale: z.boolean(), seq: z.int().optional() }).optional(),
})

export const adminOutcome = z.strictObject({
  stop: adminStop,
  /** Requests, streams and tunnels that it ended. */
  cut: z.int(),
  /** From the order until they were ended. */
  took_ms: z.number(),
  written: z.boolean(),
  /** Why it is not written. */
  problem: z.string().optional(),
})

export type AdminStop = z.infer<typeof adminStop>
export type AdminStops = z.infer<typeof adminStops>
export type AdminOutcome = z.infer<typeof adminOutcome>

export function adminStopOf({ id, what, reason, at, since, until, by }: Stop): AdminStop {
  return {
    id,
    what,
    reason,
    at: isoOf(at),
    ...(since === undefined ? {} : { since: isoOf(since) }),
    ...(until === undefined ? {} : { until: isoOf(until) }),
    by,
  }
}

/** The ends of what a date can be stand for what lies beyond. */
const isoOf = (milliseconds: number) => new Date(Math.min(Math.max(milliseconds, 0), latest)).toISOString()
const latest = 253_402_300_799_999
