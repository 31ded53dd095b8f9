// What it takes to open a way to a host, whether it was asked for by CONNECT or the connection was redirected.
import type { Socket } from 'node:net'
import type { Caller, Captured, Connection } from '../exchange.ts'
import type { Refusal } from '../refusal.ts'
import type { Leaves } from './terminate.ts'

/** Tells who asks, and whether anything could be allowed to them there. Throws a Refusal when nobody can be told. */
export type Admit = (
  connection: Connection,
  host: string,
  port: number,
) => Promise<{ readonly caller: Caller; readonly reach: 'none' | 'inspect' | 'opaque' }>

export interface Attempt {
  readonly id: string
  readonly socket: Socket
  readonly connection: Connection
  readonly now: number
  readonly leaves: Leaves
  /** Milliseconds. */
  readonly patience: number
  readonly admit: Admit
  /** Throws a Refusal when the caller has had leaves made for too many hosts. */
  readonly mayMint: (caller: Caller, host: string) => void
  /** Takes the whole connection over, and answers. */
  readonly opaque: (captured: Captured) => Promise<void>
  readonly failed: (host: string | undefined, caller: Caller | undefined, refusal: Refusal) => void
}
