// The stops in force: asked on each request, so that none costs nothing and ten thousand cost a few look-ups.
import { Agent, isSubtree, subtreeOf } from '../agents.ts'
import { idOf, type Stop, type Stopped, type StopSubject } from './stop.ts'

/** One thing is seldom stopped twice. */
type Index = Map<string, Stop[]>

export class StopList {
  /** All that are known, oldest first; those that begin later too. */
  readonly #known = new Map<string, Stop>()
  readonly #waiting = new Set<Stop>()
  /** Of agents by their ID, of subtrees by what all IDs in them begin with. */
  readonly #agents: Index = new Map()
  readonly #subtrees: Index = new Map()
  readonly #others: Readonly<Record<Exclude<Stopped['kind'], 'agent'>, Index>> = {
    user: new Map(),
    txn: new Map(),
    delegation: new Map(),
    credential: new Map(),
    destination: new Map(),
    all: new Map(),
  }
  #epoch = 0

  /** Rises whenever what is in force changes, also when a stop begins or lapses. */
  get epoch(): number {
    return this.#epoch
  }

  /** Nothing is stopped. */
  get isEmpty(): boolean {
    return this.#known.size === this.#waiting.size
  }

  /** How many are in force. */
  get size(): number {
    return this.#known.size - this.#waiting.size
  }

  /** The order that stops everything, where there is one. */
  get all(): Stop | undefined {
    return this.#others.all.get('')?.[0]
  }

  /**
   * The first stop that concerns the subject: everything, then its agents, principal, transaction, delegations,
   * credential, destination.
   * @param now epoch milliseconds; what has lapsed by then does not count, whether `pass` was called or not
   */
  find(subject: StopSubject, now: number): Stop | undefined {
    if (this.isEmpty) return undefined
    const { agents, principal, txn, delegations, credential, destination } = subject
    const others = this.#others
    return (
      inForce(others.all, '', now) ??
      this.#agent(agents, now) ??
      (principal.kind === 'agent' ? this.#agent([principal.id], now) : inForce(others.user, principal.id, now)) ??
      inForce(others.txn, txn, now) ??
      firstOf(others.delegation, delegations, now) ??
      inForce(others.credential, credential, now) ??
      inForce(others.destination, destination, now)
    )
  }

  /** The one with this id, in force or to come. */
  get(id: string): Stop | undefined {
    return this.#known.get(id)
  }

  /** Those in force and those to come, oldest first. */
  list(now: number): readonly Stop[] {
    return [...this.#known.values()].filter((stop) => !hasLapsed(stop, now))
  }

  /** @returns false when one with this id is known, or it has lapsed already: nothing changes */
  add(stop: Stop, now: number): boolean {
    if (this.#known.has(stop.id) || hasLapsed(stop, now)) return false
    this.#known.set(stop.id, stop)
    if (stop.since !== undefined && stop.since > now) this.#waiting.add(stop)
    else this.#enforce(stop)
    return true
  }

  /** @returns the one that was lifted; undefined: there is none with this id */
  remove(id: string): Stop | undefined {
    const stop = this.#known.get(id)
    if (stop !== undefined) this.#forget(stop)
    return stop
  }

  /** When a stop begins or lapses next; epoch milliseconds. `pass` is to be called then. */
  get nextChange(): number | undefined {
    let next = Number.POSITIVE_INFINITY
    for (const stop of this.#known.values()) if (stop.until !== undefined && stop.until < next) next = stop.until
    for (const { since } of this.#waiting) if (since !== undefined && since < next) next = since
    return Number.isFinite(next) ? next : undefined
  }

  /** Lets those begin and lapse whose time it is. @returns those that lapsed, and how many began */
  pass(now: number): { readonly lapsed: readonly Stop[]; readonly begun: number } {
    const lapsed = [...this.#known.values()].filter((stop) => hasLapsed(stop, now))
    for (const stop of lapsed) this.#forget(stop)
    const due = [...this.#waiting].filter(({ since = 0 }) => since <= now)
    for (const stop of due) {
      this.#waiting.delete(stop)
      this.#enforce(stop)
    }
    return { lapsed, begun: due.length }
  }

  #agent(ids: readonly string[], now: number): Stop | undefined {
    if (this.#agents.size === 0 && this.#subtrees.size === 0) return undefined
    for (const id of ids) {
      const found =
        inForce(this.#agents, id, now) ??
        (this.#subtrees.size === 0 ? undefined : firstOf(this.#subtrees, new Agent(id).subtrees, now))
      if (found !== undefined) return found
    }
    return undefined
  }

  #enforce(stop: Stop): void {
    const [index, key] = this.#place(stop.what)
    const same = index.get(key)
    if (same === undefined) index.set(key, [stop])
    else same.push(stop)
    this.#epoch += 1
  }

  #forget(stop: Stop): void {
    this.#known.delete(stop.id)
    // It was not in force, so nothing changes.
    if (this.#waiting.delete(stop)) return
    const [index, key] = this.#place(stop.what)
    const rest = index.get(key)?.filter(({ id }) => id !== stop.id) ?? []
    if (rest.length === 0) index.delete(key)
    else index.set(key, rest)
    this.#epoch += 1
  }

  #place(what: Stopped): readonly [Index, string] {
    if (what.kind !== 'agent') return [this.#others[what.kind], idOf(what)]
    return isSubtree(what.id) ? [this.#subtrees, subtreeOf(what.id)] : [this.#agents, what.id]
  }
}

const hasLapsed = ({ until }: Stop, now: number) => until !== undefined && until <= now

function inForce(index: Index, key: string | undefined, now: number): Stop | undefined {
  if (key === undefined || index.size === 0) return undefined
  return index.get(key)?.find((stop) => !hasLapsed(stop, now))
}

function firstOf(index: Index, keys: readonly string[], now: number): Stop | undefined {
  if (index.size === 0) return undefined
  for (const key of keys) {
    const found = inForce(index, key, now)
    if (found !== undefined) return found
  }
  return undefined
}
