// JSON read strictly: the same as JSON.parse where that is strict enough, and an error where it lets something pass.
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { JsonError, type JsonValue, parseJson } from '../../../certs/bundle/json.ts'

const limits = { length: 100_000, depth: 50 }
const parse = (text: string) => parseJson(text, limits)

/** As JSON.parse would have made it. */
function plain(value: JsonValue): unknown {
  if (value instanceof Map) {
    const object: Record<string, unknown> = {}
    for (const [name, member] of value) Object.defineProperty(object, name, { ...slot, value: plain(member) })
    return object
  }
  return Array.isArray(value) ? value.map(plain) : typeof value === 'bigint' ? Number(value) : value
}
const slot = { enumerable: true, writable: true, configurable: true }

function fault(text: string, bounds = limits): string | undefined {
  try {
    parseJson(text, bounds)
    return undefined
  } catch (error) {
    if (error instanceof JsonError) return error.code
    throw error
  }
}

describe('parseJson', () => {
  test.each([
    ['a member that stands twice', '{"a":1,"a":1}', 'duplicate_member'],
    ['a member that stands twice, once with an escape', '{"a":1,"\\u0061":2}', 'duplicate_member'],
    ['a member that stands twice deep inside', '[{"x":{"a":1,"b":2,"a":3}}]', 'duplicate_member'],
    ['__proto__ twice', '{"__proto__":1,"__proto__":2}', 'duplicate_member'],
    ['nothing', '', 'syntax'],
    ['a byte order mark', '\ufeff{}', 'syntax'],
    ['something after the end', '{} {}', 'syntax'],
    ['a comma too many', '{"a":1,}', 'syntax'],
    ['a comma too many in a list', '[1,]', 'syntax'],
    ['a name without quotes', '{a:1}', 'syntax'],
    ['a name in other quotes', "{'a':1}", 'syntax'],
    ['a comment', '{/**/}', 'syntax'],
    ['a leading zero', '01', 'syntax'],
    ['a plus', '+1', 'syntax'],
    ['a bare point', '1.', 'syntax'],
    ['a number too large for any use', '1e999', 'syntax'],
    ['a number of many digits', '1'.repeat(41), 'syntax'],
    ['NaN', 'NaN', 'syntax'],
    ['text that does not end', '"abc', 'syntax'],
    ['text that ends in a backslash', '"abc\\"', 'syntax'],
    ['a line end in text', '"a\nb"', 'syntax'],
    ['an unknown escape', '"\\x41"', 'syntax'],
    ['half a character', '"\\ud800"', 'syntax'],
    ['an object that does not end', '{"a":1', 'syntax'],
    ['another kind of space', '\u00a0{}', 'syntax'],
  ])('refuses %s', (_, text, code) => {
    expect(fault(text)).toBe(code)
  })

  test('is closed over depth and length', () => {
    expect(fault('['.repeat(1_000_000), { length: 2_000_000, depth: 16 })).toBe('too_deep')
    expect(fault(`${'['.repeat(17)}${']'.repeat(17)}`, { length: 100, depth: 16 })).toBeUndefined()
    expect(fault(`${'['.repeat(18)}${']'.repeat(18)}`, { length: 100, depth: 16 })).toBe('too_deep')
    expect(fault('"aaaaaaaaa"', { length: 10, depth: 1 })).toBe('too_large')
  })

  test('keeps integers of 64 bits and more exact, and names that mean something to JavaScript plain', () => {
    expect(parse('18446744073709551615')).toBe(18446744073709551615n)
    expect(parse('9007199254740991')).toBe(9007199254740991)
    expect(parse('{"__proto__":{"a":1},"constructor":2}')).toEqual(
      new Map<string, JsonValue>([
        ['__proto__', new Map([['a', 1]])],
        ['constructor', 2],
      ]),
    )
  })

  test('reads whatever JSON.stringify writes, however it is spaced', () => {
    fc.assert(
      fc.property(fc.json({ maxDepth: 6 }), fc.constantFrom(undefined, 1, '\t'), (text, space) => {
        const value: unknown = JSON.parse(text)
        fc.pre(JSON.stringify(value).isWellFormed() && !/\\ud[89a-f]/i.test(JSON.stringify(value)))
        expect(plain(parse(JSON.stringify(value, undefined, space)))).toEqual(value)
      }),
    )
  })

  test('accepts of damaged JSON only what JSON.parse accepts, with the same meaning', () => {
    const damaged = fc
      .tuple(
        fc.json({ maxDepth: 4 }),
        fc.nat(),
        fc.constantFrom('', '"', '{', '}', '[', ',', ':', '\\', '1', 'e', '\u0000'),
      )
      .map(([text, at, mark]) => {
        const place = at % (text.length + 1)
        return text.slice(0, place) + mark + text.slice(place + (at % 3))
      })
    fc.assert(
      fc.property(damaged, (text) => {
        if (fault(text) !== undefined) return
        expect(plain(parse(text))).toEqual(JSON.parse(text))
      }),
      { numRuns: 500 },
    )
  })

  test('throws nothing but its own error, whatever the text', () => {
    fc.assert(fc.property(fc.string({ unit: 'binary' }), (text) => void fault(text)))
  })
})
