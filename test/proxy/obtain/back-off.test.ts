import { expect, it } from 'vitest'
import { BackOff } from '../../../proxy/obtain/back-off.ts'

const waits = (backOff: BackOff, count: number): number[] => {
  let now = 1_000_000
  return Array.from({ length: count }, () => {
    backOff.fail(now)
    const wait = backOff.until - now
    now = backOff.until
    return wait
  })
}

it('doubles from the first to the most', () => {
  expect(waits(new BackOff(1_000, 10_000, () => 1), 6)).toEqual([1_000, 2_000, 4_000, 8_000, 10_000, 10_000])
})

it('takes off up to a fifth, so that what failed together does not come back together', () => {
  expect(waits(new BackOff(1_000, 10_000, () => 0), 3)).toEqual([800, 1_600, 3_200])
})

it('begins anew after a time as long as the wait in which nothing failed', () => {
  const backOff = new BackOff(1_000, 10_000, () => 1)
  backOff.fail(0)
  backOff.fail(1_000)
  expect(backOff.until).toBe(3_000)
  backOff.fail(5_001)
  expect(backOff.until).toBe(6_001)
})

it('begins anew after a reset', () => {
  const backOff = new BackOff(1_000, 10_000, () => 1)
  waits(backOff, 4)
  backOff.reset()
  expect(backOff.until).toBe(0)
  expect(waits(backOff, 1)).toEqual([1_000])
})

it('waits longer where the other side asks for it', () => {
  const backOff = new BackOff(1_000, 10_000, () => 1)
  backOff.fail(0, 30_000)
  expect(backOff.until).toBe(30_000)
})
