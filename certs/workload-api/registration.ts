// Which process gets which identity from the embedded authority, by what the kernel says of it.
import type { SpiffeId } from '../spiffe-id.ts'

/** What the kernel says of a process that has connected. */
export interface Peer {
  readonly uid: number
  readonly pid?: number
  /** Path of what it executes. */
  readonly executable?: string
}

/** An identity, and the processes that get it: those for which everything that is named here holds. */
export interface Registration {
  readonly id: SpiffeId
  readonly hint?: string | undefined
  readonly uid?: number | undefined
  readonly pid?: number | undefined
  readonly executable?: string | undefined
}

/** A registration that names nothing is nobody's; a peer of whom something is not known does not have it. */
export function matches({ uid, pid, executable }: Registration, peer: Peer | undefined): boolean {
  if (peer === undefined || (uid === undefined && pid === undefined && executable === undefined)) return false
  return (
    (uid === undefined || uid === peer.uid) &&
    (pid === undefined || pid === peer.pid) &&
    (executable === undefined || executable === peer.executable)
  )
}
