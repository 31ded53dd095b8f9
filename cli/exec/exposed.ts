// Which processes above this one still show a secret in their environment, where the command could read it too.
import { readFileSync } from 'node:fs'
import { readStat } from '../../proxy/identify/kernel/process-stat.ts'

export interface Exposure {
  readonly pid: number
  readonly program: string
  /** Names of the variables, sorted. */
  readonly variables: readonly string[]
}

/**
 * A shell, `npm run` or a launcher that handed us a secret keeps it for as long as it lives, and the kernel shows it to
 * every process of the same user.
 * @param names variables that hold secrets
 */
export function exposedAbove(names: ReadonlySet<string>, parent = process.ppid): Exposure[] {
  if (names.size === 0) return []
  const found: Exposure[] = []
  for (let pid = parent; pid > 0; pid = readStat(pid)?.parent ?? 0) {
    const variables = variablesOf(pid).filter((name) => names.has(name))
    if (variables.length > 0) found.push({ pid, program: programOf(pid), variables: variables.sort() })
  }
  return found
}

/** Names that have a value in the environment with which a process was started; none when it cannot be read. */
function variablesOf(pid: number): string[] {
  return read(pid, 'environ')
    .split('\0')
    .filter((entry) => /^[^=]+=./s.test(entry))
    .map((entry) => entry.slice(0, entry.indexOf('=')))
}

const programOf = (pid: number): string => read(pid, 'comm').trim()

function read(pid: number, file: string): string {
  try {
    return readFileSync(`/proc/${pid}/${file}`, 'latin1')
  } catch {
    return ''
  }
}
