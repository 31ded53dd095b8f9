// The sections `kubernetes` and `federation`: whose proofs count besides those of the own trust domain, and what verifies them.
import * as z from 'zod'
import { trustDomainName } from '../../certs/settings.ts'
import { addressRange } from '../config/addresses.ts'
import { duration, filePath, spiffeId } from '../config/scalars.ts'

const httpsUrl = z
  .string()
  .max(2048)
  .refine((text) => {
    const url = URL.parse(text)
    return url?.protocol === 'https:' && url.username === '' && url.password === '' && !text.includes('#')
  }, 'an HTTPS URL without user information and fragment')

export const keysSchema = z
  .strictObject({
    url: httpsUrl
      .optional()
      .describe(
        'Where the issuer shows its keys, such as `https://kubernetes.default.svc/openid/v1/jwks`. It is asked without credentials; redirects are not followed.',
      ),
    file: filePath
      .optional()
      .describe('A file with the same, where the issuer cannot be asked. It is read again as a URL would be.'),
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

export type KeysSettings = z.output<typeof keysSchema>

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

const endpoint = {
  url: httpsUrl.describe('The bundle endpoint. It is asked without credentials.'),
  addresses: z
    .array(addressRange)
    .default([])
    .describe(
      'Ranges of private addresses that the URL, and what it redirects to, may lead to. Public ones need no mention.',
    ),
  refresh: duration
    .refine((milliseconds) => milliseconds >= 1_000, 'a second at least')
    .prefault('5m')
    .describe(
      'How often it is asked where its answer does not say it; after a failure too. Whatever the answer says, it is asked at most every second and at least once a day.',
    ),
}

const httpsWeb = z.strictObject({
  source: z
    .literal('https_web')
    .describe('A bundle endpoint with a certificate of the web, as any HTTPS server has (profile `https_web`).'),
  ...endpoint,
  ca: z
    .array(filePath)
    .default([])
    .describe('PEM files of extra certification authorities, besides those of the system.'),
})

const httpsSpiffe = z.strictObject({
  source: z
    .literal('https_spiffe')
    .describe('A bundle endpoint that proves itself by an X509-SVID (profile `https_spiffe`).'),
  ...endpoint,
  endpointId: spiffeId.describe('Whose X509-SVID the endpoint must present: exactly this ID.'),
  bundle: filePath
    .optional()
    .describe(
      'What that X509-SVID is verified with: roots in PEM, or a SPIFFE bundle document, of the trust domain of `endpointId`. For an endpoint of the trust domain that it serves this is the bundle to begin with; its own answers take its place. Without it, the bundle that Postern has of that domain anyway.',
    ),
})

const bundleFile = z.strictObject({
  source: z.literal('file').describe('A file that something else keeps current. It is watched.'),
  path: filePath.describe(
    'Roots in PEM, a SPIFFE bundle document, which can have keys for JWT-SVIDs too, or a map of such documents by trust domain.',
  ),
})

const fromWorkloadApi = z.strictObject({
  source: z
    .literal('workload-api')
    .describe(
      'What the Workload API of `identity` gives for this trust domain. Unless it is named here, that counts for nothing.',
    ),
})

export const federationSchema = z.record(
  trustDomainName,
  z.discriminatedUnion('source', [httpsWeb, httpsSpiffe, bundleFile, fromWorkloadApi]),
)

/** Of one trust domain. */
export type FederationSettings = z.output<typeof federationSchema>[string]
