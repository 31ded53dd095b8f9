// The section `stop` of the configuration: where stops are written down, and where they come from besides the admin socket.
import * as z from 'zod'
import { addressRange } from '../config/addresses.ts'
import { duration, filePath } from '../config/scalars.ts'

const httpsUrl = z
  .string()
  .max(2048)
  .refine((text) => {
    const url = URL.parse(text)
    return url?.protocol === 'https:' && url.username === '' && url.password === '' && !text.includes('#')
  }, 'an HTTPS URL without user information and fragment')

/** Asymmetric ones alone: whoever can check a feed must not be able to make one. */
export const feedAlgorithms = [
  'ES256',
  'ES384',
  'ES512',
  'PS256',
  'PS384',
  'PS512',
  'RS256',
  'EdDSA',
  'Ed25519',
] as const

const shortest = (least: number, text: string) => (milliseconds: number, context: z.RefinementCtx<number>) => {
  if (milliseconds < least) context.addIssue({ code: 'custom', message: `at least ${text}` })
}

const feedSchema = z
  .strictObject({
    url: httpsUrl.describe('Where the feed is. It is asked without credentials; redirects are not followed.'),
    issuer: z.string().min(1).max(2048).describe('Issuer (`iss`) of the feed, to the byte.'),
    jwks: httpsUrl.optional().describe('Where the keys of the issuer are (a JWK set); the feed names one by `kid`.'),
    key: filePath
      .optional()
      .describe('A PEM file with the one public key of the issuer, instead of `jwks`. It is read at each look.'),
    algorithms: z
      .array(z.enum(feedAlgorithms))
      .min(1)
      .default(['ES256', 'EdDSA', 'Ed25519'])
      .describe('Algorithms of the signature that are accepted.'),
    ca: z
      .array(filePath)
      .default([])
      .describe('PEM files of extra certification authorities, besides those of the system.'),
    addresses: z
      .array(addressRange)
      .default([])
      .describe('Ranges of private addresses that the URLs may lead to. Public ones need no mention.'),
    every: duration.superRefine(shortest(1_000, '1s')).prefault('10s').describe('How often the feed is looked at.'),
    maxAge: duration
      .superRefine(shortest(1_000, '1s'))
      .prefault('5m')
      .describe(
        'So long after it was signed (`iat`) a feed is believed to be the newest. When there is none so young, delegated requests are refused.',
      ),
  })
  .superRefine(({ jwks, key }, context) => {
    if ((jwks === undefined) === (key === undefined)) {
      context.addIssue({ code: 'custom', message: 'either jwks or key, and not both' })
    }
  })

export const stopSettingsSchema = z.strictObject({
  file: filePath
    .optional()
    .describe(
      'Where orders to stop are written down, so that they hold after a restart. It is made for us alone (0600). Unless told: `stops.jsonl` beside `admin.socket`.',
    ),
  drop: filePath
    .optional()
    .describe(
      'A folder in which each file is an order, in force while the file is there. Whoever can write it can stop, and lift what was stopped that way.',
    ),
  feed: feedSchema.optional().describe('A signed list of stops that is looked at again and again.'),
})

export type StopSettings = z.output<typeof stopSettingsSchema>
export type FeedSettings = NonNullable<StopSettings['feed']>
