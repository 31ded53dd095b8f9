import fc from 'fast-check'
import { expect, test } from 'vitest'
import { queryKeys } from '../../../proxy/record/query-keys.ts'

test.each([
  ['', undefined],
  ['?', undefined],
  ['?page=2&q=x', ['page', 'q']],
  ['?page=2&page=3', ['page', 'page']],
  ['?a=b=c', ['a']],
  ['?=x', ['']],
  ['?&&a=1&', ['a']],
])('%s has the names %j', (query, keys) => {
  expect(queryKeys(query)).toEqual(keys)
})

test.each(['?sk-live-0123', '?c2VjcmV0PQ==', '?token=', '?a=1&sk-live-0123'])(
  'in %s, what has no value may be one and is not named',
  (query) => {
    expect(queryKeys(query)?.at(-1)).toBe('*')
  },
)

test('a long name is cut and a long list ends', () => {
  expect(queryKeys(`?${'k'.repeat(100)}=1`)).toEqual(['k'.repeat(64)])
  expect(queryKeys(`?${'a=1&'.repeat(1_000)}`)).toHaveLength(32)
})

test('nothing of any value is in the names', () => {
  const part = fc.tuple(
    fc.stringMatching(/^[a-z]{0,9}$/),
    fc.string({ unit: fc.constantFrom('Z', '=', '%', ';', '?') }),
  )
  fc.assert(
    fc.property(fc.array(part), (parts) => {
      const query = `?${parts.map(([key, value]) => `${key}=${value}`).join('&')}`
      expect((queryKeys(query) ?? []).join('')).not.toContain('Z')
    }),
  )
})
