// What callers may show of their users. A row of docs/limits.md each.
import { longestUserToken } from './user-token/jwt.ts'

export const identityBounds = [
  {
    limit: 'Characters of a user’s token',
    value: longestUserToken,
    unit: 'count',
    does: 'reject',
    how: '`user_token_invalid` (403)',
    metric: 'postern_requests_total',
    test: ['test/proxy/identify/user-token.test.ts', 'of 100 KB'],
  },
] as const
