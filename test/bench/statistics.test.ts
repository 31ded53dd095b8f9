// Medians, percentiles, and ratios that are taken within a round.
import { expect, test } from 'vitest'
import { differenceOf, median, percentile, ratioOf } from '../../bench/statistics.ts'

test('the median of an even number of values lies between the middle two', () => {
  expect(median([9, 1, 4, 2])).toBe(3)
  expect(median([9, 1, 4])).toBe(4)
  expect(median([])).toBeNaN()
})

test('a percentile is a value that was seen', () => {
  const values = Array.from({ length: 100 }, (_, index) => 100 - index)
  expect(percentile(values, 0.5)).toBe(50)
  expect(percentile(values, 0.99)).toBe(99)
  expect(percentile([7], 0.99)).toBe(7)
})

test('a round in which the machine was slow does not shift a ratio', () => {
  expect(ratioOf([10, 2, 10], [20, 4, 20])).toBe(0.5)
  expect(differenceOf([3, 13, 3], [1, 11, 1])).toBe(2)
})

test('without the other side there is no ratio', () => {
  expect(ratioOf([1, 2])).toBeNaN()
})
