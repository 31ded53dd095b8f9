import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import type { Form } from '../../../proxy/redact/encodings.ts'
import { Matcher } from '../../../proxy/redact/matcher.ts'

const form = (text: string, anyCase = false): Form => ({ bytes: Buffer.from(text, 'latin1'), anyCase })

function scan(forms: readonly Form[], text: string, settled = text.length) {
  const found: number[] = []
  const open = new Matcher(() => forms).scan(Buffer.from(text, 'latin1'), text.length, settled, found)
  const spans: [number, number][] = []
  for (let at = 0; at < found.length; at += 2) spans.push([found[at] ?? -1, found[at + 1] ?? -1])
  return { open, spans }
}

describe('the matcher', () => {
  it('finds forms of different lengths that share their ends', () => {
    const { spans } = scan([form('abcd'), form('abcdefgh'), form('xxcd')], 'abcdefgh xxcd abcd')
    expect(spans).toEqual(
      expect.arrayContaining([
        [0, 4],
        [0, 8],
        [9, 13],
        [14, 18],
      ]),
    )
    expect(spans).toHaveLength(4)
  })

  it('takes hexadecimal digits in either case, and nothing else', () => {
    expect(scan([form('6a6b', true)], '6A6b 6a6B 6\x016b JA6B').spans).toEqual([
      [0, 4],
      [5, 9],
    ])
    expect(scan([form('6a6b')], '6A6b').spans).toEqual([])
  })

  it('tells bytes apart that differ in the eighth bit', () => {
    expect(scan([form('abcd')], '\xe1bcd a\xe2cd abc\xe4 abcd').spans).toEqual([[15, 19]])
  })

  it('tells where a form begins that is not complete', () => {
    const forms = [form('secret-token-1'), form('ret')]
    expect(scan(forms, 'a secret-toke').open).toBe(2)
    expect(scan(forms, 'a secret-token-2').open).toBe(16)
    expect(scan(forms, 'a s').open).toBe(2)
    expect(scan(forms, 'a x').open).toBe(3)
    expect(scan(forms, 'secret-token-1').open).toBe(14)
    expect(scan(forms, 'secret-tXX', 8).open).toBe(0)
  })

  it('compares forms to their end that are longer than what is kept of them', () => {
    const long = 'x'.repeat(70) + 'y'.repeat(200)
    expect(scan([form(long)], `${long}z ${long.slice(0, -1)}z`).spans).toEqual([[0, 270]])
    expect(scan([form(long)], `..${long.slice(0, -1)}`).open).toBe(2)
  })

  it('finds what indexOf finds, and holds what could go on', () => {
    const letters = fc.constantFrom('a', 'b', 'c')
    const word = fc.string({ unit: letters, minLength: 2, maxLength: 40 })
    fc.assert(
      fc.property(
        fc.array(word, { minLength: 1, maxLength: 5 }),
        fc.string({ unit: letters, maxLength: 120 }),
        (words, noise) => {
          const text = noise + words[0] + noise.slice(3)
          const { open, spans } = scan(
            words.map((one) => form(one)),
            text,
          )
          const expected = new Set<string>()
          let begins = text.length
          for (const one of words) {
            for (let at = text.indexOf(one); at !== -1; at = text.indexOf(one, at + 1))
              expected.add(`${at}-${at + one.length}`)
            for (let at = Math.max(0, text.length - one.length + 1); at < text.length; at++)
              if (one.startsWith(text.slice(at))) begins = Math.min(begins, at)
          }
          expect(new Set(spans.map((span) => span.join('-')))).toEqual(expected)
          expect(open).toBe(begins)
        },
      ),
      { numRuns: 1_000 },
    )
  })
})
