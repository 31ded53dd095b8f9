// What a command of an `exec` credential prints: one closed JSON object.
import * as z from 'zod'
import { Refusal } from '../refusal.ts'

export interface ExecAnswer {
  readonly secret: string
  readonly username: string | undefined
  /** Epoch milliseconds. */
  readonly expiresAt: number | undefined
}

const yearInSeconds = 31_536_000

const answerSchema = z
  .strictObject({
    secret: z.string(),
    username: z
      .string()
      .regex(/^[^:\u0000-\u001f\u007f]{1,1024}$/)
      .optional(),
    expiresAt: z.iso.datetime({ offset: true }).optional(),
    expiresIn: z.number().positive().max(yearInSeconds).optional(),
  })
  .refine((answer) => answer.expiresAt === undefined || answer.expiresIn === undefined, { path: ['expiresIn'] })

/**
 * @param startedAt epoch milliseconds; `expiresIn` counts from here
 * @throws Refusal `credential_unavailable`; says which key is wrong, never what it holds
 */
export function parseExecAnswer(output: string, startedAt: number): ExecAnswer {
  const result = answerSchema.safeParse(parseJson(output))
  if (!result.success) {
    // Nothing of the issue's text: it could quote the value.
    const key = result.error.issues[0]?.path[0]
    throw new Refusal('credential_unavailable', {
      detail:
        key === undefined
          ? 'the command printed an object of another shape'
          : `the command printed a wrong ${String(key)}`,
    })
  }
  const { secret, username, expiresAt, expiresIn } = result.data
  return { secret, username, expiresAt: end(startedAt, expiresAt, expiresIn) }
}

function end(startedAt: number, expiresAt: string | undefined, expiresIn: number | undefined): number | undefined {
  if (expiresAt !== undefined) return Date.parse(expiresAt)
  return expiresIn === undefined ? undefined : startedAt + expiresIn * 1000
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    // The parser's message quotes what it read.
    throw new Refusal('credential_unavailable', { detail: 'the command did not print JSON' })
  }
}
