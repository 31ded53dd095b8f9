// Adopts the command's orphans, so that daemons still descend from it, and buries them when they die.
import { readdirSync } from 'node:fs'
import { nativeCalls } from '../../proxy/identify/kernel/native.ts'
import { readStat } from '../../proxy/identify/kernel/process-stat.ts'

const INTERVAL = 10_000

export interface Orphanage {
  close(): void
}

/** Undefined where orphans go to somebody else: then a daemon is known only if it called before its parent ended. */
export function adoptOrphans(interval = INTERVAL): Orphanage | undefined {
  if (nativeCalls()?.becomeSubreaper() !== true) return undefined
  let before = new Set<string>()
  // Node waits for the children that it started itself, at once. Who is still dead at the second look is not among them.
  const timer = setInterval(() => {
    const dead = deadChildren()
    for (const [key, pid] of dead) if (before.has(key)) nativeCalls()?.reap(pid)
    before = new Set(dead.keys())
  }, interval).unref()
  return { close: () => clearInterval(timer) }
}

function deadChildren(): Map<string, number> {
  const dead = new Map<string, number>()
  for (const name of readdirSync('/proc')) {
    if (!/^[1-9]\d*$/.test(name)) continue
    const stat = readStat(Number(name))
    if (stat?.state === 'Z' && stat.parent === process.pid) dead.set(`${name} ${stat.start}`, Number(name))
  }
  return dead
}
