// Attests by the kernel's word alone: the container, program or user that holds the caller's socket, mapped to a SPIFFE ID by configuration.
import type { SpiffeId } from '../../certs/spiffe-id.ts'
import type { Caller, Connection } from '../exchange.ts'
import { Refusal } from '../refusal.ts'
import type { Attestor } from './attestor.ts'
import type { KernelFacts } from './kernel/facts.ts'
import type { ProcessFacts } from './kernel/process.ts'
import { callersEnds } from './kernel/tcp-ends.ts'

/** Who is whom, the narrowest first. What is nowhere named is nobody. */
export interface KernelMapping {
  /** By the container's id, or its beginning. */
  readonly containers?: ReadonlyMap<string, SpiffeId>
  /** By the path of the program that the process runs. */
  readonly executables?: ReadonlyMap<string, SpiffeId>
  readonly uids?: ReadonlyMap<number, SpiffeId>
  /** Everybody else on this machine. */
  readonly others?: SpiffeId | undefined
}

export type AskedOfKernel = Pick<KernelFacts, 'socketOwner' | 'holderOf' | 'process'>

/** The process from which all others of a machine, or of a pid namespace, descend. */
const init = 1

export class KernelAttestor implements Attestor {
  readonly name = 'kernel'
  readonly #mapping: KernelMapping
  readonly #facts: AskedOfKernel
  /** Whether it matters which process it is, and not only whose. */
  readonly #byProcess: boolean

  constructor(mapping: KernelMapping, facts: AskedOfKernel) {
    this.#mapping = mapping
    this.#facts = facts
    this.#byProcess = (mapping.containers?.size ?? 0) + (mapping.executables?.size ?? 0) > 0
  }

  /**
   * Undefined when the kernel says nothing of the peer, or maps it to nobody.
   * @throws Refusal `unidentified_caller` where processes are mapped and the caller's cannot be told: it could be any of them
   */
  async attest(connection: Connection): Promise<Caller | undefined> {
    const seen = this.#see(connection)
    if (seen === undefined) return undefined
    const { uid, pid, process } = seen
    const id = this.#idOf(uid, process)
    if (id === undefined) return undefined
    const { executable, container } = process ?? {}
    return {
      id,
      proofs: ['kernel'],
      uid,
      ...(pid === undefined ? {} : { pid }),
      ...(executable === undefined ? {} : { executable }),
      ...(container === undefined ? {} : { container }),
    }
  }

  #see(connection: Connection): { uid: number; pid?: number; process?: ProcessFacts } | undefined {
    const ends = callersEnds(connection)
    if (ends === undefined) return this.#peer(connection.peer)
    const owner = this.#facts.socketOwner(ends)
    if (owner === undefined) return undefined
    // Looking for the process means looking into all of them, so it is done only where it matters.
    if (!this.#byProcess) return { uid: owner.uid }
    const pid = this.#facts.holderOf(owner.inode, init)
    const process = pid === undefined ? undefined : this.#facts.process(pid)
    // Still the holder, so what was read in between was its own.
    if (pid === undefined || process === undefined || this.#facts.holderOf(owner.inode, init) !== pid)
      refuse('the process that holds the caller’s socket cannot be told')
    return { uid: owner.uid, pid, process }
  }

  #peer(peer: Connection['peer']): { uid: number; pid?: number; process?: ProcessFacts } | undefined {
    if (peer === undefined) return undefined
    const { uid, pid, start } = peer
    const process = pid === 0 ? undefined : this.#facts.process(pid)
    const same = process !== undefined && (start === undefined || process.start === start)
    if (this.#byProcess && (!same || start === undefined))
      refuse('the process that connected has gone, or cannot be looked at')
    if (pid === 0) return { uid }
    return same ? { uid, pid, process } : { uid, pid }
  }

  #idOf(uid: number, process: ProcessFacts | undefined): SpiffeId | undefined {
    const { containers, executables, uids, others } = this.#mapping
    const { container, executable, sameFiles } = process ?? {}
    if (container !== undefined) {
      for (const [beginning, id] of containers ?? []) if (container.startsWith(beginning)) return id
    }
    // Under the same path a container has another program.
    const program = executable !== undefined && sameFiles === true ? executables?.get(executable) : undefined
    return program ?? uids?.get(uid) ?? others
  }
}

function refuse(detail: string): never {
  throw new Refusal('unidentified_caller', { detail: `kernel: ${detail}` })
}
