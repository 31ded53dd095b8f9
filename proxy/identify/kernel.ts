// Attests by the kernel's word alone: the user that holds the caller's socket, mapped to a SPIFFE ID by configuration.
import type { SpiffeId } from '../../certs/spiffe-id.ts'
import type { Caller, Connection } from '../exchange.ts'
import type { Attestor } from './attestor.ts'
import type { KernelFacts } from './kernel/facts.ts'
import { callersEnds } from './kernel/tcp-ends.ts'

export class KernelAttestor implements Attestor {
  readonly name = 'kernel'
  readonly #uids: ReadonlyMap<number, SpiffeId>
  readonly #facts: Pick<KernelFacts, 'socketOwner' | 'executable'>
  readonly #others: SpiffeId | undefined

  /**
   * @param uids who each user is
   * @param others who every user is that is not named there; undefined: nobody
   */
  constructor(
    uids: ReadonlyMap<number, SpiffeId>,
    facts: Pick<KernelFacts, 'socketOwner' | 'executable'>,
    others?: SpiffeId,
  ) {
    this.#uids = uids
    this.#facts = facts
    this.#others = others
  }

  /** Undefined when the kernel says nothing of the peer, or its user is not mapped. */
  async attest(connection: Connection): Promise<Caller | undefined> {
    const ends = callersEnds(connection)
    const uid = ends === undefined ? connection.peer?.uid : this.#facts.socketOwner(ends)?.uid
    const id = uid === undefined ? undefined : (this.#uids.get(uid) ?? this.#others)
    if (uid === undefined || id === undefined) return undefined
    const pid = connection.peer?.pid
    if (pid === undefined || pid === 0) return { id, proofs: ['kernel'], uid }
    const executable = this.#facts.executable(pid)
    return { id, proofs: ['kernel'], uid, pid, ...(executable === undefined ? {} : { executable }) }
  }
}
