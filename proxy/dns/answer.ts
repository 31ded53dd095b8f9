// What a query gets: addresses of a host that some rule could allow, found by the proxy's own resolution; for anything else, that there is no such name.
import { isIPv4 } from 'node:net'
import { canonicalHost } from '../capture/target.ts'
import { Refusal } from '../refusal.ts'
import { classes, codes, type DnsQuery, types } from './message.ts'
import type { Pins } from './pins.ts'
import { looksLikeTunnel, type NewNames } from './tunnels.ts'

/** Seconds that an answer may be kept; our own resolution has kept it already. */
export const ttl = 30
/** Resolutions under way at once; more are answered as failed. */
export const mostUnderWay = 64
/** Queries that wait for these, many perhaps for one name; more are answered as failed. */
export const mostWaiting = 256
/** Resolutions with the system at once: what connects must find a turn beside them. */
export const mostAsked = 4

export type DnsResult = 'answered' | 'empty' | 'not_allowed' | 'tunnel' | 'failed' | 'overloaded' | 'malformed'

export interface DnsAnswer {
  readonly result: DnsResult
  readonly code: number
  readonly addresses: readonly string[]
}

export interface DnsSources {
  /** How a host is named by some destination to which a rule allows something: by itself, below this suffix, or not at all. */
  readonly allowed: (host: string) => { readonly below: string | undefined } | undefined
  /** As the proxy resolves it for itself. */
  readonly resolve: (host: string) => Promise<readonly string[]>
  readonly pins: Pins
  readonly newNames: NewNames
}

const nothing = (result: DnsResult, code: number): DnsAnswer => ({ result, code, addresses: [] })

export class Answerer {
  readonly #sources: DnsSources
  /** Queries that wait for a resolution. */
  #waiting = 0
  /** A client asks for both families at once; one resolution serves both. */
  readonly #underWay = new Map<string, Promise<readonly string[]>>()

  constructor(sources: DnsSources) {
    this.#sources = sources
  }

  /** Never rejects. */
  async answer(query: DnsQuery): Promise<DnsAnswer> {
    const { allowed, pins, newNames } = this.#sources
    if (query.class !== classes.IN) return nothing('not_allowed', codes.refused)
    const host = hostIn(query.name)
    const named = host === undefined ? undefined : allowed(host)
    // No such name, and no refusal: with that a resolver would go on to the next name of its search list.
    if (host === undefined || named === undefined) return nothing('not_allowed', codes.noSuchName)
    const { below } = named
    if (below !== undefined && (looksLikeTunnel(host.slice(0, -below.length - 1)) || !newNames.admits(host)))
      return nothing('tunnel', codes.noSuchName)
    // TXT, NULL and the like carry what somebody writes; HTTPS and SVCB would name keys and addresses that are not ours.
    if (query.type !== types.A && query.type !== types.AAAA) return nothing('empty', codes.ok)
    const resolving = this.#resolving(host)
    if (resolving === undefined || this.#waiting >= mostWaiting) return nothing('overloaded', codes.failed)
    this.#waiting += 1
    try {
      const all = await resolving
      const addresses = all.filter((address) => isIPv4(address) === (query.type === types.A))
      pins.give(host, addresses)
      return { result: addresses.length === 0 ? 'empty' : 'answered', code: codes.ok, addresses }
    } catch (error) {
      const unknown = error instanceof Refusal && /ENOTFOUND/.test(error.detail ?? '')
      return nothing('failed', unknown ? codes.noSuchName : codes.failed)
    } finally {
      this.#waiting -= 1
    }
  }

  /** Undefined when too many others are under way. */
  #resolving(host: string): Promise<readonly string[]> | undefined {
    const known = this.#underWay.get(host)
    if (known !== undefined || this.#underWay.size >= mostUnderWay) return known
    const resolving = this.#sources.resolve(host).finally(() => this.#underWay.delete(host))
    this.#underWay.set(host, resolving)
    return resolving
  }
}

function hostIn(name: string): string | undefined {
  try {
    return canonicalHost(name)
  } catch {
    return undefined
  }
}
