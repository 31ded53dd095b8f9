// Keeps this process's memory and environment from others of the same user, above all from the command that it starts.
import { nativeCalls } from '../proxy/identify/kernel/native.ts'
import { CommandError, exit } from './exit.ts'
import { openings } from './openings.ts'

export interface Protection {
  /** Why this process can be looked into all the same; undefined when it cannot. */
  readonly gap: string | undefined
}

/** This process was started so that its memory could be read, or is written out. */
export class MemoryOpen extends CommandError {
  override readonly name = 'MemoryOpen'

  constructor(ways: readonly string[]) {
    super(exit.config, `refusing to hold secrets in a process that others can look into: ${ways.join('; ')}.`)
  }
}

/**
 * To be called before a secret is read. Afterwards /proc/<pid>/{environ,mem,fd,…} belong to root, and no process of
 * the same user can attach a debugger (ptrace(2), prctl(2) PR_SET_DUMPABLE); there are no core dumps either.
 * @throws MemoryOpen where Node.js itself shows what it holds, by how it was started
 */
export function protectProcess(): Protection {
  // Node opens its inspector on SIGUSR1, which any process of the same user may send; a listener takes its place.
  process.on('SIGUSR1', () => undefined)
  const inspector = process.features.inspector ? process.getBuiltinModule('node:inspector').url() : undefined
  const ways = openings({ options: process.execArgv, environment: process.env, inspector })
  if (ways.length > 0) throw new MemoryOpen(ways)
  if (process.platform !== 'linux') return { gap: undefined }
  if (nativeCalls()?.becomeUndumpable() !== true) return { gap: 'this Node.js cannot close itself to other processes' }
  if (process.getuid?.() === 0) return { gap: 'root can look into every process' }
  return { gap: undefined }
}

/** Takes secrets out of what the kernel shows as /proc/<pid>/environ, to root too. Copy them before. */
export function blankVariables(names: Iterable<string>): void {
  for (const name of names) {
    nativeCalls()?.blankVariable(name)
    delete process.env[name]
  }
}
