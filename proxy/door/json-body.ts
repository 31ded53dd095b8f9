// Reads the JSON body of a request to the proxy itself: bounded, in one media type, no member twice.
import type { z } from 'zod'
import { readJson as readStrictJson } from '../../policy/delegation/strict-json.ts'
import type { Captured } from '../exchange.ts'
import { Refusal } from '../refusal.ts'

/** Bytes that a request to the proxy itself may have as body. */
export const largestBody = 65_536

const bad = (detail: string) => new Refusal('bad_request', { detail })

/** @throws Refusal `bad_request`, `request_too_large` */
export async function readJson<T>({ headers, body }: Captured, schema: z.ZodType<T>): Promise<T> {
  if (!/^application\/json\s*(;|$)/i.test(fieldIn(headers, 'content-type') ?? ''))
    throw bad('Content-Type is not application/json')
  const chunks: Buffer[] = []
  let size = 0
  for await (const chunk of body ?? []) {
    size += chunk.length
    if (size > largestBody)
      throw new Refusal('request_too_large', { detail: `a body of more than ${largestBody} bytes` })
    chunks.push(chunk)
  }
  let value: unknown
  try {
    value = readStrictJson(Buffer.concat(chunks))
  } catch (error) {
    throw bad(`the body is not JSON as it must be: ${error instanceof Error ? error.message : String(error)}`)
  }
  const parsed = schema.safeParse(value)
  if (parsed.success) return parsed.data
  const [issue] = parsed.error.issues
  throw bad(`${issue?.path.join('.') || 'the body'}: ${issue?.message ?? 'not as expected'}`)
}

function fieldIn(fields: readonly string[], name: string): string | undefined {
  for (let at = 0; at < fields.length; at += 2) if (fields[at]?.toLowerCase() === name) return fields[at + 1]
  return undefined
}
