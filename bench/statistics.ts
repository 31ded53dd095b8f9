// Medians and percentiles.

/** @returns NaN of nothing */
export function median(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b)
  const middle = sorted.length >> 1
  if (sorted.length % 2 === 1) return sorted[middle] ?? Number.NaN
  return ((sorted[middle - 1] ?? Number.NaN) + (sorted[middle] ?? Number.NaN)) / 2
}

/**
 * The smallest value that at least that part of all does not exceed.
 * @param part 0.5 for the median, 0.99 for p99
 */
export function percentile(values: readonly number[] | Float64Array, part: number): number {
  const sorted = Float64Array.from(values).sort()
  return sorted[Math.max(0, Math.ceil(part * sorted.length) - 1)] ?? Number.NaN
}

/** The median over the rounds of the quotients within a round. */
export function ratioOf(these: readonly number[], those: readonly number[] = []): number {
  return median(these.map((value, round) => value / (those[round] ?? Number.NaN)))
}

/** The median over the rounds of the differences within a round. */
export function differenceOf(these: readonly number[], those: readonly number[] = []): number {
  return median(these.map((value, round) => value - (those[round] ?? Number.NaN)))
}
