// Whether somebody has ordered a stop that concerns an exchange: its agents, whom they act for, or what it uses.
import type { StopList } from '../../policy/stop/list.ts'
import { describeStopped, type Stop } from '../../policy/stop/stop.ts'
import type { Authorized, Identified } from '../exchange.ts'
import { Refusal } from '../refusal.ts'

export type Stops = Pick<StopList, 'isEmpty' | 'all' | 'find'>

/**
 * Asked before anything else, so that it needs neither identity nor policy.
 * @throws Refusal `revoked` when everything is stopped
 */
export function refuseAllStopped({ all }: Stops): void {
  if (all !== undefined) throw refusalOf(all)
}

/** @throws Refusal `revoked` */
export function refuseStopped(exchange: Identified & Partial<Authorized>, stops: Stops, now: number): void {
  if (stops.isEmpty) return
  const { caller, principal, chain, grant, destination } = exchange
  const stop = stops.find(
    {
      agents: [
        caller.id,
        ...(caller.attested === undefined ? [] : [caller.attested]),
        ...chain.hops.map(({ id }) => id),
      ],
      principal,
      txn: chain.txn,
      delegations: chain.hops.flatMap(({ jti }) => jti ?? []),
      credential: grant?.credential,
      destination: destination?.name,
    },
    now,
  )
  if (stop !== undefined) throw refusalOf(stop)
}

function refusalOf({ id, what, reason }: Stop): Refusal {
  return new Refusal('revoked', { detail: `stop ${id} of ${describeStopped(what)}: ${reason}` })
}
