import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { compileGlob } from '../../policy/glob.ts'

/** The naive reference: tries every way. */
function fits(glob: string, value: string): boolean {
  if (glob === '') return value === ''
  if (glob[0] === '*') {
    for (let skip = 0; skip <= value.length; skip++) if (fits(glob.slice(1), value.slice(skip))) return true
    return false
  }
  return value !== '' && glob[0] === value[0] && fits(glob.slice(1), value.slice(1))
}

describe('a glob over a value', () => {
  it.each([
    ['', 'a', false],
    ['', '', true],
    ['*', '', true],
    ['a*', 'b', false],
    ['a*a', 'a', false],
    ['a*a', 'aa', true],
    ['*.example', 'example', false],
    ['a*b*c', 'acb', false],
    ['a*b*c', 'axxbyyc', true],
    ['*ab*ab*', 'ab', false],
    ['**', 'anything', true],
  ])('%j on %j is %j', (glob, value, expected) => {
    expect(compileGlob(glob)(value)).toBe(expected)
  })

  it('agrees with the naive reference on whatever is tried', () => {
    const text = (alphabet: string[]) =>
      fc.array(fc.constantFrom(...alphabet), { maxLength: 9 }).map((all) => all.join(''))
    fc.assert(
      fc.property(text(['a', 'b', '*']), text(['a', 'b', '*']), (glob, value) => {
        expect(compileGlob(glob)(value)).toBe(fits(glob, value))
      }),
      { numRuns: 5_000 },
    )
  })

  it('takes time in proportion to a hostile value', () => {
    const hostile = `${'a'.repeat(200_000)}b`
    const start = performance.now()
    expect(compileGlob('*a*a*a*a*a*a*a*a*a*c')(hostile)).toBe(false)
    expect(compileGlob('*a*a*a*a*c*a*a*a*b')(hostile)).toBe(false)
    expect(performance.now() - start).toBeLessThan(1_000)
  })
})
