// What the agent of the demo tells of its own work: a line of JSON each on its standard output.
import * as z from 'zod'

export const reportSchema = z.discriminatedUnion('did', [
  z.strictObject({
    did: z.literal('look-around'),
    step: z.string(),
    /** All its environment variables. */
    variables: z.record(z.string(), z.string()),
    /** The same as the kernel shows it, where it does. */
    environ: z.string(),
  }),
  z.strictObject({
    did: z.literal('fetch'),
    step: z.string(),
    /** Absent when no answer came. */
    status: z.number().optional(),
    body: z.string(),
    /** What `fetch` threw, causes included. */
    failed: z.string().optional(),
  }),
  /** An event has come out of the SDK; more may come. */
  z.strictObject({ did: z.literal('hear'), step: z.string() }),
  z.strictObject({
    did: z.literal('stream'),
    step: z.string(),
    text: z.string(),
    events: z.number(),
    failed: z.string().optional(),
  }),
])

export type Report = z.output<typeof reportSchema>
export type Fetched = Extract<Report, { did: 'fetch' }>
