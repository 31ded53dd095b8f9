// Policy cases: a question, and what the policy should say to it.
import * as z from 'zod'
import { askSchema, questionOf, type Readers } from './ask.ts'
import type { CompiledPolicy } from './compile.ts'
import type { Allow, Deny } from './engine.ts'
import { createEngine } from './rule-engine.ts'

const spans = { ms: 1, s: 1_000, m: 60_000, h: 3_600_000 } as const

const repeatSchema = z.strictObject({
  times: z.int().min(1).max(100_000).describe('How often it is asked; the last answer counts.'),
  every: z
    .string()
    .regex(/^\d{1,9}(?:ms|s|m|h)$/, 'a duration such as 500ms, 1s, 5m or 1h')
    .default('0s')
    .describe('Time between two of them.'),
})

const expectSchema = z.strictObject({
  verdict: z.enum(['allow', 'deny']),
  rule: z.string().nullable().optional().describe('Name of the rule that decides; null for none.'),
  reason: z.enum(['denied_by_rule', 'no_rule', 'limit_exceeded']).optional(),
  destination: z.string().optional(),
  credential: z.string().nullable().optional().describe('Name of the credential; null for none.'),
  retryAfter: z.int().optional().describe('Seconds.'),
  detail: z.string().optional().describe('A part of what the record will say.'),
  shadows: z.array(z.strictObject({ rule: z.string(), would: z.enum(['allow', 'deny']) })).optional(),
})

export const caseSchema = z.strictObject({
  name: z.string().min(1).describe('A sentence.'),
  ask: askSchema,
  repeat: repeatSchema.optional(),
  expect: expectSchema,
})

export const caseFileSchema = z.strictObject({ cases: z.array(caseSchema).min(1) })

export type PolicyCase = z.infer<typeof caseSchema>

export interface Difference {
  readonly key: string
  readonly expected: string
  readonly actual: string
}

/** Cases are asked at this time unless they say another, so that they never depend on today. */
const defaultNow = Date.parse('2026-01-01T12:00:00Z')

/**
 * Asks with fresh limits.
 * @returns where the answer differs; empty when the case passes
 * @throws whatever the readers throw
 */
export function runCase(policy: CompiledPolicy, { ask, repeat, expect }: PolicyCase, readers: Readers): Difference[] {
  const question = questionOf(ask, readers, defaultNow)
  const engine = createEngine(policy)
  const step = repeat === undefined ? 0 : milliseconds(repeat.every)
  let answer = engine.decide(question)
  for (let asked = 1; asked < (repeat?.times ?? 1); asked++) {
    answer = engine.decide({ ...question, now: question.now + asked * step })
  }
  return differences(expect, answer)
}

function milliseconds(text: string): number {
  const [, count = '', unit = ''] = /^(\d+)(\D+)$/.exec(text) ?? []
  return Number(count) * (Object.entries(spans).find(([name]) => name === unit)?.[1] ?? 0)
}

function differences(expect: PolicyCase['expect'], answer: Allow | Deny): Difference[] {
  const found: Difference[] = []
  for (const [key, expected] of Object.entries(expect)) {
    if (expected === undefined) continue
    const actual: unknown = Reflect.get(answer, key)
    const same =
      key === 'detail'
        ? typeof actual === 'string' && actual.includes(String(expected))
        : JSON.stringify(actual ?? null) === JSON.stringify(expected)
    if (!same) found.push({ key, expected: show(expected), actual: show(actual) })
  }
  return found
}

function show(value: unknown): string {
  if (value === undefined || value === null) return 'none'
  return typeof value === 'object' ? JSON.stringify(value) : String(value)
}
