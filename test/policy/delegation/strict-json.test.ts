// JSON that other readers would take in silence, and the canonical form that is written.
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { canonical } from '../../../policy/delegation/canonical.ts'
import { ChainError } from '../../../policy/delegation/error.ts'
import { type JsonValue, readJson } from '../../../policy/delegation/strict-json.ts'
import { refusal } from './support.ts'

const read = (text: string) => readJson(Buffer.from(text))

describe('the reader', () => {
  it.each([
    '',
    ' ',
    '{',
    '[',
    '"',
    '"\\"',
    '{"a"}',
    '{"a":}',
    '{"a":1,}',
    '{,}',
    '{a:1}',
    "{'a':1}",
    '{1:1}',
    '[1,]',
    '[1 2]',
    '{"a":1 "b":2}',
    '1 2',
    'tru',
    'True',
    'nul',
    'undefined',
    '01',
    '-',
    '+1',
    '.5',
    '1.',
    '1e',
    '0x10',
    '"\t"',
    '"\\x41"',
    '"\\u12"',
    '"\\ud800"',
    '"\\udc00\\ud800"',
    '/* */1',
    '\ufeff1',
    '9007199254740992',
    '1e16',
    '[[[[[[[[[[[[[[[[[1]]]]]]]]]]]]]]]]]',
  ])('refuses %j as malformed', (text) => expect(refusal(() => read(text)).reason).toBe('chain_malformed'))

  it.each(['NaN', '-Infinity', '[Infinity]', '1e309', '-1e309', '{"a":NaN}'])('refuses %s as not finite', (text) =>
    expect(refusal(() => read(text)).reason).toBe('chain_non_finite'),
  )

  it.each([
    '{"a":1,"a":1}',
    '{"a":{"b":1,"b":2}}',
    '{"a":1,"\\u0061":2}',
    '{"__proto__":1,"__proto__":2}',
    '{"":1,"":1}',
  ])('refuses %s for its member that stands twice', (text) =>
    expect(refusal(() => read(text)).reason).toBe('chain_duplicate_member'),
  )

  it.each([[0xff], [0xc0, 0x80], [0x22, 0xed, 0xa0, 0x80, 0x22]])('refuses bytes that are not UTF-8', (...bytes) =>
    expect(refusal(() => readJson(Uint8Array.from(bytes))).reason).toBe('chain_malformed'),
  )

  it('gives objects without a prototype', () => {
    expect(refusal(() => read('{"a":1}{')).reason).toBe('chain_malformed')
    expect(Object.getPrototypeOf(read('{"__proto__":{"a":1}}'))).toBeNull()
  })

  it('agrees with JSON.parse on whatever it takes, and takes whatever is well-formed', () => {
    fc.assert(
      fc.property(fc.json({ maxDepth: 6 }), (text) => {
        expect(JSON.stringify(outcomeOf(text))).toBe(JSON.stringify(JSON.parse(text)))
      }),
      { numRuns: 500 },
    )
  })

  it('never throws anything but its own refusals', () => {
    const fragments = fc.constantFrom(
      '{',
      '}',
      '[',
      ']',
      '"',
      ':',
      ',',
      '\\',
      'u',
      '1',
      'e',
      '-',
      '.',
      ' ',
      'NaN',
      'true',
      'a',
    )
    const texts = fc.oneof(
      fc.string({ unit: 'binary' }),
      fc.array(fragments, { maxLength: 30 }).map((list) => list.join('')),
    )
    fc.assert(
      fc.property(texts, (text) => void outcomeOf(text)),
      { numRuns: 600 },
    )
  })
})

/** Where it is refused, as 2^53 is, there is nothing to compare. */
function outcomeOf(text: string): JsonValue {
  try {
    return read(text)
  } catch (error) {
    if (!(error instanceof ChainError)) throw error
    try {
      return JSON.parse(text)
    } catch {
      return null
    }
  }
}

describe('the canonical form', () => {
  it.each<[JsonValue, string]>([
    [{ b: 1, a: [true, null, 'x'] }, '{"a":[true,null,"x"],"b":1}'],
    // RFC 8785 §3.2.3: by UTF-16 code units, so that a surrogate pair sorts before U+FB33.
    [
      { '\u20ac': 1, '\r': 2, '\ufb33': 3, '1': 4, '\u{1f600}': 5, '\u0080': 6, '\u00f6': 7 },
      '{"\\r":2,"1":4,"\u0080":6,"\u00f6":7,"\u20ac":1,"\u{1f600}":5,"\ufb33":3}',
    ],
    ['\u20ac$\u000f\nA\'B"\\\\"/', '"\u20ac$\\u000f\\nA\'B\\"\\\\\\\\\\"/"'],
    // RFC 8785 §3.2.2 and appendix B.
    [Number('333333333.33333329'), '333333333.3333333'],
    [1e30, '1e+30'],
    [4.5, '4.5'],
    [2e-3, '0.002'],
    [1e-27, '1e-27'],
    [-0, '0'],
    [1e21, '1e+21'],
    [5e-324, '5e-324'],
    [9007199254740991, '9007199254740991'],
  ])('of %j is %s', (value, text) => expect(canonical(value)).toBe(text))

  it.each([Number.NaN, Number.POSITIVE_INFINITY, '\ud800', { '\udc00': 1 }])('of %j does not exist', (value) =>
    expect(() => canonical(value)).toThrow(RangeError),
  )

  it('is read back as the same, and has one spelling', () => {
    const values = fc.jsonValue({ maxDepth: 5, noUnicodeString: false })
    fc.assert(
      fc.property(values, (value) => {
        const text = JSON.stringify(value)
        const first = outcomeOf(text)
        expect(canonical(outcomeOf(canonical(first)))).toBe(canonical(first))
      }),
      { numRuns: 500 },
    )
  })
})
