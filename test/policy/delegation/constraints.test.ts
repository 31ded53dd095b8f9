// Constraints as they are written: closed objects of one type each.
import { describe, expect, it } from 'vitest'
import { firstWidened, meetConstraints, readConstraints } from '../../../policy/delegation/constraints.ts'
import type { JsonValue } from '../../../policy/delegation/strict-json.ts'
import { constraints, refusal } from './support.ts'

const many = Array.from({ length: 65 }, (_, index) => ({ key: `k${index}`, max: 1 }))

describe('a list of constraints', () => {
  it.each<[string, JsonValue]>([
    ['an object', {}],
    ['null', null],
    ['of what is no object', ['max']],
    ['of 65', many],
    ['with no type', [{ key: 'rows' }]],
    ['with no key', [{ max: 1 }]],
    ['with two types', [{ key: 'rows', max: 1, min: 0 }]],
    [
      'with two of one key and type',
      [
        { key: 'rows', max: 1 },
        { key: 'rows', max: 1 },
      ],
    ],
    [
      'with two of one key and unknown type',
      [
        { key: 'rows', units: 1 },
        { key: 'rows', units: 2 },
      ],
    ],
    ['with a key in upper case', [{ key: 'Rows', max: 1 }]],
    ['with a key that has a space', [{ key: 'rows max', max: 1 }]],
    ['with a type in upper case', [{ key: 'rows', Max: 1 }]],
    ['with a bound that is a text', [{ key: 'rows', max: '1' }]],
    ['with a total that is negative', [{ key: 'calls', max_lifetime: -1 }]],
    ['with a total that is no whole number', [{ key: 'calls', max_subtree: 1.5 }]],
    ['with an empty list of values', [{ key: 'host', one_of: [] }]],
    ['with one value for a list', [{ key: 'host', one_of: 'a' }]],
    ['with a value twice', [{ key: 'host', not_one_of: ['a', 'a'] }]],
    ['with a value that is a list', [{ key: 'host', one_of: [['a']] }]],
    ['with 257 values', [{ key: 'n', one_of: Array.from({ length: 257 }, (_, index) => index) }]],
    ['with a prefix of a host', [{ key: 'host', prefix: 'api.' }]],
    ['with an order that is empty', [{ key: 'egress', rank: 'a', order: [] }]],
    ['with an order that names a level twice', [{ key: 'egress', rank: 'a', order: ['a', 'a'] }]],
    ['with an order of numbers', [{ key: 'egress', rank: 'a', order: [1] }]],
    ['with an order where there is no rank', [{ key: 'rows', max: 1, order: ['a'] }]],
    ['with an order alone', [{ key: 'egress', order: ['a'] }]],
  ])('is refused: %s', (_, list) => expect(refusal(() => readConstraints(list)).reason).toBe('chain_malformed'))
})

describe('a child', () => {
  const egress = (rank: string, ...order: string[]) => ({ key: 'egress', rank, order })

  it.each([
    ['a lower minimum', { key: 'rows', min: 2 }, { key: 'rows', min: 1 }],
    ['a higher maximum', { key: 'rows', max: 2 }, { key: 'rows', max: 3 }],
    ['a value more', { key: 'host', one_of: ['a'] }, { key: 'host', one_of: ['a', 'b'] }],
    ['an exception less', { key: 'host', not_one_of: ['a', 'b'] }, { key: 'host', not_one_of: ['a'] }],
    ['a number for a text', { key: 'n', one_of: ['1'] }, { key: 'n', one_of: [1] }],
    ['a higher rank', egress('a', 'a', 'b'), egress('b', 'a', 'b')],
    ['an order turned round', egress('a', 'a', 'b'), egress('b', 'b', 'a')],
    ['a longer order', egress('a', 'a', 'b'), egress('a', 'a', 'b', 'c')],
    ['a list for exceptions', { key: 'host', not_one_of: ['a'] }, { key: 'host', one_of: ['b'] }],
    ['a total for a maximum', { key: 'rows', max: 2 }, { key: 'rows', max_subtree: 1 }],
    ['another key', { key: 'rows', max: 2 }, { key: 'row', max: 2 }],
  ])('with %s is wider', (_, parent, child) =>
    expect(firstWidened(constraints(parent), constraints(child))).toEqual(constraints(parent)[0]),
  )

  it('may bound what its parent did not', () =>
    expect(firstWidened([], constraints({ key: 'rows', max: 2 }, { key: 'x', units: 1 }))).toBeUndefined())

  it('has nothing in common with a parent of other values, prefixes, orders or unknown bounds', () => {
    const nothing = (parent: JsonValue, child: JsonValue) =>
      meetConstraints(readConstraints([parent]), readConstraints([child]))
    expect(nothing({ key: 'host', one_of: ['a'] }, { key: 'host', one_of: ['b'] })).toEqual({
      nothingAt: 'host one_of',
    })
    expect(nothing({ key: 'path', prefix: '/a' }, { key: 'path', prefix: '/b' })).toEqual({ nothingAt: 'path prefix' })
    expect(nothing(egress('a', 'a', 'b'), egress('a', 'b', 'a'))).toEqual({ nothingAt: 'egress rank' })
    expect(nothing({ key: 'x', units: 1 }, { key: 'x', units: 2 })).toEqual({ nothingAt: 'x units' })
  })
})
