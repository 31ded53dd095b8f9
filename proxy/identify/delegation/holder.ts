// To whom a handle is bound: to a workload that proves its SPIFFE ID itself, or to one process and what it starts.
import type { SpiffeId } from '../../../certs/spiffe-id.ts'
import type { Caller, Connection } from '../../exchange.ts'
import type { KernelFacts } from '../kernel/facts.ts'
import { readStat } from '../kernel/process-stat.ts'
import { ProcessTree } from '../kernel/process-tree.ts'
import { callersEnds } from '../kernel/tcp-ends.ts'

export interface Holder {
  /** What the caller must be attested as. */
  readonly id: SpiffeId
  /** The process that it must descend from, where the kernel tells processes. */
  readonly process: { readonly pid: number; readonly tree: ProcessTree } | undefined
}

/**
 * Binds to the process that asks, and all that it will have started. Where the kernel does not tell which that is, to
 * whatever is attested by the same ID.
 * @param parent bind to the process that started it instead: for a program that asks on behalf of who called it, and ends
 */
export function holderBelow(
  { id, pid }: Caller,
  connection: Connection,
  facts: Pick<KernelFacts, 'socketOwner'>,
  parent: boolean,
): Holder {
  const asking = pid ?? pidBehind(connection, facts)
  const root = parent && asking !== undefined ? (readStat(asking)?.parent ?? asking) : asking
  // Without a reaper: an orphan that somebody else inherited could be anybody's.
  return { id, process: root === undefined ? undefined : { pid: root, tree: new ProcessTree(root, undefined) } }
}

/** Every process that may be looked into descends from the first. */
function pidBehind(connection: Connection, facts: Pick<KernelFacts, 'socketOwner'>): number | undefined {
  const ends = callersEnds(connection)
  const inode = ends && facts.socketOwner(ends)?.inode
  return inode === undefined ? undefined : new ProcessTree(1, undefined).holderOf(inode)
}

/** Why the caller is not the holder; undefined: it is. */
export function holderProblem(
  { id, process }: Holder,
  caller: Caller,
  connection: Connection,
  facts: Pick<KernelFacts, 'socketOwner'>,
): string | undefined {
  if (caller.id !== id) return `it is held by ${id}, and ${caller.id} presents it`
  if (process === undefined) return undefined
  const descends = isBelow(process.tree, connection, facts)
  return descends ? undefined : `the caller does not descend from process ${process.pid}, which holds it`
}

function isBelow(tree: ProcessTree, connection: Connection, facts: Pick<KernelFacts, 'socketOwner'>): boolean {
  const ends = callersEnds(connection)
  if (ends === undefined) return connection.peer !== undefined && tree.has(connection.peer.pid)
  const inode = facts.socketOwner(ends)?.inode
  return inode !== undefined && tree.holderOf(inode) !== undefined
}
