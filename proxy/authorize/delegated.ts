// Whether a delegation covers a request: audience, bounds and totals. What scopes a request needs, the rules say.
import { checkAction, type Ledger } from '../../policy/delegation/action.ts'
import { ChainError } from '../../policy/delegation/error.ts'
import { checkRevocations, type Revocations } from '../../policy/delegation/hold.ts'
import { isCurrent } from '../../policy/delegation/verified-chains.ts'
import type { Identified } from '../exchange.ts'
import { Refusal } from '../refusal.ts'

/** What delegated requests are held to. */
export interface Delegated {
  /** The name of this enforcement point. */
  readonly audience: string
  readonly revocations: Revocations
  readonly ledger: Ledger
}

/** @throws Refusal `chain_audience_mismatch`, `chain_ceiling_exceeded`, `chain_unknown_constraint` */
export function refuseBeyondDelegation({ delegation, method, target }: Identified, by: Delegated): void {
  if (delegation === undefined) return
  const { scheme, host, port, path } = target
  const facts = { scheme, host, port, path, method }
  inWords(() => checkAction(delegation, { audience: by.audience, scopes: [], facts }, by.ledger))
}

/**
 * For what is under way.
 * @throws Refusal `chain_expired`, `chain_revoked`, `chain_status_unknown`
 */
export function refuseEndedDelegation({ delegation }: Identified, by: Delegated, now: number): void {
  if (delegation === undefined) return
  const { chain } = delegation
  if (!isCurrent(chain, now)) throw new Refusal('chain_expired', { detail: 'the delegation has ended meanwhile' })
  inWords(() => checkRevocations(chain, by.revocations))
}

function inWords(check: () => void): void {
  try {
    check()
  } catch (error) {
    if (!(error instanceof ChainError)) throw error
    const { reason, hop, detail } = error
    throw new Refusal(reason, { detail: hop === undefined ? detail : `hop ${hop + 1}: ${detail}`, cause: error })
  }
}
