import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { parseQuery } from '../../policy/query.ts'

const read = (text: string) => {
  const query = parseQuery(text)
  return query === undefined ? undefined : Object.fromEntries(query)
}

describe('a query', () => {
  it.each([
    ['a bare percent sign', '?a=%'],
    ['no hex digits', '?a=%zz'],
    ['a key that is not UTF-8', '?%ff=a'],
    ['half a character', '?a=%C3'],
    ['too many pairs', `?${'a&'.repeat(1_001)}`],
  ])('cannot be read: %s', (_what, text) => {
    expect(parseQuery(text)).toBeUndefined()
  })

  it.each([
    ['', {}],
    ['?', {}],
    ['?&&', {}],
    ['?a', { a: [''] }],
    ['?a=', { a: [''] }],
    ['?=b', { '': ['b'] }],
    ['?a=1&b=2&a=3', { a: ['1', '3'], b: ['2'] }],
    ['?a=b=c', { a: ['b=c'] }],
    ['?a=1+2%2B3', { a: ['1 2+3'] }],
    ['?%61=%c3%a9', { a: ['é'] }],
    ['?a=1;b=2', { a: ['1;b=2'] }],
    ['?a=?', { a: ['?'] }],
  ])('%j is read as %j', (text, pairs) => {
    expect(read(text)).toEqual(pairs)
  })

  it('keeps keys that mean something to JavaScript', () => {
    expect([...(parseQuery('?__proto__=1&constructor=2') ?? [])]).toEqual([
      ['__proto__', ['1']],
      ['constructor', ['2']],
    ])
  })

  it('is read as the form parser of the platform reads it', () => {
    fc.assert(
      fc.property(
        fc.array(fc.tuple(fc.string({ unit: 'grapheme' }), fc.string({ unit: 'grapheme' })), { maxLength: 8 }),
        (pairs) => {
          const form = new URLSearchParams(pairs)
          const expected = new Map<string, string[]>()
          for (const [key, value] of form) expected.set(key, [...(expected.get(key) ?? []), value])
          expect(parseQuery(`?${form}`)).toEqual(expected)
        },
      ),
    )
  })

  it('never throws', () => {
    fc.assert(fc.property(fc.string(), (text) => void parseQuery(`?${text}`)))
  })
})
