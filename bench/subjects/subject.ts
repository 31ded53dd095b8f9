// What is compared.
import type { Pair } from '../certificates.ts'
import type { Start } from '../processes.ts'

/** What a subject needs to know of the run. */
export interface Setting {
  readonly port: number
  readonly host: string
  readonly upstreamPort: number
  /** PEM of the authority that certified the upstream. */
  readonly authority: string
  /** A certificate for `host`, to show to the agent. */
  readonly pair: Pair
  /** A directory for files, removed after the run. */
  readonly directory: string
  /** The secret that a subject that injects one puts in. */
  readonly credential: string
}

export interface Subject {
  readonly name: string
  /** Whether the upstream must see the credential. */
  readonly injects: boolean
  /** The load asks the upstream itself, and does not know that it is turned round. */
  readonly redirected?: boolean
  /** Header lines for each of its requests, each with its line end; asked for once it is up. */
  fields?(setting: Setting): Promise<string>
  /** How it is started; undefined: there is nothing to start, the load goes to the upstream itself. */
  prepare(setting: Setting): Promise<Pick<Start, 'program' | 'args' | 'env' | 'ipc'> | undefined>
}
