// Writes handoffs and stops down, in the words of records.

import type { VerifiedChain } from '../../policy/delegation/chain.ts'
import { type Constraint, dimension } from '../../policy/delegation/constraints.ts'
import { idOf, type Stop } from '../../policy/stop/stop.ts'
import type { DelegationEvent } from '../../proxy/identify/delegation/handoff-desk.ts'
import type { EventJournal, Handoff } from '../../proxy/record/event-journal.ts'
import type { Stop as StopRecord } from '../../proxy/record/handoff-schema.ts'
import { version } from '../version.ts'

export function handoffRecorder(journal: EventJournal): (event: DelegationEvent) => Promise<void> {
  return (event) => journal.recordHandoff(handoffOf(event))
}

function handoffOf(told: DelegationEvent): Handoff {
  const { asked } = told
  const sidecar = { version }
  switch (told.event) {
    case 'created':
      return told.handoff === undefined ? rootOf(told.chain) : childOf(told.handoff, asked)
    case 'denied':
      return {
        principal: { kind: asked.principal.kind, id: asked.principal.id },
        txn: asked.chain.txn,
        chain: chainOf(asked.chain.hops),
        delegation: {
          event: 'delegation.denied',
          from: { spiffe_id: asked.caller.id, jti: asked.chain.hops.at(-1)?.jti, svid_serial: asked.caller.serial },
          to: { spiffe_id: told.to },
          reason: `${told.refusal.reason}: ${told.refusal.detail ?? ''}`,
          sidecar,
        },
      }
    case 'revoked': {
      const { chain, jti } = told
      const at = chain.hops.findIndex((hop) => hop.jti === jti)
      const hop = chain.hops[at] ?? chain.leaf
      return {
        ...common(chain),
        delegation: {
          event: 'delegation.revoked',
          from: { spiffe_id: asked.caller.id },
          to: { spiffe_id: hop.id, jti, key_thumbprint: hop.thumbprint },
          depth: at,
          reason: `taken back by ${asked.caller.id}`,
          sidecar,
        },
      }
    }
  }
}

function rootOf(chain: VerifiedChain): Handoff {
  const { leaf, maxDepth, root } = chain
  return {
    ...common(chain),
    delegation: {
      event: 'delegation.created',
      to: { spiffe_id: leaf.id, jti: leaf.jti, key_thumbprint: leaf.thumbprint },
      depth: 0,
      max_depth: maxDepth,
      granted: {
        scopes: [...leaf.scopes],
        constraints: leaf.constraints.map(boundOf),
        expires_at: new Date(leaf.expiresAt).toISOString(),
      },
      token_digest: leaf.digest,
      root_issuer: root.issuer,
      sidecar: { version },
    },
  }
}

function childOf(
  handoff: NonNullable<Extract<DelegationEvent, { event: 'created' }>['handoff']>,
  asked: DelegationEvent['asked'],
): Handoff {
  const { parent } = handoff
  const bound = new Set(parent.leaf.constraints.map(dimension))
  return {
    ...common(parent),
    delegation: {
      event: 'delegation.created',
      from: { spiffe_id: parent.leaf.id, jti: parent.leaf.jti, svid_serial: asked.caller.serial },
      to: { spiffe_id: handoff.child, jti: handoff.jti, key_thumbprint: handoff.thumbprint },
      depth: handoff.depth,
      max_depth: handoff.maxDepth,
      granted: {
        scopes: [...handoff.scopes],
        constraints: handoff.constraints.map(boundOf),
        expires_at: new Date(handoff.expiresAt).toISOString(),
      },
      dropped: {
        scopes: parent.leaf.scopes.filter((scope) => !handoff.scopes.includes(scope)),
        constraints: handoff.constraints.filter((each) => !bound.has(dimension(each))).map(boundOf),
      },
      parent_digest: parent.leaf.digest,
      token_digest: handoff.digest,
      root_issuer: parent.root.issuer,
      ...(handoff.isSameAuthority ? { posture: 'same authority as the one who hands on' } : {}),
      sidecar: { version },
    },
  }
}

/** One of a type that is not known here is named, and no more. */
function boundOf(bound: Constraint) {
  const { key } = bound
  switch (bound.type) {
    case 'one_of':
    case 'not_one_of':
      return { key, [bound.type]: [...bound.values] }
    case 'prefix':
      return { key, prefix: bound.prefix }
    case 'rank':
      return { key, rank: bound.rank, order: [...bound.order] }
    case 'unknown':
      return { key }
    default:
      return { key, [bound.type]: bound.bound }
  }
}

function common({ principal, txn, hops }: VerifiedChain): Pick<Handoff, 'principal' | 'txn' | 'chain'> {
  return { principal, txn, chain: chainOf(hops) }
}

function chainOf(
  hops: readonly { readonly id: string; readonly scopes: readonly string[]; readonly jti?: string | undefined }[],
): Handoff['chain'] {
  return hops.map(({ id, scopes, jti }) => ({ id, scopes: [...scopes], ...(jti === undefined ? {} : { jti }) }))
}

/** Who orders a stop when an agent gives a delegation back. */
export const takenBackBy = 'the agent'

/** @param by who ordered or lifted it, such as `uid 1000` */
export function stopRecord(event: StopRecord['event'], { what, reason, until }: Stop, by: string): StopRecord {
  const [, uid] = /^uid (\d+)$/.exec(by) ?? []
  return {
    event,
    what: { kind: what.kind, ...(what.kind === 'all' ? {} : { id: idOf(what) }) },
    reason,
    by: uid === undefined ? { via: by } : { uid: Number(uid) },
    ...(until === undefined ? {} : { until: new Date(until).toISOString() }),
  }
}
