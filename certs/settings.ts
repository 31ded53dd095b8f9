// The section `identity` of the configuration: where the own identity, and the trust in others, comes from.
import * as z from 'zod'
import { parseSpiffeId, parseTrustDomain, pathOf } from './spiffe-id.ts'
import { AddressError, parseWorkloadApiAddress } from './workload-api/address.ts'

/** A path, made absolute by whoever loads the configuration. */
const path = z.string().min(1, 'a path').meta({ format: 'path' })

export const trustDomainName = z.string().refine((text) => {
  try {
    return parseTrustDomain(text) === text
  } catch {
    return false
  }
}, 'the name of a trust domain, such as acme.example')

const workloadApiAddress = z.string().superRefine((text, context) => {
  try {
    parseWorkloadApiAddress(text)
  } catch (error) {
    if (!(error instanceof AddressError)) throw error
    const expected = 'unix:///path/of/socket, or tcp:// with an IP address and port'
    context.addIssue({ code: 'custom', message: error.message, params: { expected } })
  }
})

const workloadApi = z.strictObject({
  source: z
    .literal('workload-api')
    .describe(
      "The SPIFFE Workload API, such as that of SPIRE's agent: identity, trust in callers and JWT-SVIDs, all kept current by it.",
    ),
  socket: workloadApiAddress
    .optional()
    .describe(
      'Where it is: `unix:///run/spire/agent.sock`, or `tcp://` with an IP address and port. Without it, what SPIFFE_ENDPOINT_SOCKET says. It sends private keys in the clear, so that TCP is for this machine only.',
    ),
  hint: z
    .string()
    .min(1, 'a hint')
    .optional()
    .describe('Which identity to use where it gives several. Without it, the first.'),
})

const files = z
  .strictObject({
    source: z.literal('files').describe('Files that something else keeps current. They are watched.'),
    certificate: path
      .optional()
      .describe(
        'Certificate chain of the X509-SVID, leaf first (svid.pem of spiffe-helper). Together with `key`, or not at all: without an identity callers can still be verified.',
      ),
    key: path.optional().describe('Private key of the X509-SVID in PKCS#8 (svid_key.pem of spiffe-helper).'),
    bundles: z
      .record(trustDomainName, path)
      .default({})
      .describe(
        'File of what callers are verified with, by trust domain: root certificates in PEM (svid_bundle.pem of spiffe-helper), or a SPIFFE bundle document, which has keys for JWT-SVIDs too. Callers of a trust domain that is named neither here nor in `federation` are refused.',
      ),
  })
  .refine(({ certificate, key }) => (certificate === undefined) === (key === undefined), {
    message: 'certificate and key belong together',
    path: ['key'],
  })

const workloadId = z.string().refine((text) => {
  try {
    return pathOf(parseSpiffeId(text)) !== ''
  } catch {
    return false
  }
}, 'the SPIFFE ID of a workload, such as spiffe://acme.example/agent')

const workload = z
  .strictObject({
    id: workloadId.describe('The identity that it gets.'),
    hint: z.string().min(1, 'a hint').optional().describe('What the identity is for, where a process gets several.'),
    uid: z.number().int().min(0).max(4_294_967_294).optional().describe('Of this user.'),
    executable: z
      .string()
      .startsWith('/', 'an absolute path')
      .optional()
      .describe('Executes this file. The path is that of the file itself: symbolic links are followed.'),
  })
  .refine(({ uid, executable }) => uid !== undefined || executable !== undefined, {
    message: 'uid or executable says who gets it',
  })

const embedded = z
  .strictObject({
    source: z
      .literal('embedded')
      .describe('An authority in memory, for development: its identities are worth nothing outside this process.'),
    socket: workloadApiAddress
      .refine((text) => text.startsWith('unix:'), 'the address of a UNIX socket: unix:///path')
      .optional()
      .describe(
        'Serves the SPIFFE Workload API here, `unix:///path`, so that agents get identities of this authority as they would from SPIRE. Its folder must not be writable by others; it is made, for this user alone, where it is missing.',
      ),
    uids: z
      .record(z.string().regex(/^(0|[1-9]\d{0,9})$/, 'a user id'), workloadId)
      .optional()
      .describe('Who gets which identity on that socket, by user id, as the kernel tells it. Empty means nobody.'),
    workloads: z
      .array(workload)
      .optional()
      .describe(
        'The same by more than the user: a process gets every identity of which all that is named holds, the first as its default, then that of `uids`.',
      ),
  })
  .refine(({ socket, uids, workloads }) => socket !== undefined || (uids ?? workloads) === undefined, {
    message: 'uids and workloads say who gets what on the socket, which is missing',
    path: ['socket'],
  })

export const identitySchema = z
  .discriminatedUnion('source', [workloadApi, files, embedded])
  .describe('Where the own SPIFFE identity comes from, and the roots that callers are verified against.')

export type IdentitySettings = z.infer<typeof identitySchema>
