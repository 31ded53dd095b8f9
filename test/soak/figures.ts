// Reads a row of samples: medians of a minute, the straight line through them, and whether that is growth.

/** Seconds since the load began, and what was found then. */
export type Point = readonly [at: number, value: number]

export interface Trend {
  readonly from: number
  readonly to: number
  /** Of the line of least squares, in units of the samples over the whole time. */
  readonly growth: number
  /** Median of the last minute less that of the first. */
  readonly step: number
}

/** Megabytes over the time that is judged. */
export const allowedGrowth = 5
/** Descriptors: connections come and go, so that two moments are never alike. */
export const allowedDescriptors = 15

/** The first quarter is for warming up: caches fill, code is compiled, the heap finds its size. */
export const judgedFrom = (seconds: number) => seconds / 4

/** @param window seconds over which a median is taken at either end */
export function trend(points: readonly Point[], window: number): Trend {
  const first = points[0]?.[0] ?? 0
  const last = points.at(-1)?.[0] ?? 0
  const within = (from: number, to: number) =>
    median(points.filter(([at]) => at >= from && at <= to).map(([, figure]) => figure))
  return {
    from: within(first, first + window),
    to: within(last - window, last),
    growth: slope(points) * (last - first),
    step: within(last - window, last) - within(first, first + window),
  }
}

export function median(values: readonly number[]): number {
  const sorted = values.toSorted((one, other) => one - other)
  const middle = sorted.length >> 1
  const upper = sorted[middle] ?? Number.NaN
  return sorted.length % 2 === 1 ? upper : ((sorted[middle - 1] ?? Number.NaN) + upper) / 2
}

/** Of the line of least squares. */
function slope(points: readonly Point[]): number {
  const mean = (of: 0 | 1) => points.reduce((sum, point) => sum + point[of], 0) / points.length
  const [x, y] = [mean(0), mean(1)]
  let [both, square] = [0, 0]
  for (const point of points) {
    both += (point[0] - x) * (point[1] - y)
    square += (point[0] - x) ** 2
  }
  return square === 0 ? 0 : both / square
}
