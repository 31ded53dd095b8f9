// What planner and researcher of the demo tell of their own work: a line of JSON each on the standard output that they share.
import * as z from 'zod'

const who = z.enum(['planner', 'researcher'])
export type Member = z.infer<typeof who>

export const teamReportSchema = z.discriminatedUnion('did', [
  z.strictObject({
    did: z.literal('look-around'),
    who,
    /** All its environment variables. */
    variables: z.record(z.string(), z.string()),
  }),
  z.strictObject({
    did: z.literal('fetch'),
    who,
    /** Absent when no answer came. */
    status: z.number().optional(),
    body: z.string(),
    /** What `fetch` threw. */
    failed: z.string().optional(),
  }),
  /** An event of a stream has come. */
  z.strictObject({ did: z.literal('hear'), who, event: z.string() }),
  /** The stream is over. */
  z.strictObject({
    did: z.literal('end'),
    who,
    /** Epoch milliseconds. */
    at: z.number(),
    failed: z.string().optional(),
  }),
])

export type TeamReport = z.output<typeof teamReportSchema>
