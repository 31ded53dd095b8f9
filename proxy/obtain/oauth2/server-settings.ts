// The settings that all kinds share which ask a token server.
import * as z from 'zod'
import { addressRange } from '../../config/addresses.ts'
import { filePath } from '../../config/scalars.ts'
import { span } from '../common-settings.ts'
import { endpointProblem, issuerProblem } from './endpoint.ts'

const url = z.string().min(1).max(2048)

/** Parameters that have settings of their own, or that only the proxy may write. */
const reserved = new Set([
  'grant_type',
  'client_id',
  'client_secret',
  'client_assertion',
  'client_assertion_type',
  'scope',
  'resource',
  'audience',
  'refresh_token',
  'subject_token',
  'subject_token_type',
  'actor_token',
  'actor_token_type',
  'requested_token_type',
])

export const serverKeys = {
  issuer: url
    .optional()
    .describe('Issuer of the token server. Its metadata tells the endpoints (RFC 8414), unless tokenEndpoint does.'),
  tokenEndpoint: url.optional().describe('Token endpoint. Needed where there is no issuer, or no metadata.'),
  revocationEndpoint: url
    .optional()
    .describe('Where tokens are taken back when the proxy ends (RFC 7009), if the metadata does not tell.'),
  scopes: z
    .array(z.string().regex(/^[\u0021\u0023-\u005b\u005d-\u007e]+$/, 'a scope without spaces (RFC 6749 §3.3)'))
    .default([])
    .describe('Scopes to ask for. An answer that grants others is refused.'),
  resource: z
    .array(
      z
        .string()
        .refine((text) => URL.canParse(text) && !text.includes('#'), 'an absolute URI without fragment (RFC 8707 §2)'),
    )
    .default([])
    .describe('Resource indicators (RFC 8707).'),
  audience: z.array(z.string().min(1)).default([]).describe('Values of the audience parameter.'),
  parameters: z
    .record(z.string().min(1), z.string())
    .default({})
    .refine((parameters) => !Object.keys(parameters).some((name) => reserved.has(name)), {
      message: `parameters that have settings of their own do not belong here: ${[...reserved].join(', ')}`,
    })
    .describe('Further parameters of the token request, for servers that want some of their own.'),
  ca: z
    .array(filePath)
    .default([])
    .describe('PEM files of extra certification authorities, besides those of the system.'),
  addresses: z
    .array(addressRange)
    .default([])
    .describe('Ranges of private addresses that the token server may have. Public ones need no mention.'),
  allowCleartextLoopback: z
    .boolean()
    .default(false)
    .describe('Allows http:// endpoints on loopback. Whoever can listen on this machine could then read secrets.'),
  timeout: span
    .prefault('10s')
    .describe('How long one answer of the token server may take, from connecting to its last byte.'),
}

const serverSchema = z.object(serverKeys)
export type ServerSettings = z.output<typeof serverSchema>

type Endpoints = Pick<ServerSettings, 'issuer' | 'tokenEndpoint' | 'revocationEndpoint' | 'allowCleartextLoopback'>

/** What has to hold between the keys; each kind refines its schema with it. */
export function checkServer(settings: Endpoints, context: z.core.$RefinementCtx): void {
  const { issuer, tokenEndpoint, revocationEndpoint, allowCleartextLoopback } = settings
  const complain = (key: string, problem: string | undefined) => {
    if (problem !== undefined) context.addIssue({ code: 'custom', path: [key], message: `${key} ${problem}` })
  }
  if (issuer === undefined && tokenEndpoint === undefined) complain('issuer', 'or tokenEndpoint is needed')
  if (issuer !== undefined) complain('issuer', issuerProblem(issuer, allowCleartextLoopback))
  if (tokenEndpoint !== undefined) complain('tokenEndpoint', endpointProblem(tokenEndpoint, allowCleartextLoopback))
  if (revocationEndpoint !== undefined)
    complain('revocationEndpoint', endpointProblem(revocationEndpoint, allowCleartextLoopback))
}
