// How the configuration says who the proxy is to a token server, and how it proves it.
import * as z from 'zod'
import { filePath, secretReference } from '../../config/scalars.ts'

const id = z
  .string()
  .regex(/^[\u0020-\u007e]+$/, 'printable ASCII (RFC 6749 appendix A.1)')
  .describe('Client identifier; `spiffe-id` stands for the SPIFFE ID of the proxy.')

const audience = z
  .string()
  .min(1)
  .optional()
  .describe('Audience of the assertion, where the server wants another than its issuer.')

export const signingKeys = {
  key: secretReference.describe('Private key that signs: PEM (PKCS #8, SEC 1, PKCS #1) or JWK.'),
  keyId: z.string().min(1).optional().describe('`kid` of the key, where the server has several.'),
  algorithm: z
    .enum(['RS256', 'RS384', 'RS512', 'PS256', 'PS384', 'PS512', 'ES256', 'ES384', 'ES512', 'EdDSA'])
    .optional()
    .describe('Signature algorithm, where the one that fits the key is not the one wanted.'),
}

export const clientSchema = z
  .discriminatedUnion('auth', [
    z.strictObject({
      auth: z.literal('client_secret_basic').describe('The secret in the Authorization header (RFC 6749 §2.3.1).'),
      id,
      secret: secretReference.describe('The client secret.'),
    }),
    z.strictObject({
      auth: z.literal('client_secret_post').describe('The secret in the form (RFC 6749 §2.3.1).'),
      id,
      secret: secretReference.describe('The client secret.'),
    }),
    z.strictObject({
      auth: z.literal('private_key_jwt').describe('An assertion signed with a key of the client (RFC 7523 §2.2).'),
      id,
      audience,
      ...signingKeys,
    }),
    z.strictObject({
      auth: z
        .literal('jwt-spiffe')
        .describe('The JWT-SVID of the proxy as assertion (OAuth SPIFFE client authentication).'),
      id: id.default('spiffe-id'),
      audience,
      assertionType: z
        .enum(['jwt-spiffe', 'jwt-bearer'])
        .default('jwt-spiffe')
        .describe('`jwt-bearer` for servers that take a JWT-SVID under the older name.'),
    }),
    z.strictObject({
      auth: z.literal('tls_client_auth').describe('A client certificate (RFC 8705 §2.1).'),
      id: id.default('spiffe-id'),
      certificate: filePath
        .optional()
        .describe('PEM of the certificate and what leads to its root. Without it: the X509-SVID of the proxy.'),
      key: secretReference.optional().describe('PEM of its private key; goes with `certificate`.'),
    }),
    z.strictObject({
      auth: z.literal('none').describe('A public client: the identifier, and no proof.'),
      id,
    }),
  ])
  .superRefine((client, context) => {
    if (client.auth !== 'tls_client_auth' || (client.certificate === undefined) === (client.key === undefined)) return
    const missing = client.key === undefined ? 'key' : 'certificate'
    context.addIssue({ code: 'custom', path: [missing], message: 'certificate and key go together' })
  })
  .describe('Who the proxy is to the token server, and how it proves it.')

export type ClientSettings = z.output<typeof clientSchema>
