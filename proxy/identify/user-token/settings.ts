// The `users` section: whose sign-in servers are believed, and what their tokens must say.
import * as z from 'zod'
import { duration } from '../../config/scalars.ts'
import { keysSchema } from '../settings.ts'
import { userTokenKinds } from './kinds.ts'

/** Of asymmetric keys, and nothing else: with HMAC whoever verifies could sign. */
const algorithms = ['RS256', 'RS384', 'RS512', 'PS256', 'PS384', 'PS512', 'ES256', 'ES384', 'ES512'] as const

const issuerSchema = z.strictObject({
  issuer: z.string().min(1).max(2048).describe('Issuer of the tokens (`iss`), to the byte.'),
  audience: z
    .string()
    .min(1)
    .max(2048)
    .describe('The only audience that a token may have: for ID tokens the client that users sign in to.'),
  keys: keysSchema.describe('The public keys of the issuer (a JWK set).'),
  tokens: z
    .array(z.enum(userTokenKinds))
    .min(1)
    .default(['id-token'])
    .describe(
      'Kinds of token that are taken: `id-token` (OpenID Connect), `access-token` (RFC 9068, `at+jwt`), `id-jag`, `txn-token`.',
    ),
  principal: z
    .string()
    .regex(/^[A-Za-z0-9_:./-]{1,100}$/, 'the name of a claim')
    .default('sub')
    .describe('The claim that says who the user is. `email` counts unless the issuer says that it is not verified.'),
  prefix: z
    .string()
    .regex(/^[!-~]{0,100}$/, 'visible ASCII characters')
    .default('')
    .describe(
      'Put before what the claim says, such as `partner:`. Needed where there are several issuers: a user of one must never be taken for that of another.',
    ),
  algorithms: z
    .array(z.enum(algorithms))
    .min(1)
    .default(['RS256', 'PS256', 'ES256', 'ES384'])
    .describe('Signature algorithms that are taken.'),
  maxAge: duration
    .refine((milliseconds) => milliseconds > 0, 'longer than nothing')
    .prefault('1h')
    .describe('How long ago a token may have been issued, however long it is good for itself.'),
})

export const usersSchema = z.strictObject({
  issuers: z
    .array(issuerSchema)
    .min(1)
    .max(20)
    .superRefine((issuers, context) => {
      const seen = new Set<string>()
      for (const [index, { issuer }] of issuers.entries()) {
        if (seen.has(issuer))
          context.addIssue({ code: 'custom', path: [index, 'issuer'], message: 'another entry has this issuer' })
        seen.add(issuer)
      }
      for (const [index, { prefix }] of issuers.entries())
        if (issuers.some((other, at) => at !== index && other.prefix.startsWith(prefix)))
          context.addIssue({
            code: 'custom',
            path: [index, 'prefix'],
            message: 'users of several issuers need prefixes of which none begins another',
          })
    })
    .describe('The servers that users sign in to. A token of any other is worth nothing.'),
})

export type UsersSettings = z.output<typeof usersSchema>
