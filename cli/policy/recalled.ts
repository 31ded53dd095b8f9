// What a record says of the question that the policy was asked, and of the answer it gave.
import type { SpiffeId } from '../../certs/spiffe-id.ts'
import type { Recalled } from '../../policy/replay.ts'
import { doorHost } from '../../proxy/door/door.ts'
import type { AuditRecord } from '../../proxy/record/line.ts'

/** As it was decided then. */
export interface Was {
  readonly verdict: 'allow' | 'deny'
  readonly rule: string | undefined
  /** Of a denial. */
  readonly reason: string | undefined
  readonly destination: string | undefined
  readonly credential: string | undefined
}

export type Recollection =
  | { readonly kind: 'asked'; readonly recalled: Recalled; readonly was: Was }
  /** A connection that was turned away before a request, since no rule could have allowed one. */
  | { readonly kind: 'unreachable'; readonly caller: SpiffeId; readonly host: string }
  /** The rules were not asked, or somebody else decided. */
  | { readonly kind: 'unasked' }
  /** The proxy itself was asked. */
  | { readonly kind: 'door' }

const unasked: Recollection = { kind: 'unasked' }

/**
 * @param id reads SPIFFE IDs; throws where text is none
 * @returns undefined for what is no request
 */
export function recollect(record: AuditRecord, id: (text: string) => SpiffeId): Recollection | undefined {
  const { kind, caller, principal, destination, request, decision, credential } = record
  if (kind === 'connection') {
    const turnedAway = record.refusal?.reason === 'no_rule' && caller !== undefined && destination !== undefined
    return turnedAway ? { kind: 'unreachable', caller: id(caller.spiffe_id), host: destination.host } : unasked
  }
  if (kind !== 'request' && kind !== 'tunnel') return undefined
  if (destination?.host === doorHost) return { kind: 'door' }
  if (decision === undefined || caller === undefined || principal === undefined || request === undefined) return unasked
  if (destination?.scheme === undefined || destination.port === undefined) return unasked
  const hops = record.chain ?? []
  const { method, path, query_keys: queryKeys } = request
  return {
    kind: 'asked',
    recalled: {
      now: Date.parse(record.time),
      caller: { id: id(caller.spiffe_id), proofs: caller.proofs },
      principal,
      chain: {
        depth: Math.max(0, hops.length - 1),
        agents: hops.map((hop) => hop.id),
        scopes: hops.map(({ scopes }) => scopes),
        txn: record.txn,
      },
      request: {
        method,
        scheme: destination.scheme,
        host: destination.host,
        port: destination.port,
        path,
        hasQuery: queryKeys !== undefined,
        pathCut: path.endsWith('…'),
      },
    },
    was: {
      verdict: decision.verdict,
      rule: decision.rule,
      reason: decision.reason,
      destination: destination.name,
      credential: credential?.name,
    },
  }
}
