// The `inject` key of a rule: where the credential of the rule is written.
import * as z from 'zod'
import { belongsToProxy } from './field-classes.ts'
import { shapeNames } from './shapes.ts'

const headerName = z
  .string()
  .regex(/^[A-Za-z0-9!#$%&'*+.^_`|~-]{1,100}$/, 'the name of a header field')
  .refine((name) => !belongsToProxy(name), 'this header field is written by the proxy itself')

const queryKey = z.string().regex(/^[A-Za-z0-9._~-]{1,100}$/, 'a key of letters, digits, dots, dashes and underscores')

const cookieName = z.string().regex(/^[A-Za-z0-9!#$%&'*+.^_`|~-]{1,100}$/, 'the name of a cookie')

const variable = z.string().regex(/^[A-Za-z_][A-Za-z0-9_]{0,100}$/, 'the name of an environment variable')

const header = z.strictObject({
  header: headerName.describe('Name of the header field, such as `X-Api-Key`.'),
  prefix: z
    .string()
    .regex(/^[\x21-\x7e][\x20-\x7e]{0,99}$/, 'visible ASCII characters')
    .optional()
    .describe('Stands before the credential, such as `Token ` (with its space). Default: nothing.'),
})

const query = z.strictObject({
  query: queryKey.describe('Key in the query of the URL. One that the agent sent itself is taken out.'),
})

const cookie = z.strictObject({
  cookie: cookieName.describe('Name of the cookie. One that the agent sent itself is taken out.'),
})

const placeholder = z.strictObject({
  placeholder: z
    .strictObject({
      in: z
        .union([z.strictObject({ header: headerName }), z.strictObject({ query: queryKey })])
        .optional()
        .describe(
          'The one place where the stand-in is swapped for the credential: `{header: Name}` or `{query: key}`. Default: the header field that goes with `shape`.',
        ),
      env: z
        .union([variable, z.array(variable).min(1)])
        .optional()
        .describe('Environment variables that `postern exec` sets to the stand-in, such as `OPENAI_API_KEY`.'),
      shape: z
        .union([
          z.enum(shapeNames),
          z.string().regex(/^[A-Za-z0-9_-]{0,31}[-_]$/, 'a name of a shape, or a prefix that ends in - or _'),
        ])
        .optional()
        .describe(
          'What the stand-in looks like, for SDKs that check: one of the names, or the characters it begins with. Default: `plain`.',
        ),
    })
    .describe('The agent holds an opaque stand-in, which is worth nothing but at its own destination and place.'),
})

export const injectSchema = z
  .union(
    [
      z.literal('bearer').describe('`Authorization: Bearer …` (RFC 6750).'),
      z.literal('basic').describe('`Authorization: Basic …` (RFC 7617); the credential has a user name too.'),
      header.describe('A header field of its own.'),
      query.describe('A key in the query. Last choice: URLs end up in logs.'),
      cookie.describe('A cookie.'),
      placeholder.describe('Only where the agent put a stand-in.'),
      z.literal('placeholder').describe('`{placeholder: {}}`: a plain stand-in in `Authorization`, in no variable.'),
      z
        .literal('agent')
        .describe('For rules without `use`: the credential that the agent itself sends passes. It is recorded.'),
    ],
    { error: 'one of bearer, basic, {header: …}, {query: …}, {cookie: …}, {placeholder: …}, placeholder, agent' },
  )
  .describe(
    'Where the credential is written. Default with `use`: `bearer`. Without `use`, the credentials that the agent sends are taken out.',
  )

export type Inject = z.output<typeof injectSchema>
export type Placeholder = z.output<typeof placeholder>['placeholder']

/** What is wrong with the two keys of a rule together; undefined when nothing is. */
export function injectProblem(use: string | undefined, inject: Inject | undefined): string | undefined {
  if (use === undefined && inject !== undefined && inject !== 'agent')
    return 'says where to put a credential, but `use` does not say which'
  if (use !== undefined && inject === 'agent') return 'lets the credential of the agent pass, so it goes without `use`'
  return undefined
}
