// An order to stop as people and programs give it: on the admin socket, or as a file in a folder.
import * as z from 'zod'
import { reasonSchema, type Stop, stoppedSchema } from '../../policy/stop/stop.ts'
import { duration } from '../config/scalars.ts'

const longest = 3_650 * 86_400_000

export const orderSchema = z.strictObject({
  what: stoppedSchema,
  reason: reasonSchema,
  /** How long it holds. Absent: until it is lifted. */
  for: duration
    .refine((milliseconds) => milliseconds > 0 && milliseconds <= longest, 'more than nothing, and at most 3650d')
    .optional(),
})

export type Order = z.output<typeof orderSchema>

/** @param at epoch milliseconds */
export function stopOf({ what, reason, for: span }: Order, id: string, at: number, by: string): Stop {
  return { id, what, reason, at, ...(span === undefined ? {} : { until: at + span }), by }
}

/** What is wrong with an order, in one sentence. */
export function faultsOf(error: z.ZodError): string {
  return error.issues.map(({ path, message }) => `${path.map(String).join('.') || 'the order'}: ${message}`).join('; ')
}
