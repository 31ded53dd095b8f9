import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { Limiter, limitPattern, parseLimit } from '../../policy/limits.ts'

const start = Date.parse('2026-01-01T00:00:00Z')
const limiter = (text: string, most?: number) => new Limiter(parseLimit(text), most)

describe('the text of a limit', () => {
  it.each([
    '60/minute',
    '60 per agent',
    '0/minute per agent',
    '-1/minute per agent',
    '1.5/minute per agent',
    '1000000/minute per agent',
    '60/week per agent',
    '60/Minute per agent',
    '60/minute per user',
    '60/minute per agent ',
  ])('%j is refused', (text) => {
    expect(limitPattern.test(text)).toBe(false)
    expect(() => parseLimit(text)).toThrow('not a limit')
  })

  it.each([
    ['60/minute per agent', { count: 60, window: 60_000, per: 'agent' }],
    ['1/second per rule', { count: 1, window: 1_000, per: 'rule' }],
    ['999999/day per rule', { count: 999_999, window: 86_400_000, per: 'rule' }],
    ['5/hour per agent', { count: 5, window: 3_600_000, per: 'agent' }],
  ])('%j is read', (text, limit) => {
    expect(parseLimit(text)).toEqual({ text, ...limit })
  })
})

describe('a limit', () => {
  it('refuses what exceeds it, and takes nothing for a refusal', () => {
    const bucket = limiter('2/minute per agent')
    expect([1, 2, 3, 4].map(() => bucket.take('a', start))).toEqual([0, 0, 30, 30])
    expect(bucket.take('a', start + 29_999)).toBe(1)
    expect(bucket.take('a', start + 30_000)).toBe(0)
  })

  it('says a wait of whole seconds after which the next one passes', () => {
    fc.assert(
      fc.property(
        fc.constantFrom(
          '3/second per rule',
          '7/minute per rule',
          '11/hour per rule',
          '2/day per rule',
          '997/minute per rule',
        ),
        fc.array(fc.integer({ min: 0, max: 3_000 }), { minLength: 1, maxLength: 60 }),
        (text, steps) => {
          const bucket = limiter(text)
          let now = start
          for (const step of steps) {
            now += step
            const wait = bucket.take('', now)
            expect(Number.isInteger(wait)).toBe(true)
            if (wait === 0) continue
            now += wait * 1_000
            expect(bucket.take('', now)).toBe(0)
          }
        },
      ),
    )
  })

  it('never lets more through in a window than a full bucket and what refills meanwhile', () => {
    fc.assert(
      fc.property(fc.array(fc.integer({ min: 0, max: 40 }), { minLength: 50, maxLength: 300 }), (steps) => {
        const bucket = limiter('10/second per rule')
        const passed: number[] = []
        let now = start
        for (const step of steps) {
          now += step
          if (bucket.take('', now) === 0) passed.push(now)
        }
        for (const from of passed) {
          const inWindow = passed.filter((at) => at >= from && at < from + 1_000)
          expect(inWindow.length).toBeLessThanOrEqual(20)
        }
        expect(passed.length).toBeLessThanOrEqual(10 + ((now - start) * 10) / 1_000 + 1)
      }),
    )
  })

  it('per agent counts each for itself, per rule all together', () => {
    const each = limiter('1/minute per agent')
    expect([each.take('a', start), each.take('b', start), each.take('a', start)]).toEqual([0, 0, 60])
    const together = limiter('1/minute per rule')
    expect([together.take('a', start), together.take('b', start)]).toEqual([0, 60])
    expect(together.size).toBe(1)
  })

  it('neither gives nor blocks when the clock is set back by a day', () => {
    const bucket = limiter('2/minute per agent')
    bucket.take('a', start)
    bucket.take('a', start)
    const yesterday = start - 86_400_000
    expect(bucket.take('a', yesterday)).toBe(30)
    expect(bucket.take('a', yesterday + 30_000)).toBe(0)
  })

  it('keeps no more agents than its bound, and forgets none that still waits', () => {
    const bucket = limiter('1/minute per agent', 3)
    for (const agent of ['a', 'b', 'c']) expect(bucket.take(agent, start)).toBe(0)
    expect(bucket.take('d', start + 1_000)).toBe(59)
    expect(bucket.take('a', start + 59_000)).toBe(1)
    expect(bucket.take('d', start + 60_000)).toBe(0)
    expect(bucket.size).toBe(3)
  })
})
