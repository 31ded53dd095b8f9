// All that came of one transaction, as a tree: who handed what to whom, what was done with it, and what ended it.
import { agentMatches } from '../../policy/agents.ts'
import type { Delegation, Stop } from './handoff-schema.ts'
import type { AuditRecord } from './line.ts'

type Granted = NonNullable<Delegation['granted']>

/** Requests of one sort that one hop made. */
export interface Deed {
  readonly method: string
  readonly place: string
  readonly path: string
  readonly outcome: NonNullable<AuditRecord['outcome']>
  /** The status, or the reason of the refusal, or how it broke; with what cut it. */
  readonly result: string
  count: number
  readonly first: string
  last: string
}

interface DeniedHandoff {
  readonly time: string
  readonly to: string
  readonly reason: string
}

interface Ended {
  readonly time: string
  readonly by: string
  readonly reason: string
}

/** An agent that held the right, by one delegation. */
export interface Hop {
  readonly id: string
  readonly jti: string | undefined
  scopes: readonly string[]
  constraints: NonNullable<Granted['constraints']>
  /** What the one above held and did not hand on. */
  dropped: readonly string[]
  expires_at: string | undefined
  /** When it was handed on; undefined: the record of that is not here. */
  created_at: string | undefined
  readonly denied_handoffs: DeniedHandoff[]
  revoked: Ended | undefined
  readonly stops: StopOrder[]
  readonly requests: Deed[]
  /** Requests that `requests` has no room for. */
  other_requests: number
  readonly children: Hop[]
}

/** A stop that concerned it. */
export interface StopOrder {
  readonly time: string
  readonly event: Stop['event']
  readonly what: Stop['what']
  readonly by: Stop['by']
  readonly reason?: string | undefined
  readonly until?: string | undefined
}

export interface ChainTree {
  readonly txn: string
  readonly principal: AuditRecord['principal']
  readonly root_issuer: string | undefined
  readonly from: string
  readonly to: string
  /** Of the user, the transaction, or everything, or of what was used; those of agents and delegations stand at their hop. */
  readonly stops: readonly StopOrder[]
  readonly roots: readonly Hop[]
}

/** Sorts of request that are kept apart for one hop. */
const mostDeeds = 1_000
/** Stops that are looked at. */
const mostStops = 10_000
/** What the proxy itself was asked; handoffs have records of their own. */
const door = 'postern.internal'

/** Takes the records of one transaction, in any order, and stops. */
export class ChainTreeBuilder {
  readonly #txn: string
  readonly #hops = new Map<string, Hop>()
  readonly #roots: Hop[] = []
  readonly #stops: StopOrder[] = []
  readonly #deeds = new Map<string, Deed>()
  readonly #used = new Set<string>()
  #principal: AuditRecord['principal']
  #rootIssuer: string | undefined
  #from: string | undefined
  #to: string | undefined

  constructor(txn: string) {
    this.#txn = txn
  }

  take(record: AuditRecord): void {
    if (record.kind === 'stop') this.#stop(record)
    if (record.txn !== this.#txn) return
    const { time, principal } = record
    if (this.#from === undefined || time < this.#from) this.#from = time
    if (this.#to === undefined || time > this.#to) this.#to = time
    this.#principal ??= principal
    const holder = this.#holderOf(record)
    if (record.kind === 'delegation') this.#handoff(record, holder)
    else if (record.kind === 'request' || record.kind === 'tunnel') this.#request(record, holder)
  }

  /** @returns undefined when nothing was taken that belongs to the transaction */
  tree(): ChainTree | undefined {
    if (this.#from === undefined || this.#to === undefined) return undefined
    const stops = this.#placedStops(this.#from, this.#to)
    return {
      txn: this.#txn,
      principal: this.#principal,
      root_issuer: this.#rootIssuer,
      from: this.#from,
      to: this.#to,
      stops,
      roots: this.#roots,
    }
  }

  /** The hop at the end of a record's chain; whatever stands above it is known with it. */
  #holderOf({ chain = [] }: AuditRecord): Hop | undefined {
    let parent: Hop | undefined
    for (const { id, jti, scopes } of chain) parent = this.#hop(parent, id, jti, scopes)
    return parent
  }

  #hop(parent: Hop | undefined, id: string, jti: string | undefined, scopes: readonly string[]): Hop {
    const key = jti ?? `${parent?.jti ?? ''} ${id}`
    const known = this.#hops.get(key)
    if (known !== undefined) return known
    const hop: Hop = {
      id,
      jti,
      scopes,
      constraints: [],
      dropped: [],
      expires_at: undefined,
      created_at: undefined,
      denied_handoffs: [],
      revoked: undefined,
      stops: [],
      requests: [],
      other_requests: 0,
      children: [],
    }
    this.#hops.set(key, hop)
    const siblings = parent?.children ?? this.#roots
    siblings.push(hop)
    return hop
  }

  #handoff({ time, delegation }: AuditRecord, holder: Hop | undefined): void {
    if (delegation === undefined) return
    const { event, from, to, reason = '' } = delegation
    if (event === 'delegation.created') this.#created(time, delegation, holder)
    if (event === 'delegation.denied') holder?.denied_handoffs.push({ time, to: to.spiffe_id, reason })
    if (event !== 'delegation.revoked') return
    const ended = to.jti === undefined ? undefined : this.#hops.get(to.jti)
    if (ended !== undefined) ended.revoked ??= { time, by: from?.spiffe_id ?? 'unknown', reason }
  }

  /** The chain of the record of a handoff ends with who handed on; that of a root, with who got it. */
  #created(
    time: string,
    { from, to, granted, dropped, root_issuer: issuer }: Delegation,
    holder: Hop | undefined,
  ): void {
    this.#rootIssuer ??= issuer
    const hop = from === undefined ? holder : this.#hop(holder, to.spiffe_id, to.jti, granted?.scopes ?? [])
    if (hop === undefined) return
    hop.created_at = time
    hop.scopes = granted?.scopes ?? hop.scopes
    hop.constraints = granted?.constraints ?? []
    hop.expires_at = granted?.expires_at
    hop.dropped = dropped?.scopes ?? []
  }

  #request(record: AuditRecord, holder: Hop | undefined): void {
    const { time, request, destination, outcome, credential } = record
    if (holder === undefined || request === undefined || destination === undefined || outcome === undefined) return
    if (destination.host === door) return
    if (credential !== undefined) this.#used.add(`credential ${credential.name}`)
    if (destination.name !== undefined) this.#used.add(`destination ${destination.name}`)
    const { method, path } = request
    const place = placeOf(destination)
    const result = resultOf(record)
    const key = [holder.jti ?? holder.id, method, place, path, outcome, result].join('\n')
    const known = this.#deeds.get(key)
    if (known !== undefined) {
      known.count += 1
      if (time > known.last) known.last = time
    } else if (holder.requests.length < mostDeeds) {
      const deed = { method, place, path, outcome, result, count: 1, first: time, last: time }
      this.#deeds.set(key, deed)
      holder.requests.push(deed)
    } else holder.other_requests += 1
  }

  #stop({ time, stop }: AuditRecord): void {
    if (stop === undefined || this.#stops.length >= mostStops) return
    const { event, what, by, reason, until } = stop
    this.#stops.push({ time, event, what, by, reason, until })
  }

  /** Those that were ordered while some of it could still have been used. */
  #placedStops(from: string, to: string): StopOrder[] {
    const hops = [...this.#hops.values()]
    const over = hops.reduce((latest, { expires_at: end = '' }) => (end > latest ? end : latest), to)
    const elsewhere: StopOrder[] = []
    for (const stop of this.#stops) {
      if (stop.time < from || stop.time > over) continue
      const { kind, id = '' } = stop.what
      if (kind === 'agent') for (const hop of hops) if (agentMatches(id, hop.id)) hop.stops.push(stop)
      if (kind === 'delegation') {
        const hop = this.#hops.get(id)
        // What was given back has been told by then.
        if (hop !== undefined && hop.revoked === undefined) hop.stops.push(stop)
      }
      if (this.#concernsAll(stop)) elsewhere.push(stop)
    }
    return elsewhere
  }

  #concernsAll({ what: { kind, id } }: StopOrder): boolean {
    if (kind === 'all') return true
    if (kind === 'txn') return id === this.#txn
    if (kind === 'user') return this.#principal?.kind === 'user' && this.#principal.id === id
    return (kind === 'credential' || kind === 'destination') && this.#used.has(`${kind} ${id}`)
  }
}

function placeOf({ scheme, host, port }: NonNullable<AuditRecord['destination']>): string {
  const name = host.includes(':') ? `[${host}]` : host
  return port === undefined || port === (scheme === 'http' ? 80 : 443) ? name : `${name}:${port}`
}

function resultOf({ refusal, response }: AuditRecord): string {
  const cut = response?.ended === 'cut' ? ', cut off under way' : ''
  if (refusal !== undefined) return `${refusal.reason}${cut}`
  const broken = response === undefined || response.ended === 'complete' || cut !== '' ? '' : `, ${response.ended}`
  return `${response?.status ?? 'no answer'}${cut}${broken}`
}
