// Remembers for which names an address was given out, so that the connection that follows can be told from one to an address of the caller's own choice.

/** Milliseconds: clients keep an answer for longer than they were told. */
export const pinned = 600_000
/** Addresses remembered; the one given out longest ago is forgotten first. */
export const mostPins = 4_096
/** Names remembered of one address, such as those that a content network serves from it. */
export const mostNames = 64

const none: readonly string[] = Object.freeze([])

export class Pins {
  readonly #now: () => number
  /** Address → name → when it is forgotten; both in the order in which they were given out last. */
  readonly #byAddress = new Map<string, Map<string, number>>()

  /** @param now epoch milliseconds */
  constructor(now: () => number) {
    this.#now = now
  }

  give(name: string, addresses: readonly string[]): void {
    const until = this.#now() + pinned
    for (const address of addresses) {
      const names = this.#byAddress.get(address) ?? new Map<string, number>()
      names.delete(name)
      names.set(name, until)
      trim(names, mostNames)
      this.#byAddress.delete(address)
      this.#byAddress.set(address, names)
    }
    trim(this.#byAddress, mostPins)
  }

  /** @param address as Node prints it */
  namesOf(address: string): readonly string[] {
    const names = this.#byAddress.get(address)
    if (names === undefined) return none
    const now = this.#now()
    return [...names].flatMap(([name, until]) => (until > now ? [name] : []))
  }
}

function trim(map: Map<string, unknown>, most: number): void {
  for (const key of map.keys()) {
    if (map.size <= most) return
    map.delete(key)
  }
}
