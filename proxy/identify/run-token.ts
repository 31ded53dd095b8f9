// Attests a command started by `exec`: a token made for this run and carried by the proxy URL, and the kernel's word on who sent it.
import type { SpiffeId } from '../../certs/spiffe-id.ts'
import type { Caller, Connection, ProofKind } from '../exchange.ts'
import { Refusal } from '../refusal.ts'
import type { Attestor } from './attestor.ts'
import { DELEGATION_USER } from './delegation/presented.ts'
import type { KernelFacts } from './kernel/facts.ts'
import { callersEnds } from './kernel/tcp-ends.ts'

/** User name of the proxy URL. The token is its password, since every client sends one together with a name. */
export const RUN_USER = 'run'

export interface Run {
  /** SHA-256 of the token. */
  readonly tokenDigest: Uint8Array
  /** Who the command is. */
  readonly agent: SpiffeId
  /** The user that the command runs as; undefined where there are no uids. */
  readonly uid: number | undefined
  /** Pid of the command while it runs. */
  readonly rootPid: () => number | undefined
  readonly facts: KernelFacts
}

export class RunTokenAttestor implements Attestor {
  readonly name = 'run-token'
  readonly #run: Run

  constructor(run: Run) {
    this.#run = run
  }

  /** @throws Refusal `unidentified_caller`; its detail names the check that failed */
  async attest(connection: Connection): Promise<Caller | undefined> {
    const presented = connection.proxyAuthorization?.basic()
    if (presented?.username === DELEGATION_USER) return this.#byKernel(connection, [])
    if (presented?.username !== RUN_USER) return undefined
    // The token first: without it nobody makes us look through the processes.
    if (!presented.password.matches(this.#run.tokenDigest)) refuse('run token: it is not the token of this run')
    return this.#byKernel(connection, ['run-token'])
  }

  /** A handle in place of the token is looked at later; until then the caller is known by the kernel's word alone. */
  #byKernel(connection: Connection, tokens: readonly ProofKind[]): Caller {
    const { agent, facts } = this.#run
    if (facts.limit !== undefined) {
      if (tokens.length === 0) refuse('a handle alone proves nobody: send it in Delegation-Ref, besides the run token')
      return { id: agent, proofs: tokens }
    }
    const { uid, pid } = this.#process(connection)
    const { executable, container } = facts.process(pid) ?? {}
    return {
      id: agent,
      proofs: ['kernel', ...tokens],
      uid,
      pid,
      ...(executable === undefined ? {} : { executable }),
      ...(container === undefined ? {} : { container }),
    }
  }

  /** The kernel's word: the same user as the command, and one of its processes. */
  #process(connection: Connection): { readonly uid: number; readonly pid: number } {
    const { facts } = this.#run
    const root = this.#run.rootPid()
    if (root === undefined) refuse('kernel: the command does not run')
    const ends = callersEnds(connection)
    if (ends === undefined) {
      const peer = connection.peer
      if (peer === undefined) refuse('kernel: it says nothing of the caller’s socket')
      this.#sameUser(peer.uid)
      if (!facts.descends(peer.pid, root)) refuse(`kernel: process ${peer.pid} does not descend from the command`)
      return peer
    }
    const owner = facts.socketOwner(ends)
    if (owner === undefined) refuse('kernel: no process holds the caller’s socket any more')
    this.#sameUser(owner.uid)
    const pid = facts.holderOf(owner.inode, root)
    if (pid === undefined)
      refuse('kernel: the process that holds the caller’s socket does not descend from the command')
    return { uid: owner.uid, pid }
  }

  #sameUser(uid: number): void {
    if (uid !== this.#run.uid) refuse(`kernel: the caller runs as uid ${uid}, the command as uid ${this.#run.uid}`)
  }
}

function refuse(detail: string): never {
  throw new Refusal('unidentified_caller', { detail })
}
