// The delegations that agents here hold by a handle. What signs for an agent stays with us; it sees the handle alone.
import { randomBytes } from 'node:crypto'
import type { VerifiedChain } from '../../../policy/delegation/chain.ts'
import type { DelegationKey } from '../../../policy/delegation/keys.ts'
import type { Secret } from '../../secret.ts'
import type { Holder } from './holder.ts'

/** Delegations held at once; the one that ends first makes room. */
export const mostHeld = 10_000

export interface Held {
  readonly chain: VerifiedChain
  /** Signs what the leaf hands on; undefined: it is elsewhere, and nothing can be handed on. */
  readonly key: DelegationKey | undefined
  readonly holder: Holder
  /** The verified token of the user at the root, where there is one. */
  readonly userToken: Secret | undefined
}

export class HeldDelegations {
  readonly #byHandle = new Map<string, Held>()
  #begun = false

  get size(): number {
    return this.#byHandle.size
  }

  /** Whether a handle was ever given out. Who held one may go on without it when it is over. */
  get begun(): boolean {
    return this.#begun
  }

  /** @returns the handle: 256 random bits, base64url */
  keep(held: Held, now: number): string {
    if (this.#byHandle.size >= mostHeld) this.#makeRoom(now)
    const handle = randomBytes(32).toString('base64url')
    this.#byHandle.set(handle, held)
    this.#begun = true
    return handle
  }

  /** Undefined: it never was one, or what it stood for is over. */
  find(handle: string): Held | undefined {
    return this.#byHandle.get(handle)
  }

  /** Those whose chain has this `jti` in it: the delegation itself and what was handed on of it. */
  through(jti: string): readonly Held[] {
    return [...this.#byHandle.values()].filter(({ chain }) => chain.hops.some((hop) => hop.jti === jti))
  }

  /** Forgets what is over. */
  sweep(now: number): void {
    for (const [handle, { chain }] of this.#byHandle) if (chain.expiresAt <= now) this.#byHandle.delete(handle)
  }

  #makeRoom(now: number): void {
    this.sweep(now)
    if (this.#byHandle.size < mostHeld) return
    const ends = ([, { chain }]: readonly [string, Held]) => chain.expiresAt
    const [first] = [...this.#byHandle].reduce((one, other) => (ends(other) < ends(one) ? other : one))
    this.#byHandle.delete(first)
  }
}
