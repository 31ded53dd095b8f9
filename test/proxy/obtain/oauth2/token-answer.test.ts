import fc from 'fast-check'
import { expect, it } from 'vitest'
import { type Asked, parseTokenAnswer } from '../../../../proxy/obtain/oauth2/token-answer.ts'
import { Refusal } from '../../../../proxy/refusal.ts'

const canary = 'canary-secret-77aa'

/** Values of every kind at every key that is looked at, more often near the truth than far from it. */
const anything = fc.oneof(fc.constant(canary), fc.string({ unit: 'binary' }), fc.jsonValue(), fc.double(), fc.integer())
const near = <T>(...values: T[]) => fc.oneof({ weight: 3, arbitrary: fc.constantFrom(...values) }, anything)
const answers = fc.record(
  {
    access_token: near('a.b.c', canary, ''),
    token_type: near('Bearer', 'bearer', 'N_A', 'DPoP'),
    expires_in: near<unknown>(1, 3600, '3600', 0, -1, 1e300),
    scope: near('read', 'read write', '', 'read  write'),
    issued_token_type: near('urn:ietf:params:oauth:token-type:access_token'),
    refresh_token: near('r', canary),
    error: near('invalid_grant', 'invalid_client', canary),
  },
  { requiredKeys: [] },
)
const asks: fc.Arbitrary<Asked> = fc.record({
  scopes: fc.constantFrom([], ['read'], ['read', 'write']),
  exchange: fc.boolean(),
  requestedTokenType: fc.constantFrom(undefined, 'urn:ietf:params:oauth:token-type:access_token'),
  grantEnded: fc.constantFrom('credential_unavailable', 'consent_required'),
})

it('reads an answer exactly, or refuses it without a word of it', () => {
  fc.assert(
    fc.property(
      fc.oneof({ weight: 9, arbitrary: answers }, fc.jsonValue(), fc.constant(undefined)),
      fc.constantFrom(200, 200, 200, 400, 401, 500, 204),
      asks,
      (json, status, asked) => {
        try {
          const token = parseTokenAnswer({ status, json, retryAfter: undefined }, asked, 'login.example')
          expect(status).toBe(200)
          expect(token.accessToken).toMatch(/^[\x21-\x7e]+$/)
          if (token.expiresIn !== undefined) expect(token.expiresIn > 0 && token.expiresIn <= 31_536_000).toBe(true)
          if (asked.scopes.length > 0) for (const scope of token.scopes ?? []) expect(asked.scopes).toContain(scope)
        } catch (error) {
          if (!(error instanceof Refusal)) throw error
          expect(['credential_unavailable', asked.grantEnded]).toContain(error.reason)
          expect(error.message).not.toContain(canary)
          expect(error.message.length).toBeLessThan(160)
        }
      },
    ),
    { numRuns: 3_000 },
  )
})
