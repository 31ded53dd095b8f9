import fc from 'fast-check'
import { expect, it } from 'vitest'
import { difference } from '../../../deploy/redirect/difference.ts'

it('tells what goes and what comes, in place', () => {
  expect(difference('a\nb\nc\n', 'a\nx\nc\n')).toEqual([' a', '-b', '+x', ' c'])
  expect(difference('', 'a\n')).toEqual(['+a'])
  expect(difference('a\n', 'a\n')).toEqual([])
})

it('holds both texts, whatever they are', () => {
  const text = fc.array(fc.constantFrom('a', 'b', 'c', 'd'), { maxLength: 12 }).map((lines) => lines.join('\n'))
  fc.assert(
    fc.property(text, text, (before, after) => {
      fc.pre(before !== after)
      const shown = difference(before, after)
      const side = (sign: string) => shown.filter((line) => line[0] === ' ' || line[0] === sign).map((l) => l.slice(1))
      expect(side('-').join('\n')).toBe(before)
      expect(side('+').join('\n')).toBe(after)
    }),
  )
})
