// One line of /proc/<pid>/stat (proc_pid_stat(5)): who started a process, when, and whether it still lives.
import { readFileSync } from 'node:fs'

export interface ProcessStat {
  readonly parent: number
  readonly state: string
  /** Process group, and the foreground group of its terminal (-1: it has none). */
  readonly group: number
  readonly foregroundGroup: number
  /** Clock ticks since boot. With the pid it names one process for good: pids are used again, moments are not. */
  readonly start: number
}

/** The command name in parentheses is the process's own choice and may hold anything, `)` and spaces too; the last `)` ends it. */
export function parseStat(text: string): ProcessStat | undefined {
  const end = text.lastIndexOf(') ')
  if (end === -1) return undefined
  const fields = text.slice(end + 2).split(' ')
  const [state, parent, group, , , foregroundGroup] = fields
  const start = fields[19]
  if (state === undefined || parent === undefined || group === undefined) return undefined
  if (foregroundGroup === undefined || start === undefined || !/^[A-Za-z]$/.test(state)) return undefined
  const stat = {
    parent: Number(parent),
    state,
    group: Number(group),
    foregroundGroup: Number(foregroundGroup),
    start: Number(start),
  }
  const whole = [stat.parent, stat.group, stat.foregroundGroup, stat.start].every(Number.isSafeInteger)
  return whole ? stat : undefined
}

/** Undefined when the process is gone, or hidden from us. */
export function readStat(pid: number): ProcessStat | undefined {
  try {
    return parseStat(readFileSync(`/proc/${pid}/stat`, 'latin1'))
  } catch {
    return undefined
  }
}
