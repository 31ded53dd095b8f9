// The `kubernetes` section: whose service-account tokens prove a caller, and where the keys that verify them are.
import * as z from 'zod'
import { addressRange } from '../config/addresses.ts'
import { filePath } from '../config/scalars.ts'

const keysSchema = z
  .strictObject({
    url: z
      .string()
      .max(2048)
      .refine((text) => {
        const url = URL.parse(text)
        return url?.protocol === 'https:' && url.username === '' && url.password === '' && !text.includes('#')
      }, 'an HTTPS URL without user information and fragment')
      .optional()
      .describe(
        'Where the cluster shows its keys, such as `https://kubernetes.default.svc/openid/v1/jwks`. It is asked without credentials; redirects are not followed.',
      ),
    file: filePath
      .optional()
      .describe('A file with the same, where the cluster cannot be asked. It is read again as a URL would be.'),
    ca: z
      .array(filePath)
      .default([])
      .describe('PEM files of extra certification authorities, besides those of the system.'),
    addresses: z
      .array(addressRange)
      .default([])
      .describe('Ranges of private addresses that the URL may lead to. Public ones need no mention.'),
  })
  .refine(({ url, file }) => (url === undefined) !== (file === undefined), {
    message: 'either url or file, not both',
  })

export const kubernetesSchema = z.strictObject({
  issuer: z
    .string()
    .min(1)
    .max(2048)
    .describe('Issuer of the tokens, to the byte; `--service-account-issuer` of the API server.'),
  audience: z
    .string()
    .min(1)
    .max(2048)
    .optional()
    .describe(
      'Audience that a token must have. Unless told, the egress of this trust domain: `spiffe://acme.example/egress`.',
    ),
  keys: keysSchema.describe('The public keys of the issuer (a JWK set).'),
})

export type KubernetesSettings = z.output<typeof kubernetesSchema>
