// Header fields that carry credentials. The policy never looks at them, so that no decision, explanation or record can show one.

export const secretHeaders: ReadonlySet<string> = new Set([
  'authorization',
  'proxy-authorization',
  'cookie',
  'cookie2',
  'api-key',
  'apikey',
  'x-api-key',
  'x-api-token',
  'x-access-token',
  'x-auth-token',
  'x-goog-api-key',
  'x-amz-security-token',
  'x-vault-token',
  'private-token',
  'job-token',
  'delegation-chain',
  'delegation-ref',
  'txn-token',
  'workload-identity-token',
  'workload-proof-token',
])
