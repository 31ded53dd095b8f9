// A question as people write it: in case files, and on the command line.
import * as z from 'zod'
import type { SpiffeId } from '../certs/spiffe-id.ts'
import type { Question } from './engine.ts'
import { proofKinds } from './settings.ts'

const hop = z.strictObject({
  agent: z.string().describe('SPIFFE ID of the hop.'),
  scopes: z.array(z.string()).default([]).describe('Scopes that it holds.'),
})

export const askSchema = z.strictObject({
  agent: z.string().describe('SPIFFE ID of the caller.'),
  method: z.string().min(1).default('GET').describe('Default: `GET`.'),
  url: z.string().min(1).describe('Absolute, with scheme and host.'),
  headers: z
    .record(z.string(), z.union([z.string(), z.array(z.string())]))
    .default({})
    .describe('By name; a list repeats the field.'),
  proofs: z.array(z.enum(proofKinds)).default([]).describe('What proves the caller.'),
  principal: z
    .string()
    .regex(/^(?:user|agent):./, 'user: or agent: and an id')
    .optional()
    .describe('`user:` or `agent:` and an id. Default: the caller itself.'),
  chain: z.array(hop).default([]).describe('From the first agent to the caller; default: no chain.'),
  at: z.iso.datetime({ offset: true }).optional().describe('When it is asked (RFC 3339).'),
})

export type Ask = z.infer<typeof askSchema>

/** How text becomes what a question holds; each throws when it does not. */
export interface Readers {
  id(text: string): SpiffeId
  target(url: string): Pick<Question['request'], 'scheme' | 'host' | 'port' | 'path' | 'query'>
}

/**
 * @param now epoch milliseconds, where `at` does not say
 * @throws whatever the readers throw
 */
export function questionOf(ask: Ask, readers: Readers, now: number): Question {
  const id = readers.id(ask.agent)
  const principal = ask.principal ?? `agent:${id}`
  const colon = principal.indexOf(':')
  return {
    now: ask.at === undefined ? now : Date.parse(ask.at),
    caller: { id, proofs: ask.proofs },
    principal: { kind: principal.slice(0, colon), id: principal.slice(colon + 1) },
    chain: {
      depth: Math.max(0, ask.chain.length - 1),
      agents: ask.chain.map(({ agent }) => readers.id(agent)),
      scopes: ask.chain.map(({ scopes }) => scopes),
    },
    request: {
      method: ask.method,
      ...readers.target(ask.url),
      headers: Object.entries(ask.headers).flatMap(([name, values]) =>
        [values].flat().flatMap((value) => [name, value]),
      ),
    },
  }
}
