import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { EscapeFinder } from '../../../proxy/redact/escape-finder.ts'
import { byteOf, lengthOf, none, readEscape, unfinished } from '../../../proxy/redact/escapes.ts'
import { Matcher } from '../../../proxy/redact/matcher.ts'
import { Plausible } from '../../../proxy/redact/plausible.ts'
import { Unescaped } from '../../../proxy/redact/unescaped.ts'

const read = (text: string) => readEscape(Buffer.from(text, 'latin1'), 0, text.length)

describe('an escape', () => {
  it.each([
    ['%2F', '/', 3],
    ['%2f', '/', 3],
    ['%E9', '\xe9', 3],
    ['\\u002F', '/', 6],
    ['\\u002f0', '/', 6],
    ['\\x2Fz', '/', 4],
    ['\\/', '/', 2],
    ['\\"', '"', 2],
    ["\\'", "'", 2],
    ['\\\\n', '\\', 2],
    ['&#47;', '/', 5],
    ['&#0047;', '/', 7],
    ['&#x2F;', '/', 6],
    ['&#X2f;', '/', 6],
    ['&#x0002f;', '/', 9],
    ['&sol;', '/', 5],
    ['&amp;x', '&', 5],
    ['&equals;', '=', 8],
    ['&lowbar;', '_', 8],
  ])('%s means %j', (text, character, length) => {
    expect(byteOf(read(text))).toBe(character.charCodeAt(0))
    expect(lengthOf(read(text))).toBe(length)
  })

  it.each([
    '%',
    '%2',
    '\\',
    '\\u',
    '\\u0',
    '\\u00',
    '\\u002',
    '\\x',
    '\\x2',
    '&',
    '&a',
    '&equals',
    '&#',
    '&#4',
    '&#x',
    '&#x2f',
  ])('%s may become one', (text) => {
    expect(read(text)).toBe(unfinished)
  })

  it.each([
    '%zz',
    '%2z',
    '\\n',
    '\\u0100',
    '\\u4e2d',
    '\\U002f',
    '\\xzz',
    '&x;',
    '& ',
    '&AMP;',
    '&nosuch;',
    '&equal ',
    '&#;',
    '&#x;',
    '&#256;',
    '&#00000000047;',
    '&#xz',
  ])('%s is none', (text) => {
    expect(read(text)).toBe(none)
  })
})

describe('text without its escapes', () => {
  it.each([
    ['a%2Fb', 'a/b'],
    ['%25252F', '/'],
    ['%5C%75%30%30%32%66', '/'],
    ['\\\\\\\\/', '/'],
    ['\\\\u002f', '/'],
    ['&amp;amp;#x2F;', '/'],
    ['%26sol%3B', '/'],
    ['&#37;2F', '/'],
    ['\\u0025\\u0032\\u0046', '/'],
    ['100%, C:\\dir & more', '100%, C:\\dir & more'],
    ['a\\nb\\u4e2d', 'a\\nb\\u4e2d'],
    ['%%34%31', 'A'],
  ])('%s comes to %s', (text, expected) => {
    expect(Buffer.from(new Unescaped().takeAll(Buffer.from(text))).toString('latin1')).toBe(expected)
  })

  it('is the same whether it is gone over byte by byte or escape by escape', () => {
    // No escape is passed over that means a byte of some form, and here each is one.
    const forms = Array.from({ length: 256 }, (_, byte) => ({ bytes: Buffer.of(byte, byte), anyCase: false }))
    const plausible = new Plausible(new Matcher(() => forms))
    const pieces = [
      '%41',
      '%',
      '25',
      '%25',
      '\\',
      '\\u00',
      '61',
      '\\u0026',
      '&',
      '&amp;',
      '#x2f;',
      '&#37;',
      'sol;',
      '\\x5c',
      '/',
      'ab',
      'u',
      '0',
    ]
    const dense = fc.array(fc.constantFrom(...pieces), { maxLength: 60 }).map((list) => `%41${list.join('')}%42`)
    fc.assert(
      fc.property(dense, (written) => {
        // Where none comes for longer than an escape can be, the one that comes next is weighed again.
        fc.pre(!/[^%&\\]{10}/.test(written))
        const text = Buffer.from(written)
        const slowly = new Unescaped()
        const expected = Buffer.from(slowly.takeAll(text)).toString()
        const fast = new Unescaped()
        fast.take(text, 0, new EscapeFinder(text, plausible), text.length)
        expect(Buffer.from(fast.bytes.subarray(0, fast.length)).toString()).toBe(expected)
        for (let at = 0; at < fast.length; at++) expect(fast.originOf(at)).toBe(slowly.originOf(at))
      }),
      { numRuns: 2_000 },
    )
  })
})
