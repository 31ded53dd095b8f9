// What the machine offers: its cores, and how a process spends them and the memory.
import { execFileSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { cpus, totalmem } from 'node:os'

/** Which core each process is pinned to; undefined: not pinned. */
export interface Cores {
  readonly proxy: number | undefined
  readonly load: number | undefined
  readonly upstream: number | undefined
  /** What a reader of the figures must know. */
  readonly note: string | undefined
}

/** The proxy gets a core of its own; load and upstream share the next, or have one each where there are three. */
export function shareOutCores(): Cores {
  const none = { proxy: undefined, load: undefined, upstream: undefined }
  const allowed = allowedCores()
  const [proxy, load, upstream] = allowed
  if (proxy === undefined || load === undefined)
    return {
      ...none,
      note: 'One core only: proxy, load and upstream share it; only figures per CPU second mean something.',
    }
  try {
    execFileSync('taskset', ['-c', String(proxy), 'true'], { stdio: 'ignore' })
  } catch {
    return { ...none, note: 'taskset is missing: nothing is pinned, so the figures vary more from run to run.' }
  }
  return {
    proxy,
    load,
    upstream: upstream ?? load,
    note: upstream === undefined ? 'Two cores: the proxy has one, load and upstream share the other.' : undefined,
  }
}

function allowedCores(): number[] {
  const list = readProc('/proc/self/status')?.match(/^Cpus_allowed_list:\s*(\S+)$/m)?.[1]
  if (list === undefined) return cpus().map((_, index) => index)
  return list.split(',').flatMap((range) => {
    const [first = 0, last = first] = range.split('-').map(Number)
    return Array.from({ length: last - first + 1 }, (_, index) => first + index)
  })
}

/** Seconds of CPU that the process, all its threads, has used so far; undefined where there is no /proc. */
export function cpuSeconds(pid: number): number | undefined {
  const stat = readProc(`/proc/${pid}/stat`)
  if (stat === undefined) return undefined
  // The command in brackets may hold blanks; utime and stime are fields 14 and 15, in ticks of 10 ms (proc_pid_stat(5)).
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
  return (Number(fields[11]) + Number(fields[12])) / 100
}

/** Resident megabytes of the process; undefined where there is no /proc. */
export function residentMegabytes(pid: number): number | undefined {
  const kilobytes = readProc(`/proc/${pid}/status`)?.match(/^VmRSS:\s*(\d+) kB$/m)?.[1]
  return kilobytes === undefined ? undefined : Number(kilobytes) / 1024
}

/** One line that says on what the figures were taken, without naming the machine. */
export function describeMachine(): string {
  const model = cpus()[0]?.model.trim() ?? 'unknown CPU'
  const memory = Math.round(totalmem() / 2 ** 30)
  return `${model}, ${cpus().length} cores, ${memory} GB, ${process.platform} ${process.arch}, Node.js ${process.versions.node}`
}

function readProc(path: string): string | undefined {
  try {
    return readFileSync(path, 'utf8')
  } catch {
    return undefined
  }
}
