// What one of those who share a budget has spent in the current window.

export interface Account {
  /** `Budget.book`. */
  readonly book: string
  readonly key: string
  /** Epoch milliseconds; nothing of it counts from then on. */
  ends: number
  requests: number
  /** Of bodies of answers. */
  bytes: number
  /** Units that answers have cost. */
  cost: number
  /** Units set aside for answers that have not ended. */
  held: number
  /** Marks of paths. */
  readonly paths: Set<string>
  /** Those of them that are not written down yet. */
  unwritten: string[]
}

/** As it is written down: what is set aside is taken for spent, so a request that nobody sees the end of is paid for. */
export interface AccountLine {
  readonly book: string
  readonly key: string
  readonly ends: number
  readonly requests: number
  readonly bytes: number
  readonly cost: number
  /** Further ones. */
  readonly paths?: readonly string[] | undefined
}

/** What is counted and written down. */
export interface Counted {
  readonly hasChanged: boolean
  /** What has changed since it was last asked for. */
  takeChanged(): Iterable<AccountLine>
  /** All that counts now. */
  all(): Iterable<AccountLine>
  /** What was counted by an earlier process; of lines for the same, the last one counts. */
  restore(line: AccountLine): void
  /** Forgets what no longer counts. */
  sweep(): void
}

export function newAccount(book: string, key: string, ends: number): Account {
  return { book, key, ends, requests: 0, bytes: 0, cost: 0, held: 0, paths: new Set(), unwritten: [] }
}

export function lineOf(
  { book, key, ends, requests, bytes, cost, held }: Account,
  paths: readonly string[],
): AccountLine {
  return { book, key, ends, requests, bytes, cost: cost + held, ...(paths.length === 0 ? {} : { paths }) }
}
