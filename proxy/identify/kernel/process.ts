// What one process is, all of it at one moment: nothing is told of a process that ended, or began, meanwhile.
import { readlinkSync } from 'node:fs'
import { containerOf } from './cgroup.ts'
import { readStat } from './process-stat.ts'

export interface ProcessFacts {
  /** Clock ticks since boot; with the pid it names one process for good. */
  readonly start: number
  /** Path of what it executes, as its own file system names it. */
  readonly executable: string | undefined
  /** Whether it sees the files that we see, so that the path means the same here. */
  readonly sameFiles: boolean
  /** Id of its container: 64 hex digits. */
  readonly container: string | undefined
}

/** The mount namespace of this process, which it never leaves. */
let ourFiles: string | undefined

/** Undefined when there is no such process, or another one under its number by the time that all was read. */
export function processFacts(pid: number): ProcessFacts | undefined {
  const start = readStat(pid)?.start
  if (start === undefined) return undefined
  const executable = link(`/proc/${pid}/exe`)
  const files = link(`/proc/${pid}/ns/mnt`)
  ourFiles ??= link('/proc/self/ns/mnt')
  const sameFiles = files !== undefined && files === ourFiles
  const container = containerOf(pid)
  return readStat(pid)?.start === start ? { start, executable, sameFiles, container } : undefined
}

function link(path: string): string | undefined {
  try {
    return readlinkSync(path)
  } catch {
    return undefined
  }
}
