// Which destinations a host belongs to, without trying one after the other.

import type { Question } from './engine.ts'

/** What the policy needs to know of a destination. */
export interface PolicyDestination {
  readonly name: string
  /** Canonical exact names and IP literals, or `*.suffix` (any number of labels below it). */
  readonly hosts: readonly string[]
  readonly ports: readonly number[]
  readonly protocol: 'https' | 'http' | 'opaque'
}

export class HostIndex {
  readonly #exact = new Map<string, PolicyDestination[]>()
  readonly #below = new Map<string, PolicyDestination[]>()

  constructor(destinations: readonly PolicyDestination[]) {
    for (const destination of destinations) {
      for (const host of destination.hosts) {
        const wildcard = host.startsWith('*.')
        const [map, key] = wildcard ? [this.#below, host.slice(2)] : [this.#exact, host]
        const listed = map.get(key)
        if (listed === undefined) map.set(key, [destination])
        else if (!listed.includes(destination)) listed.push(destination)
      }
    }
  }

  /** Every destination that names this host, the most specific name first; ports are not looked at. */
  at(host: string): readonly PolicyDestination[] {
    const exact = this.#exact.get(host)
    if (this.#below.size === 0) return exact ?? none
    let found = exact
    for (let dot = host.indexOf('.'); dot !== -1; dot = host.indexOf('.', dot + 1)) {
      const below = this.#below.get(host.slice(dot + 1))
      if (below === undefined) continue
      found = found === undefined ? below : [...new Set([...found, ...below])]
    }
    return found ?? none
  }
}

const none: readonly PolicyDestination[] = []

/** Whether a request like this goes to the destination. What passes unseen is a tunnel, and a tunnel is nothing else. */
export function serves(
  { protocol, ports }: PolicyDestination,
  { method, scheme, port }: Pick<Question['request'], 'method' | 'scheme' | 'port'>,
): boolean {
  return ports.includes(port) && (method === 'CONNECT' ? protocol === 'opaque' : protocol === scheme)
}
