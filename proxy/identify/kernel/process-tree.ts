// Which process below a command holds a socket, told by /proc. Whatever changes while it is looked at counts as no.
import { readdirSync, readlinkSync } from 'node:fs'
import { readStat } from './process-stat.ts'

/** Deeper than any real tree; ends a walk that a race has led astray. */
const MAX_DEPTH = 256

/** How many of the processes found last are looked into before anything else. */
const LIKELY = 4

/**
 * The processes that descend from one command. Once a process has been proved a descendant it stays one for its life,
 * whoever becomes its parent; so it is remembered by pid and start time, and only newcomers cost a walk.
 */
export class ProcessTree {
  readonly #reaper: number | undefined
  /** pid → start time. The one that was found last stands last. */
  readonly #members = new Map<number, number>()
  #listed: ReadonlySet<number> = new Set()

  /**
   * @param root pid of the command; must be alive, or not yet waited for, whenever this is asked
   * @param reaper pid of the process that inherits the command's orphans (PR_SET_CHILD_SUBREAPER), if one does. Its
   *   children count as the command's, also those that it started for itself; it must not hand them the token.
   */
  constructor(root: number, reaper: number | undefined) {
    this.#reaper = reaper
    const stat = readStat(root)
    if (stat !== undefined) this.#members.set(root, stat.start)
  }

  /** The pid of a process of the tree that holds the socket with this inode, or undefined. */
  holderOf(inode: number): number | undefined {
    const link = `socket:[${inode}]`
    for (const pid of this.#candidates()) {
      if (!this.#holds(pid, link)) continue
      this.#remember(pid)
      return pid
    }
    return undefined
  }

  /** Whether the process with this pid belongs to the tree now. */
  has(pid: number): boolean {
    return this.#alive(pid) || this.#prove(pid, new Set())
  }

  /**
   * Every process of the tree, the likeliest first: those that were found last; those that were not there at the last
   * look; the other known ones; at last those whose pid may have been taken by another process since.
   */
  *#candidates(): Generator<number> {
    const known = [...this.#members.keys()].reverse()
    yield* known.slice(0, LIKELY)
    // Newest first: pids are given out in ascending order.
    const pids = processIds().reverse()
    const before = this.#listed
    this.#listed = new Set(pids)
    for (const pid of this.#members.keys()) if (!this.#listed.has(pid)) this.#members.delete(pid)
    const strangers = new Set<number>()
    for (const pid of pids) if (!before.has(pid) && this.#prove(pid, strangers)) yield pid
    yield* known.slice(LIKELY)
    for (const pid of pids) if (before.has(pid) && !this.#alive(pid) && this.#prove(pid, strangers)) yield pid
  }

  /**
   * Walks from parent to parent until a known member, or the reaper, is reached; then reads every step again. A parent
   * that had died in between, its pid perhaps taken by another, would have left its child to somebody else, so a step
   * that reads the same afterwards was true all the while.
   */
  #prove(pid: number, strangers: Set<number>): boolean {
    const steps: { readonly pid: number; readonly parent: number; readonly start: number }[] = []
    let at = pid
    while (at !== this.#reaper && !this.#alive(at)) {
      const stat = strangers.has(at) || at <= 1 || steps.length === MAX_DEPTH ? undefined : readStat(at)
      if (stat === undefined) {
        for (const step of steps) strangers.add(step.pid)
        return false
      }
      steps.push({ pid: at, parent: stat.parent, start: stat.start })
      at = stat.parent
    }
    // The proxy itself is no part of what it guards.
    if (steps.length === 0) return at !== this.#reaper
    for (const step of steps) {
      const again = readStat(step.pid)
      if (again?.parent !== step.parent || again.start !== step.start) return false
    }
    for (const step of steps) this.#members.set(step.pid, step.start)
    return true
  }

  /** Whether a known member still is the process that it was. */
  #alive(pid: number): boolean {
    const start = this.#members.get(pid)
    return start !== undefined && readStat(pid)?.start === start
  }

  #remember(pid: number): void {
    const start = this.#members.get(pid)
    if (start === undefined) return
    this.#members.delete(pid)
    this.#members.set(pid, start)
  }

  /** The start time is read before and after, so that the descriptors were this process's own. */
  #holds(pid: number, link: string): boolean {
    return this.#alive(pid) && hasDescriptor(pid, link) && this.#alive(pid)
  }
}

function processIds(): number[] {
  return readdirSync('/proc')
    .filter((name) => /^[1-9]\d*$/.test(name))
    .map(Number)
}

/** Sockets opened last mostly have the highest numbers. A process that cannot be looked into (set-user-ID, undumpable) holds nothing as far as we can tell. */
function hasDescriptor(pid: number, link: string): boolean {
  const folder = `/proc/${pid}/fd`
  let names: string[]
  try {
    names = readdirSync(folder)
  } catch {
    return false
  }
  for (const name of names.reverse()) {
    try {
      if (readlinkSync(`${folder}/${name}`) === link) return true
    } catch {
      // Closed since it was listed.
    }
  }
  return false
}
