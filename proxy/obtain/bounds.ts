// What credentials and their sources may be. A row of docs/limits.md each.
import { mostWaiting } from './lease-cache.ts'
import { longestSecret } from './make-secret.ts'
import { mostMinted } from './manager.ts'
import { largestAnswer } from './oauth2/json-call.ts'
import { mostRevocations } from './revocations.ts'
import { largestOutput } from './run-command.ts'
import { largestFile } from './small-file.ts'

export const credentialBounds = [
  {
    limit: 'Characters of a credential',
    value: longestSecret,
    unit: 'count',
    does: 'reject',
    how: '`credential_unavailable` (503)',
    metric: 'postern_credential_requests_total',
    test: ['test/proxy/obtain/make-secret.test.ts', 'more than fits into a head'],
  },
  {
    limit: 'File of a secret',
    value: largestFile,
    unit: 'bytes',
    does: 'reject',
    how: '`credential_unavailable` (503)',
    metric: 'postern_credential_requests_total',
    test: ['test/proxy/obtain/file.test.ts', 'when it is larger than any credential'],
  },
  {
    limit: 'What a command of kind `exec` prints',
    value: largestOutput,
    unit: 'bytes',
    does: 'reject',
    how: '`credential_unavailable` (503); the command is killed',
    metric: 'postern_credential_requests_total',
    test: ['test/proxy/obtain/exec.test.ts', 'sh printed more than 65536 bytes'],
  },
  {
    limit: 'Answer of a token server',
    value: largestAnswer,
    unit: 'bytes',
    does: 'reject',
    how: '`credential_unavailable` (503); the connection is closed',
    metric: 'postern_credential_requests_total',
    test: ['test/proxy/obtain/oauth2/lying-servers.test.ts', 'more than 65536 bytes'],
  },
  {
    limit: 'Requests that wait for leases of one credential',
    value: mostWaiting,
    unit: 'count',
    does: 'reject',
    how: '`credential_unavailable` (503)',
    metric: 'postern_credential_requests_total',
    test: ['test/proxy/obtain/crowd.test.ts', 'are turned away at once, and those who wait have their lease'],
  },
  {
    limit: 'Tokens remembered in order to be taken back',
    value: mostMinted,
    unit: 'count',
    does: 'shed',
    how: 'the oldest is left to expire',
    metric: 'postern_credential_revocations_total',
    test: ['test/proxy/obtain/minted.test.ts', 'are so many at most, and the oldest is left to expire'],
  },
  {
    limit: 'Tokens of those who were stopped that are still to be taken back',
    value: mostRevocations,
    unit: 'count',
    does: 'shed',
    how: 'what would expire first is left to that',
    metric: 'postern_credential_revocations_total',
    test: ['test/proxy/obtain/drop.test.ts', 'is one of so many at most; those that would expire first give way'],
  },
] as const
