// The `inject` key of a rule: how a credential is written into a request.
import { z } from 'zod'

const fieldName = z.string().regex(/^[A-Za-z0-9!#$%&'*+.^_`|~-]{1,100}$/, 'the name of a header field')
const key = z.string().regex(/^[A-Za-z0-9._~[\]-]{1,100}$/, 'a key without characters that need encoding')
const variable = z.string().regex(/^[A-Za-z_][A-Za-z0-9_]*$/, 'the name of an environment variable')

const header = z
  .strictObject({
    header: fieldName.describe('Field that carries the credential.'),
    prefix: z
      .string()
      .regex(/^[\x20-\x7e]{0,100}$/, 'printable ASCII')
      .optional()
      .describe('Text before the credential in the field, such as `token `.'),
  })
  .describe('In a header field of its own.')

const query = z.strictObject({ query: key.describe('Key of the query that carries the credential.') })
const cookie = z.strictObject({ cookie: fieldName.describe('Cookie that carries the credential.') })

const placeholder = z.strictObject({
  placeholder: z
    .strictObject({
      in: z
        .union([z.strictObject({ header: fieldName }), z.strictObject({ query: key })])
        .default({ header: 'authorization' })
        .describe('The one place where the stand-in may be sent.'),
      env: z
        .union([variable, z.array(variable)])
        .optional()
        .describe('Variables in which `postern exec` hands the stand-in to the command, such as `OPENAI_API_KEY`.'),
      shape: z
        .enum(['plain', 'openai', 'anthropic', 'github'])
        .or(z.strictObject({ prefix: z.string().regex(/^[A-Za-z0-9_-]{0,40}$/, 'letters, digits, _ and -') }))
        .default('plain')
        .describe('What the stand-in looks like, for SDKs that check their key: a known shape, or a prefix.'),
    })
    .describe('The agent holds a stand-in; it is replaced where it belongs, and refused everywhere else.'),
})

export const injectSchema = z
  .union([z.enum(['bearer', 'basic']), header, query, cookie, placeholder])
  .describe(
    'Where the credential goes: `bearer` or `basic` in Authorization, a header field, a query key, a cookie, or in the place of a stand-in that the agent holds.',
  )

export type InjectSettings = z.infer<typeof injectSchema>
