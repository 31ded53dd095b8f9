import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { makePair, type Pair, validityOf } from '../../../../deploy/injector/certificate/pair.ts'
import { authorities, plan, type Stored } from '../../../../deploy/injector/certificate/plan.ts'

const lifetime = 9_000_000
const timing = { settle: 60_000, overlap: 600_000 }
const start = Date.UTC(2030, 0, 1)
const pairAt = (now: number) => makePair(['x.svc'], lifetime, () => now)
const step = (stored: Stored, now: number) => plan(stored, { ...timing, now, make: () => pairAt(now) })

describe('a rotation', () => {
  it('begins with a certificate that is there', () => {
    const { current, ...rest } = step({}, start)
    expect(rest).toEqual({})
    expect(current && validityOf(current).to).toBe(start + lifetime)
  })

  it('announces, shows and forgets, each in its time', () => {
    const first = step({}, start)
    expect(step(first, start + lifetime / 2)).toBe(first)
    const due = start + lifetime * 0.7
    const announced = step(first, due)
    expect(announced.current).toBe(first.current)
    expect(authorities(announced)).toEqual([first.current?.ca, announced.next?.ca])
    expect(step(announced, due + 59_000)).toBe(announced)
    const shown = step(announced, due + 60_000)
    expect(shown.current?.cert).toBe(announced.next?.cert)
    expect(authorities(shown)).toEqual([announced.next?.ca, first.current?.ca])
    expect(step(shown, due + 600_000)).toBe(shown)
    expect(authorities(step(shown, due + 660_000))).toEqual([shown.current?.ca])
  })

  it.each([
    ['expired', { current: pairAt(start) }, start + lifetime + 1_000],
    ['unreadable', { current: { ...pairAt(start), cert: 'x' } }, start],
    ['of another key', { current: { ...pairAt(start), key: pairAt(start).key } }, start],
  ])('begins anew where the certificate is %s', (_, stored, now) => {
    expect(validityOf(step(stored, now).current ?? pairAt(0)).to).toBe(now + lifetime)
  })

  it('drops what was announced and cannot be shown', () => {
    const current = pairAt(start)
    const next = { ...pairAt(start), cert: 'x', announcedAt: start }
    expect(step({ current, next }, start)).toEqual({ current })
  })

  it('never shows what was not announced for long enough, whenever it is looked at, and whichever step is lost', () => {
    const pairs = new Map<number, Pair>()
    // Signing is slow; one pair an hour is enough to tell them apart.
    const make = (now: number) => {
      const hour = Math.floor(now / 3_600_000) * 3_600_000
      const made = pairs.get(hour) ?? pairAt(hour)
      pairs.set(hour, made)
      return made
    }
    const looks = fc.array(fc.record({ after: fc.integer({ min: 1_000, max: 1_500_000 }), lost: fc.boolean() }), {
      maxLength: 30,
    })
    fc.assert(
      fc.property(looks, (all) => {
        let now = start
        let stored: Stored = {}
        /** Since when each authority is in the bundle without a break. */
        let bundle = new Map<string, number>()
        for (const { after, lost } of all) {
          now += after
          const before = stored
          const due = plan(stored, { ...timing, now, make: () => make(now) })
          const told = authorities(due)
          bundle = new Map(told.map((ca) => [ca, bundle.get(ca) ?? now]))
          // The process ended before it could store what it had announced.
          if (!lost) stored = due
          const shown = stored.current
          if (shown === undefined || before.current === undefined || shown.ca === before.current.ca) continue
          const wasUsable = validityOf(before.current).to > now
          if (wasUsable) expect(now - (bundle.get(shown.ca) ?? now)).toBeGreaterThanOrEqual(timing.settle)
          if (wasUsable) expect(told).toContain(before.current.ca)
        }
      }),
      { numRuns: 60 },
    )
  })
})
