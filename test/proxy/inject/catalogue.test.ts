import { describe, expect, it } from 'vitest'
import { createPlacements, type PlacedRule } from '../../../proxy/inject/catalogue.ts'
import { shapeNames, shapeOf } from '../../../proxy/inject/shapes.ts'
import { fingerprint, placements, standInKey } from './exchanges.ts'

const make = (rules: readonly PlacedRule[]) =>
  createPlacements({ rules, credentials: { a: { for: ['x', 'y'] } }, standInKey, fingerprint })

const rule = (name: string, to: string | string[], env: string, more = {}): PlacedRule => ({
  name,
  allow: { to },
  use: 'a',
  inject: { placeholder: { env, ...more } },
})

describe('the stand-ins of a configuration', () => {
  it('stay the same from load to load, and whatever rule names them', () => {
    const value = make([rule('one', 'x', 'KEY')]).standIns
    expect(make([rule('two', 'x', 'KEY'), rule('three', 'x', 'KEY')]).standIns).toEqual(value)
  })

  it('differ by destination and by place', () => {
    const { standIns } = make([
      rule('one', 'x', 'A'),
      rule('two', 'y', 'B'),
      rule('three', 'x', 'C', { in: { query: 'k' } }),
    ])
    expect(standIns.map(({ variable }) => variable)).toEqual(['A', 'B', 'C'])
    expect(new Set(standIns.map(({ value }) => value)).size).toBe(3)
  })

  it('cannot be two in one variable', () => {
    expect(() => make([rule('one', 'x', 'KEY'), rule('two', 'y', 'KEY')])).toThrow(/^KEY would have to hold two/)
    expect(() => make([rule('one', ['x', 'y'], 'KEY')])).toThrow(/^KEY would have to hold two/)
  })

  it('can stand in several variables', () => {
    const inject = { placeholder: { env: ['A', 'B'] } }
    const [a, b] = make([{ name: 'one', allow: { to: 'x' }, use: 'a', inject }]).standIns
    expect([a?.variable, b?.variable]).toEqual(['A', 'B'])
    expect(a?.value).toBe(b?.value)
  })

  it.each(shapeNames)('have the shape that is asked for: %s', (shape) => {
    const value = make([rule('one', 'x', 'KEY', { shape })]).standIns[0]?.value ?? ''
    expect(value.startsWith(shapeOf(shape).prefix)).toBe(true)
    expect(value).toHaveLength(shapeOf(shape).prefix.length + shapeOf(shape).length)
    expect(value).toMatch(/^[A-Za-z0-9_-]{37,}$/)
  })

  it('can begin with a prefix', () => {
    expect(make([rule('one', 'x', 'KEY', { shape: 'acme_' })]).standIns[0]?.value).toMatch(/^acme_pstrnStandIn\w{24}$/)
  })
})

describe('the kinds of placement that records tell', () => {
  it.each([
    ['bearer', 'bearer'],
    ['basic', 'basic'],
    [{ header: 'X-Key' }, 'header'],
    [{ query: 'key' }, 'query'],
    [{ cookie: 'sid' }, 'cookie'],
    ['placeholder', 'placeholder'],
    [{ placeholder: {} }, 'placeholder'],
  ] as const)('of %j is %s', (inject, kind) => {
    expect(placements(inject).kindOf('rule')).toBe(kind)
    expect(placements(inject).for('rule').kind).toBe(kind)
  })

  it('is none without a credential', () => {
    expect(placements(undefined, { use: undefined }).kindOf('rule')).toBe('none')
    expect(placements('agent', { use: undefined }).kindOf('rule')).toBe('agent')
    expect(placements('bearer').kindOf('gone')).toBeUndefined()
  })
})
