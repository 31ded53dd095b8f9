// Fixed windows: an hour begins with the hour, a day at midnight UTC, a week on Monday.

/** 1970-01-05 00:00 UTC, a Monday. */
const anchor = 4 * 86_400_000

/** @returns when the window of `now` ends, and the next begins; all in milliseconds */
export function windowEnd(now: number, every: number): number {
  return anchor + (Math.floor((now - anchor) / every) + 1) * every
}
