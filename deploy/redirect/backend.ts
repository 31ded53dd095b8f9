// What the command needs of a program that puts rules into the kernel, and how it fails.
import type { Counter } from './nft-ruleset.ts'
import type { Plan } from './plan.ts'

export interface Backend {
  /** `nft`, or which of the iptables programs. */
  readonly name: string
  /** What would be handed to the program. */
  script(plan: Plan): string
  /** Our rules as the kernel has them, without counts; undefined when there are none. */
  inForce(): string | undefined
  /** What `inForce` would say had this plan been installed. */
  expected(plan: Plan): string
  /** Puts the rules in place of whatever of ours there was: all of them, or none and an error. */
  apply(plan: Plan): void
  /** Takes away what `apply` made and nothing else. */
  remove(): void
  counts(): Readonly<Partial<Record<Counter, number>>>
}

export class RedirectError extends Error {
  /** `permission`: a capability is missing; `missing`: a program or a part of the kernel is. */
  readonly kind: 'permission' | 'missing' | 'failed'

  constructor(kind: RedirectError['kind'], message: string) {
    super(message)
    this.kind = kind
  }
}
