// What the kernel says of a caller, in the words that attestors need. All of it is asked at the time of use.
import { readFileSync, readlinkSync } from 'node:fs'
import { nativeCalls } from './native.ts'
import { ownerInTable, tablesFor } from './proc-net.ts'
import { type ProcessFacts, processFacts } from './process.ts'
import { ProcessTree } from './process-tree.ts'
import { diagnosisAnswer, diagnosisRequest, type SocketOwner } from './sock-diag.ts'
import type { TcpEnds } from './tcp-ends.ts'

export interface KernelFacts {
  /** Why processes cannot be told here; undefined when they can. */
  readonly limit: string | undefined
  /** Who holds the socket at the caller's end. Undefined when nobody does any more, or it cannot be told. */
  socketOwner(ends: TcpEnds): SocketOwner | undefined
  /** The process of the tree below `root` that holds this socket. */
  holderOf(inode: number, root: number): number | undefined
  /** Whether a process belongs to the tree below `root`. */
  descends(pid: number, root: number): boolean
  /** Path of what a process executes. */
  executable(pid: number): string | undefined
  /** What a process is; undefined when it is gone, or its number another's by the time that all was read. */
  process(pid: number): ProcessFacts | undefined
}

/** Another network namespace, whose sockets nobody sees from here. */
export interface Elsewhere {
  /** A descriptor of ours, of a socket to the kernel's diagnosis that was opened in there; undefined where it could not be had. */
  readonly diagnosis: number | undefined
  /** A process in there. */
  readonly pid: () => number | undefined
}

/**
 * The facts of this machine, as this process may see them.
 * @param reaper this process's pid, once it has become the one that inherits a command's orphans
 * @param elsewhere where the sockets of callers are, unless here
 */
export function kernelFacts(reaper?: number, elsewhere?: Elsewhere): KernelFacts {
  const limit = whyProcessesCannotBeTold()
  let sequence = 0
  /** Whether the kernel has ever told of a socket by diagnosis. */
  let diagnoses = false
  let tree: { readonly root: number; readonly processes: ProcessTree } | undefined

  function treeBelow(root: number): ProcessTree {
    if (tree?.root !== root) tree = { root, processes: new ProcessTree(root, reaper) }
    return tree.processes
  }

  return {
    limit,
    socketOwner(ends) {
      sequence = (sequence + 1) >>> 0
      const asked = elsewhere === undefined || elsewhere.diagnosis !== undefined
      const answer = asked
        ? nativeCalls()?.socketDiagnosis(diagnosisRequest(ends, sequence), elsewhere?.diagnosis)
        : undefined
      const owner = answer && diagnosisAnswer(answer, ends, sequence)
      if (owner !== undefined) diagnoses = true
      // A kernel without tcp_diag answers as if there were no such socket; only there its tables have the last word, of
      // which reading takes the longer the more sockets there are.
      if (owner !== undefined || diagnoses) return owner
      return ownerInTables(ends, elsewhere === undefined ? 'self' : elsewhere.pid())
    },
    holderOf: (inode, root) => (limit === undefined ? treeBelow(root).holderOf(inode) : undefined),
    descends: (pid, root) => limit === undefined && treeBelow(root).has(pid),
    executable(pid) {
      try {
        return readlinkSync(`/proc/${pid}/exe`)
      } catch {
        return undefined
      }
    },
    process: (pid) => (limit === undefined ? processFacts(pid) : undefined),
  }
}

/** @param of the process whose network namespace it is */
function ownerInTables(ends: TcpEnds, of: number | 'self' | undefined): SocketOwner | undefined {
  if (of === undefined) return undefined
  for (const name of tablesFor(ends)) {
    try {
      const owner = ownerInTable(readFileSync(`/proc/${of}/net/${name}`, 'latin1'), name, ends)
      if (owner !== undefined) return owner
    } catch {
      // No such table: no IPv6, or no /proc.
    }
  }
  return undefined
}

function whyProcessesCannotBeTold(): string | undefined {
  if (process.platform !== 'linux') return `${process.platform} does not tell whose socket it is`
  try {
    // A /proc of another pid namespace would speak of other processes under the same numbers.
    const self = readlinkSync('/proc/self')
    return self === String(process.pid) ? undefined : '/proc belongs to another pid namespace'
  } catch {
    return '/proc cannot be read'
  }
}
