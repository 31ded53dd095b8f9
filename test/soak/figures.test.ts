// The figures by which the long run is judged: what grows is seen, what goes up and down is not taken for it.
import { expect, it } from 'vitest'
import { allowedGrowth, judgedFrom, median, type Point, trend } from './figures.ts'

const seconds = 1_200
/** One point each half minute of what is judged, in megabytes. */
const points = (valueAt: (second: number) => number): readonly Point[] =>
  Array.from({ length: 31 }, (_, at) => judgedFrom(seconds) + at * 30).map((second) => [second, valueAt(second)])

it('sees a leak of ten kilobytes a second', () => {
  const { growth, step } = trend(
    points((second) => 200 + second / 100),
    60,
  )
  expect(growth).toBeCloseTo(9)
  expect(step).toBeGreaterThan(8)
  expect(growth).toBeGreaterThan(allowedGrowth)
})

it('takes what goes up and down for flat', () => {
  const { growth } = trend(
    points((second) => 200 + (second % 60 === 0 ? 10 : 0)),
    60,
  )
  expect(Math.abs(growth)).toBeLessThan(1)
})

it('knows the median of few and of many', () => {
  expect([median([3]), median([1, 9]), median([5, 1, 100])]).toEqual([3, 5, 5])
})
