// Signatures and keys that others found to be mistaken for good ones: every invalid one is refused.
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import type { JWK } from 'jose'
import { describe, expect, it } from 'vitest'
import { readCompact } from '../../../certs/jwt-svid/compact.ts'
import { JwtSvidError } from '../../../certs/jwt-svid/error.ts'
import { verifySignature } from '../../../certs/jwt-svid/key.ts'
import { vectors } from '../../support/vectors.ts'

interface Case {
  readonly tcId: number
  readonly comment: string
  readonly jws: unknown
  readonly result: 'valid' | 'invalid' | 'acceptable'
}

interface Group {
  readonly comment: string
  readonly public?: JWK | { readonly keys: readonly JWK[] }
  readonly private: JWK | { readonly keys: readonly JWK[] }
  readonly tests: readonly Case[]
}

const folder = vectors('wycheproof')

async function judge(jws: unknown, keys: readonly JWK[]): Promise<string> {
  try {
    await verifySignature(readCompact(typeof jws === 'string' ? jws : JSON.stringify(jws)), keys)
    return 'valid'
  } catch (error) {
    if (error instanceof JwtSvidError) return error.code
    throw error
  }
}

describe.skipIf(folder === undefined).each([
  ['json_web_signature_test.json', 355, 32],
  ['json_web_key_test.json', 21, 1],
])('%s', (file, invalid, accepted) => {
  const { testGroups } =
    folder === undefined
      ? { testGroups: [] }
      : (JSON.parse(readFileSync(join(folder, file), 'utf8')) as { readonly testGroups: readonly Group[] })
  const cases = testGroups.flatMap(({ tests, ...group }) => {
    const key = group.public ?? group.private
    const keys = 'keys' in key && Array.isArray(key.keys) ? key.keys : [key as JWK]
    return tests.map((test) => ({ ...test, keys, group: group.comment }))
  })

  it('has every invalid case refused', async () => {
    const wrong = cases.filter(({ result }) => result === 'invalid')
    const accepted: string[] = []
    for (const { tcId, comment, jws, keys } of wrong)
      if ((await judge(jws, keys)) === 'valid') accepted.push(`${tcId} ${comment}`)
    expect(accepted).toEqual([])
    expect(wrong.length).toBeGreaterThanOrEqual(invalid)
  })

  it('has valid cases accepted, unless a JWT-SVID may not look so', async () => {
    const outcomes = new Map<string, number>()
    for (const { jws, keys } of cases.filter(({ result }) => result === 'valid')) {
      const outcome = await judge(jws, keys)
      outcomes.set(outcome, (outcomes.get(outcome) ?? 0) + 1)
    }
    expect(outcomes.get('valid')).toBeGreaterThanOrEqual(accepted)
  })
})
