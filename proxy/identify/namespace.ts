// Attests a command that `exec` keeps in a network namespace of its own: nobody else can reach a listener that was opened in there.
import type { SpiffeId } from '../../certs/spiffe-id.ts'
import type { Caller, Connection, ProofKind } from '../exchange.ts'
import { Refusal } from '../refusal.ts'
import type { Attestor } from './attestor.ts'
import type { KernelFacts } from './kernel/facts.ts'
import { callersEnds } from './kernel/tcp-ends.ts'
import { RUN_USER } from './run-token.ts'

export interface IsolatedRun {
  /** SHA-256 of the token in the proxy URL. */
  readonly tokenDigest: Uint8Array
  /** Who the command is. */
  readonly agent: SpiffeId
  /** Pid of the command while it runs. */
  readonly rootPid: () => number | undefined
  /** Of the namespace. */
  readonly facts: Pick<KernelFacts, 'socketOwner' | 'holderOf' | 'process'>
}

export class NamespaceAttestor implements Attestor {
  readonly name = 'namespace'
  readonly #run: IsolatedRun

  constructor(run: IsolatedRun) {
    this.#run = run
  }

  /**
   * The process is told where it can be; one that cannot be looked into is in the namespace all the same.
   * @throws Refusal `unidentified_caller` when a run token is presented, and it is another run's
   */
  async attest(connection: Connection): Promise<Caller> {
    const { agent, tokenDigest } = this.#run
    const tokens: ProofKind[] = []
    const presented = connection.proxyAuthorization?.basic()
    if (presented?.username === RUN_USER) {
      if (!presented.password.matches(tokenDigest))
        throw new Refusal('unidentified_caller', { detail: 'run token: it is not the token of this run' })
      tokens.push('run-token')
    }
    const seen = this.#process(connection)
    const kernel: ProofKind[] = seen?.pid === undefined ? [] : ['kernel']
    return { id: agent, proofs: ['namespace', ...kernel, ...tokens], ...seen }
  }

  #process(connection: Connection): Pick<Caller, 'uid' | 'pid' | 'executable' | 'container'> | undefined {
    const { facts, rootPid } = this.#run
    const ends = callersEnds(connection)
    const owner = ends && facts.socketOwner(ends)
    if (owner === undefined) return undefined
    const { uid, inode } = owner
    const root = rootPid()
    const pid = root === undefined ? undefined : facts.holderOf(inode, root)
    if (pid === undefined) return { uid }
    const { executable, container } = facts.process(pid) ?? {}
    return {
      uid,
      pid,
      ...(executable === undefined ? {} : { executable }),
      ...(container === undefined ? {} : { container }),
    }
  }
}
