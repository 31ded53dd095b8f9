// The section `delegation`: what agents may be given on somebody's behalf, and who may hand on to whom.
import * as z from 'zod'
import { agentPattern, maxIdLength } from '../../../policy/agents.ts'
import { type Constraint, readConstraints } from '../../../policy/delegation/constraints.ts'
import { ChainError } from '../../../policy/delegation/error.ts'
import { isScope } from '../../../policy/delegation/scope.ts'
import type { JsonValue } from '../../../policy/delegation/strict-json.ts'
import { duration } from '../../config/scalars.ts'
import { keysSchema } from '../settings.ts'

/** Milliseconds that a root may last at most: an hour. */
export const longestGrant = 3_600_000
/** Milliseconds that what is handed on lasts, unless the agent asks for less. */
export const usualHandoff = 600_000
/** Tokens that a chain may have at most. */
export const deepest = 8

const agent = z
  .string()
  .max(maxIdLength)
  .regex(agentPattern, 'a SPIFFE ID such as spiffe://acme.example/ns/agents/sa/planner, or one that ends in /*')

const scope = z
  .string()
  .max(200)
  .refine(isScope, 'a scope such as crm.contacts.read, or crm.* for everything below crm')

const constraints = z.array(z.looseObject({ key: z.string() })).transform((list, context): readonly Constraint[] => {
  try {
    const read = readConstraints(list as JsonValue)
    for (const { type, key } of read) {
      if (type === 'unknown') context.addIssue({ code: 'custom', message: `no such bound of ${key} is known` })
    }
    return read
  } catch (error) {
    context.addIssue({ code: 'custom', message: error instanceof ChainError ? error.detail : String(error) })
    return z.NEVER
  }
})

const grantSchema = z.strictObject({
  agents: z.array(agent).min(1).describe('Who may have it: SPIFFE IDs, or prefixes that end in `/*`.'),
  principals: z
    .array(
      z
        .string()
        .max(maxIdLength)
        .regex(/^user:.+$/, 'user: and a glob, such as user:*@acme.example'),
    )
    .optional()
    .describe(
      'Users on whose behalf, as `user:` and a glob over the id; each must be shown by a token that `users` accepts. Missing: the agent itself, on nobody else’s behalf.',
    ),
  scopes: z.array(scope).min(1).describe('The most that it may be given, such as `crm.contacts.read` or `crm.*`.'),
  constraints: constraints
    .prefault([])
    .describe(
      'Bounds, written as in a delegation: `{ key: host, one_of: [api.crm.example] }`, `{ key: method, one_of: [GET] }`, `{ key: path, prefix: /v1/contacts }`.',
    ),
  maxDepth: z
    .int()
    .min(1)
    .max(deepest)
    .default(3)
    .describe('How many agents may hold it one after the other: 1 means that it cannot be handed on.'),
  ttl: duration
    .refine((milliseconds) => milliseconds >= 1_000 && milliseconds <= longestGrant, 'from 1s to 1h')
    .prefault('1h')
    .describe('How long it lasts at most.'),
})

const handoffSchema = z.strictObject({
  from: z.array(agent).min(1).describe('Who may hand on.'),
  to: z.array(agent).min(1).describe('To whom.'),
})

const rootSchema = z.strictObject({
  issuer: z.string().min(1).max(2048).describe('Issuer (`iss`) of the roots, to the byte.'),
  keys: keysSchema.describe('Its public keys (a JWK set); those for Ed25519 count, each by its `kid`.'),
})

export const delegationSchema = z.strictObject({
  grants: z
    .array(grantSchema)
    .default([])
    .describe('What an agent may be given at the root of a chain. Empty means nothing.'),
  handoffs: z
    .array(handoffSchema)
    .default([])
    .describe(
      'Who may hand on to whom. Besides, an agent may always hand on to names below its own, such as `…/planner/researcher`.',
    ),
  roots: z
    .array(rootSchema)
    .refine((roots) => new Set(roots.map(({ issuer }) => issuer)).size === roots.length, 'an issuer stands twice')
    .default([])
    .describe(
      'Issuers elsewhere, such as a control plane, whose grants count besides those of this proxy. Counts from the next start.',
    ),
})

export type DelegationSettings = z.output<typeof delegationSchema>
export type GrantSettings = DelegationSettings['grants'][number]
