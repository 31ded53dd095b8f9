// What the kernel says of a process that asks the embedded authority for its identity.
import type { Socket } from 'node:net'
import type { Peer } from '../../certs/workload-api/registration.ts'
import { kernelFacts } from '../../proxy/identify/kernel/facts.ts'
import { peerCredentials } from '../../proxy/identify/kernel/peer.ts'

/** Without the executable where processes cannot be told: what is not known, nobody has. */
export function workloadPeers(): (socket: Socket) => Peer | undefined {
  const { limit, executable } = kernelFacts()
  return (socket) => {
    const peer = peerCredentials(socket)
    if (peer === undefined) return undefined
    const { uid, pid } = peer
    const path = limit === undefined && pid > 0 ? executable(pid) : undefined
    return { uid, pid, ...(path === undefined ? {} : { executable: path }) }
  }
}
