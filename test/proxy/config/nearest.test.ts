import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { nearest, oneOf } from '../../../proxy/config/nearest.ts'

const keys = ['agents', 'methods', 'paths', 'principals', 'to']

describe('the nearest word', () => {
  it.each([
    ['a letter left out', 'metods', 'methods'],
    ['a letter too many', 'agentss', 'agents'],
    ['two letters swapped', 'mehtods', 'methods'],
    ['another letter', 'pethods', 'methods'],
    ['capitals', 'Methods', 'methods'],
    ['the singular', 'path', 'paths'],
  ])('is found behind %s', (_what, written, meant) => {
    expect(nearest(written, keys)).toBe(meant)
  })

  it.each(['verbs', 'frobnicate', '', 'x'.repeat(100_000)])('is not made up for %.12s', (written) => {
    expect(nearest(written, keys)).toBeUndefined()
  })

  it('is one of the valid ones, or none', () => {
    fc.assert(fc.property(fc.string(), (word) => [undefined, ...keys].includes(nearest(word, keys))))
  })
})

describe('a list of valid words', () => {
  it('is a phrase', () => {
    expect(oneOf([])).toBeUndefined()
    expect(oneOf(['a'])).toBe('`a`')
    expect(oneOf(['a', 'b'])).toBe('one of `a`, `b`')
  })

  it('does not go on for ever', () => {
    expect(oneOf(Array.from({ length: 1_000 }, (_, n) => `k${n}`))).toMatch(/`k19`, …$/)
  })
})
