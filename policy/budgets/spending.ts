// What one exchange takes from the budgets that concern it: set aside before it leaves, settled when it has ended.
import type { Account } from './account.ts'
import type { Budget, CostSource } from './budget.ts'
import { type Exhausted, exhausted } from './exhausted.ts'

export interface Share {
  readonly budget: Budget
  readonly account: Account
  /** Units that the answer cost, once it has said so. */
  told: number | undefined
}

/** What came of a budget, for the record. */
export interface Charge {
  readonly budget: string
  /** Units that this exchange cost, where they are counted. */
  readonly cost: number | undefined
  /** What is left in this window. */
  readonly left: {
    readonly requests: number | undefined
    readonly responseBytes: number | undefined
    readonly paths: number | undefined
    readonly cost: number | undefined
  }
}

/** Where it is counted. */
export interface Books {
  /** @returns epoch milliseconds */
  now(): number
  /** The account of a share in the window of now. */
  current(share: Share, now: number): Account | Exhausted
  changed(account: Account): void
}

export class Spending {
  readonly #shares: readonly Share[]
  readonly #books: Books
  /** Whether bytes of the answer count. */
  readonly countsBytes: boolean
  #settled = false

  constructor(shares: readonly Share[], books: Books) {
    this.#shares = shares
    this.#books = books
    this.countsBytes = shares.some(({ budget }) => budget.responseBytes !== undefined)
  }

  /** Where the answer may say what it cost. */
  get costs(): readonly CostSource[] {
    return this.#shares.flatMap(({ budget }) => budget.cost?.from ?? [])
  }

  /** Takes bytes that are about to be passed on; they count in the window in which they pass. Nothing is taken where they do not fit. */
  takeBytes(count: number): Exhausted | undefined {
    const accounts = this.#roomFor(count)
    if ('what' in accounts) return accounts
    for (const account of accounts) {
      account.bytes += count
      this.#books.changed(account)
    }
    return undefined
  }

  /** Whether so many bytes would not fit by now; nothing is taken. */
  lacksBytes(count: number): Exhausted | undefined {
    const accounts = this.#roomFor(count)
    return 'what' in accounts ? accounts : undefined
  }

  /** The accounts that they count in. */
  #roomFor(count: number): readonly Account[] | Exhausted {
    const now = this.#books.now()
    const accounts: Account[] = []
    for (const share of this.#shares) {
      const { responseBytes } = share.budget
      if (responseBytes === undefined) continue
      const account = this.#books.current(share, now)
      if ('what' in account) return account
      if (account.bytes + count > responseBytes) {
        return exhausted(share.budget, account, 'response bytes', responseBytes, now)
      }
      accounts.push(account)
    }
    return accounts
  }

  /**
   * The answer says what it cost; what it says last counts.
   * @param whole whether it could say all: an agent that breaks off before the end pays what was set aside, or more
   */
  tell(source: CostSource, units: number, whole: boolean): void {
    for (const share of this.#shares) {
      const { cost } = share.budget
      if (cost?.from === source) share.told = whole ? units : Math.max(units, cost.reserve)
    }
  }

  /**
   * Once; what is never settled stays spent.
   * @param sent whether the upstream can have seen anything of the request; what it cannot have seen is given back
   * @param failed whether the answer says that the request failed: then it costs nothing unless it says what
   */
  settle({ sent, failed }: { readonly sent: boolean; readonly failed: boolean }): void {
    if (this.#settled) return
    this.#settled = true
    for (const share of this.#shares) {
      const { budget, account } = share
      if (!sent) account.requests -= 1
      if (budget.cost !== undefined) {
        const { reserve } = budget.cost
        share.told = sent ? (share.told ?? (failed ? 0 : reserve)) : 0
        account.held = Math.max(0, account.held - reserve)
        account.cost += share.told
      } else if (sent) continue
      this.#books.changed(account)
    }
  }

  get charges(): readonly Charge[] {
    return this.#shares.map(({ budget, account, told }) => ({
      budget: budget.name,
      cost: budget.cost === undefined ? undefined : told,
      left: {
        requests: left(budget.requests, account.requests),
        responseBytes: left(budget.responseBytes, account.bytes),
        paths: left(budget.paths, account.paths.size),
        cost: left(budget.cost?.units, account.cost + account.held),
      },
    }))
  }
}

const left = (all: number | undefined, used: number) => (all === undefined ? undefined : Math.max(0, all - used))
