// Why a delegation chain is refused: one closed list, in the order in which a chain is verified.

/** `step`: which of the ten steps refuses. `outcome`: its name in the agent delegation chain draft, where that has one. */
export const chainReasons = {
  chain_malformed: { step: 1, outcome: 'malformed' },
  chain_non_canonical: { step: 1, outcome: 'non_canonical' },
  chain_duplicate_member: { step: 1, outcome: 'duplicate_member' },
  chain_non_finite: { step: 1, outcome: 'non_finite' },
  chain_signature_invalid: { step: 2, outcome: 'signature_invalid' },
  chain_par_hash_mismatch: { step: 3, outcome: 'par_hash_mismatch' },
  chain_depth_invalid: { step: 4, outcome: 'depth_invalid' },
  chain_principal_altered: { step: 5, outcome: 'principal_altered' },
  chain_loop: { step: 5, outcome: undefined },
  chain_not_narrower: { step: 6, outcome: 'not_narrower' },
  chain_expired: { step: 7, outcome: 'expired' },
  chain_revoked: { step: 8, outcome: 'revoked' },
  chain_status_unknown: { step: 8, outcome: 'status_unknown' },
  chain_holder_binding_failed: { step: 9, outcome: 'holder_binding_failed' },
  chain_audience_mismatch: { step: 10, outcome: 'audience_mismatch' },
  chain_scope_not_granted: { step: 10, outcome: 'scope_not_granted' },
  chain_ceiling_exceeded: { step: 10, outcome: 'ceiling_exceeded' },
  chain_unknown_constraint: { step: 10, outcome: 'unknown_constraint' },
} as const

export type ChainReason = keyof typeof chainReasons

export class ChainError extends Error {
  override readonly name = 'ChainError'
  readonly reason: ChainReason
  /** 1 to 10. */
  readonly step: number
  /** Index of the token at fault, 0 the root; undefined: the chain as a whole. */
  readonly hop: number | undefined
  /** For the record; repeats nothing of a token that has not been verified. */
  readonly detail: string

  constructor(reason: ChainReason, detail: string, hop?: number) {
    super(`${reason}${hop === undefined ? '' : ` at hop ${hop}`}: ${detail}`)
    this.reason = reason
    this.step = chainReasons[reason].step
    this.hop = hop
    this.detail = detail
  }

  /** The outcome as the draft names it. */
  get outcome(): string | undefined {
    return chainReasons[this.reason].outcome
  }
}

/** @throws ChainError always; where reading of one token fails, before it is known which hop that is */
export function malformed(detail: string): never {
  throw new ChainError('chain_malformed', detail)
}
