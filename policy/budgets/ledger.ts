// Counts what is spent of budgets. Synchronous, so that between looking and taking nobody else takes.
import type { Question } from '../engine.ts'
import { View } from '../view.ts'
import { type Account, type AccountLine, type Counted, lineOf, newAccount } from './account.ts'
import { type Budget, concerns, keyOf, pathMark } from './budget.ts'
import { type Exhausted, exhausted } from './exhausted.ts'
import { type Books, type Share, Spending } from './spending.ts'
import { windowEnd } from './window.ts'

/** Those who share one budget at a time; beyond, new ones wait for the next window. */
export const mostAccounts = 100_000
/** Distinct paths that are remembered for one budget. */
export const mostPaths = 200_000

/** Sums of fractions miss a whole by no more than this part of it. */
const rounding = 1e-9

interface Book {
  readonly accounts: Map<string, Account>
  /** Of all accounts together. */
  paths: number
  /** End of the window in which room was last looked for. */
  searched: number
}

export interface Fullness {
  /** Of the current window. */
  readonly accounts: number
  /** What the fullest of them has used of its scarcest: 1 is all. */
  readonly used: number
}

export class Ledger implements Books, Counted {
  /** Epoch milliseconds. */
  readonly now: () => number
  readonly #most: { readonly accounts: number; readonly paths: number }
  readonly #books = new Map<string, Book>()
  #changed = new Set<Account>()

  /** @param now epoch milliseconds */
  constructor(now: () => number, most = { accounts: mostAccounts, paths: mostPaths }) {
    this.now = now
    this.#most = most
  }

  /**
   * Takes from every budget that concerns the exchange, or from none.
   * @param destination its name
   * @returns undefined when no budget concerns it
   */
  reserve(budgets: readonly Budget[], question: Question, destination: string): Spending | Exhausted | undefined {
    const view = new View(question)
    const now = this.now()
    let shares: Share[] | undefined
    let mark: string | undefined
    for (const budget of budgets) {
      if (!concerns(budget, view, destination)) continue
      if (budget.paths !== undefined) mark ??= pathMark(view)
      const key = keyOf(budget.per, question)
      const account = this.#find(budget, key, now) ?? newAccount(budget.book, key, windowEnd(now, budget.every))
      const lacking = this.#lacking(budget, account, mark, now)
      if (lacking !== undefined) return lacking
      shares ??= []
      shares.push({ budget, account, told: undefined })
    }
    if (shares === undefined) return undefined
    for (const share of shares) this.#take(share, mark)
    return new Spending(shares, this)
  }

  /** The account of a share in the window of now; an exhausted room counts against it. */
  current({ budget, account }: Share, now: number): Account | Exhausted {
    if (now < account.ends) return account
    const found = this.#find(budget, account.key, now)
    if (found !== undefined) return found
    const fresh = newAccount(budget.book, account.key, windowEnd(now, budget.every))
    if (!this.#hasRoom(budget, now)) return exhausted(budget, fresh, 'accounts', this.#most.accounts, now)
    this.#book(budget.book).accounts.set(fresh.key, fresh)
    return fresh
  }

  changed(account: Account): void {
    this.#changed.add(account)
  }

  get hasChanged(): boolean {
    return this.#changed.size > 0
  }

  *takeChanged(): Iterable<AccountLine> {
    const changed = this.#changed
    this.#changed = new Set()
    for (const account of changed) {
      const paths = account.unwritten
      account.unwritten = []
      yield lineOf(account, paths)
    }
  }

  *all(): Iterable<AccountLine> {
    const now = this.now()
    for (const { accounts } of this.#books.values()) {
      for (const account of accounts.values()) if (account.ends > now) yield lineOf(account, [...account.paths])
    }
  }

  restore({ paths = [], ...line }: AccountLine): void {
    if (line.ends <= this.now()) return
    const book = this.#book(line.book)
    const before = book.accounts.get(line.key)
    const kept = before?.ends === line.ends ? before.paths : new Set<string>()
    book.paths -= before?.paths.size ?? 0
    for (const path of paths) kept.add(path)
    book.paths += kept.size
    book.accounts.set(line.key, { ...line, held: 0, paths: kept, unwritten: [] })
  }

  sweep(): void {
    const now = this.now()
    for (const [name, book] of this.#books) {
      forgetEnded(book, now)
      if (book.accounts.size === 0) this.#books.delete(name)
    }
  }

  fullness(budget: Budget): Fullness {
    const now = this.now()
    let accounts = 0
    let used = 0
    for (const account of this.#books.get(budget.book)?.accounts.values() ?? []) {
      if (account.ends <= now) continue
      accounts += 1
      used = Math.max(used, usedOf(budget, account))
    }
    return { accounts, used }
  }

  #lacking(budget: Budget, account: Account, mark: string | undefined, now: number): Exhausted | undefined {
    const { requests, responseBytes, paths, cost } = budget
    const { accounts } = this.#book(budget.book)
    if (!accounts.has(account.key) && !this.#hasRoom(budget, now)) {
      return exhausted(budget, account, 'accounts', this.#most.accounts, now)
    }
    if (requests !== undefined && account.requests >= requests) {
      return exhausted(budget, account, 'requests', requests, now)
    }
    if (responseBytes !== undefined && account.bytes >= responseBytes) {
      return exhausted(budget, account, 'response bytes', responseBytes, now)
    }
    if (cost !== undefined && account.cost + account.held + cost.reserve > cost.units * (1 + rounding)) {
      return exhausted(budget, account, 'cost', cost.units, now)
    }
    if (paths === undefined || mark === undefined || account.paths.has(mark)) return undefined
    if (account.paths.size >= paths) return exhausted(budget, account, 'paths', paths, now)
    // Room for paths is made together with that for accounts.
    const full = this.#book(budget.book).paths >= this.#most.paths && !this.#makeRoom(budget, now)
    return full ? exhausted(budget, account, 'accounts', this.#most.paths, now) : undefined
  }

  #take({ budget, account }: Share, mark: string | undefined): void {
    const book = this.#book(budget.book)
    const before = book.accounts.get(account.key)
    // The window of the one before is over.
    if (before !== undefined && before !== account) book.paths -= before.paths.size
    book.accounts.set(account.key, account)
    account.requests += 1
    if (budget.cost !== undefined) account.held += budget.cost.reserve
    if (budget.paths !== undefined && mark !== undefined && !account.paths.has(mark)) {
      account.paths.add(mark)
      account.unwritten.push(mark)
      book.paths += 1
    }
    this.#changed.add(account)
  }

  #find({ book, every }: Budget, key: string, now: number): Account | undefined {
    const account = this.#books.get(book)?.accounts.get(key)
    if (account === undefined || account.ends <= now) return undefined
    // Begun by a clock that was wrong: it must not be in force for longer than a window.
    if (account.ends - now > every) account.ends = windowEnd(now, every)
    return account
  }

  #book(name: string): Book {
    const known = this.#books.get(name)
    if (known !== undefined) return known
    const made: Book = { accounts: new Map(), paths: 0, searched: 0 }
    this.#books.set(name, made)
    return made
  }

  #hasRoom(budget: Budget, now: number): boolean {
    return this.#book(budget.book).accounts.size < this.#most.accounts || this.#makeRoom(budget, now)
  }

  /** All windows of a budget end together, so there is nothing to find before the next has begun. */
  #makeRoom({ book: name, every }: Budget, now: number): boolean {
    const book = this.#book(name)
    const ends = windowEnd(now, every)
    if (book.searched === ends) return false
    book.searched = ends
    forgetEnded(book, now)
    return book.accounts.size < this.#most.accounts && book.paths < this.#most.paths
  }
}

function forgetEnded(book: Book, now: number): void {
  for (const [key, account] of book.accounts) {
    if (account.ends > now) continue
    book.accounts.delete(key)
    book.paths -= account.paths.size
  }
}

function usedOf({ requests, responseBytes, paths, cost }: Budget, account: Account): number {
  return Math.max(
    requests === undefined ? 0 : account.requests / requests,
    responseBytes === undefined ? 0 : account.bytes / responseBytes,
    paths === undefined ? 0 : account.paths.size / paths,
    cost === undefined ? 0 : (account.cost + account.held) / cost.units,
  )
}
