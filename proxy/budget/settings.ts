// The section `budgets` of the configuration: how much may be spent, by whom, in which time.
import * as z from 'zod'
import type { BudgetSettings, CostSource } from '../../policy/budgets/budget.ts'
import { denySchema } from '../../policy/settings.ts'
import { duration } from '../config/scalars.ts'

/** Of one who shares a budget; the ledger bounds all together. */
const mostPathsOfOne = 10_000
const longestWindow = 366 * 86_400_000

const jsonPath = z
  .string()
  .max(200)
  .regex(/^[^.]+(?:\.[^.]+){0,7}$/, 'a path in the JSON of the answer such as usage.total_tokens')

const costSchema = z
  .strictObject({
    header: z
      .string()
      .max(100)
      .regex(/^[A-Za-z0-9!#$%&'*+.^_`|~-]+$/, 'the name of a header field')
      .optional()
      .describe('The field of the answer (header or trailer) that says what it cost.'),
    json: z
      .union([jsonPath, z.array(jsonPath).min(1).max(8)])
      .optional()
      .describe(
        'Where in the JSON of the answer it stands: keys with dots between them, such as `usage.total_tokens`; several are added up. In an event stream, the last event that has it counts.',
      ),
    units: z.number().positive().max(Number.MAX_SAFE_INTEGER).describe('How many there are in a window.'),
    reserve: z
      .number()
      .min(0)
      .describe(
        'Set aside before the request leaves, and what it costs where the answer does not say: about the most that one request costs.',
      ),
  })
  .superRefine(({ header, json, units, reserve }, context) => {
    if ((header === undefined) === (json === undefined)) {
      context.addIssue({ code: 'custom', message: 'either header or json, and not both' })
    }
    if (reserve > units) {
      context.addIssue({ code: 'custom', path: ['reserve'], message: 'more than `units`, so no request could be made' })
    }
  })

const windowSchema = duration.refine(
  (milliseconds) => milliseconds >= 1_000 && milliseconds <= longestWindow,
  'from 1s to 366d',
)

export const budgetSchema = z
  .strictObject({
    per: z
      .enum(['agent', 'user', 'root', 'txn'])
      .describe(
        'Who has a budget of their own: each `agent` that calls; each `user` (or agent that acts for itself); each `root`, which is the first agent of a chain together with whom it acts for; each `txn`, which is all that follows from one root of a chain.',
      ),
    for: denySchema
      .prefault({})
      .describe('Which requests it concerns, in the words of a `deny`. Missing: every request that a rule allows.'),
    every: windowSchema.describe(
      'How long a window is, such as `1h`; it is full again in the next. Windows begin with the full hour, at midnight UTC, on Monday.',
    ),
    requests: z.int().min(1).optional().describe('Requests in a window.'),
    responseBytes: z.int().min(1).optional().describe('Bytes of bodies of answers. What would exceed them is cut.'),
    paths: z.int().min(1).max(mostPathsOfOne).optional().describe('Distinct paths, each with its host.'),
    cost: costSchema.optional().describe('What answers say that they cost.'),
  })
  .superRefine((budget, context) => {
    const { requests, responseBytes, paths, cost } = budget
    if ([requests, responseBytes, paths, cost].every((each) => each === undefined)) {
      context.addIssue({ code: 'custom', message: 'at least one of requests, responseBytes, paths and cost' })
    }
    for (const key of ['agents', 'to', 'principals', 'methods', 'paths'] as const) {
      if (budget.for[key]?.length === 0) {
        context.addIssue({ code: 'custom', path: ['for', key], message: 'an empty list would concern nothing' })
      }
    }
  })
  .transform(
    ({ cost, ...budget }): BudgetSettings => ({
      ...budget,
      ...(cost === undefined ? {} : { cost: { units: cost.units, reserve: cost.reserve, from: sourceOf(cost) } }),
    }),
  )

function sourceOf({ header, json }: z.output<typeof costSchema>): CostSource {
  if (header !== undefined) return { kind: 'header', name: header.toLowerCase() }
  return { kind: 'json', paths: [json ?? []].flat().map((path) => path.split('.')) }
}
