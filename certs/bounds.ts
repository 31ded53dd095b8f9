// What is read of certificates and bundles that others send. A row of docs/limits.md each.
import { longestBundle } from './bundle/members.ts'
import { maxSignatureChecks } from './svid/path.ts'
import { maxChain } from './svid/validate.ts'
import { maxLength } from './x509/certificate.ts'

export const certificateBounds = [
  {
    limit: 'Certificates that a caller presents',
    value: maxChain,
    unit: 'count',
    does: 'reject',
    how: '`svid_chain_too_long` (403)',
    metric: 'postern_requests_total',
    test: ['test/certs/svid/validate.test.ts', 'svid_chain_too_long'],
  },
  {
    limit: 'One certificate',
    value: maxLength,
    unit: 'bytes',
    does: 'reject',
    how: '`svid_unparsable` (403)',
    metric: 'postern_requests_total',
    test: ['test/certs/svid/largest.test.ts', 'a leaf of 16,384 bytes is looked into, and not one with a byte more'],
  },
  {
    limit: 'Signatures checked for one caller',
    value: maxSignatureChecks,
    unit: 'count',
    does: 'reject',
    how: '`svid_no_path_to_root` (403)',
    metric: 'postern_requests_total',
    test: ['test/certs/svid/validate.test.ts', 'a crowd of look-alike authorities, in bounded time'],
  },
  {
    limit: 'Answer of a bundle endpoint',
    value: longestBundle,
    unit: 'bytes',
    does: 'shed',
    how: 'it is not taken; the bundle of before stays',
    metric: 'postern_federation_refreshes_total',
    test: ['test/cli/wire/federation.test.ts', '100 MB'],
  },
] as const
