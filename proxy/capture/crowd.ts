// The connections of a listener, by where they come from. Where there is no room, the one that has been idle for longest gives way, of whoever holds most.
import type { Socket } from 'node:net'

export const crowdLimits = {
  /** Open at once on one listener. */
  connections: 10_000,
  /** Of them from one address, or on a UNIX socket. */
  perSource: 2_048,
}

/** One connection. It is idle while no exchange is under way on it. */
export class Member {
  readonly socket: Socket
  readonly home: Source
  #underWay = 0
  /** Its neighbours among the idle ones. */
  before: Member | undefined
  after: Member | undefined

  constructor(socket: Socket, home: Source) {
    this.socket = socket
    this.home = home
  }

  /** Where it comes from. */
  get source(): string {
    return this.home.name
  }

  get idle(): boolean {
    return this.#underWay === 0
  }

  entered(): void {
    if (this.idle) this.home.unlink(this)
    this.#underWay += 1
  }

  left(): void {
    this.#underWay -= 1
    if (this.idle) this.home.append(this)
  }
}

/** All from one address. The idle ones are chained in the order in which they became so: whoever is to give way is found at once, however many there are. */
class Source {
  readonly name: string
  readonly members = new Set<Member>()
  #oldest: Member | undefined
  #newest: Member | undefined

  constructor(name: string) {
    this.name = name
  }

  get oldestIdle(): Member | undefined {
    return this.#oldest
  }

  /** @param member not in the chain */
  append(member: Member): void {
    // A connection may close while something is under way on it.
    if (!this.members.has(member)) return
    member.before = this.#newest
    if (this.#newest === undefined) this.#oldest = member
    else this.#newest.after = member
    this.#newest = member
  }

  /** @param member in the chain */
  unlink(member: Member): void {
    const { before, after } = member
    if (before === undefined) this.#oldest = after
    else before.after = after
    if (after === undefined) this.#newest = before
    else after.before = before
    member.before = member.after = undefined
  }
}

export type CrowdLimit = 'connections' | 'connections_of_source'

export class Crowd {
  readonly #limits: typeof crowdLimits
  readonly #reached: (limit: CrowdLimit) => void
  readonly #sources = new Map<string, Source>()
  #size = 0

  constructor(reached: (limit: CrowdLimit) => void, limits = crowdLimits) {
    this.#reached = reached
    this.#limits = limits
  }

  get size(): number {
    return this.#size
  }

  /** @returns undefined where there is no room, and nobody to make it; the connection is to be closed then */
  enter(socket: Socket): Member | undefined {
    const name = sourceOf(socket.remoteAddress)
    const { connections, perSource } = this.#limits
    const known = this.#sources.get(name)
    if (known !== undefined && known.members.size >= perSource && !this.#makeRoom(known, 'connections_of_source'))
      return undefined
    if (this.#size >= connections && !this.#makeRoom(this.#largest(), 'connections')) return undefined
    // Making room may have emptied it.
    const home = this.#sources.get(name) ?? new Source(name)
    this.#sources.set(name, home)
    const member = new Member(socket, home)
    home.members.add(member)
    home.append(member)
    this.#size += 1
    socket.once('close', () => this.#leave(member))
    return member
  }

  *[Symbol.iterator](): Iterator<Socket> {
    for (const { members } of this.#sources.values()) for (const { socket } of members) yield socket
  }

  #leave(member: Member): void {
    const { home } = member
    if (!home.members.delete(member)) return
    if (member.idle) home.unlink(member)
    this.#size -= 1
    if (home.members.size === 0) this.#sources.delete(home.name)
  }

  #largest(): Source | undefined {
    let largest: Source | undefined
    for (const source of this.#sources.values())
      if (source.members.size > (largest?.members.size ?? 0)) largest = source
    return largest
  }

  #makeRoom(source: Source | undefined, limit: CrowdLimit): boolean {
    this.#reached(limit)
    const oldest = source?.oldestIdle
    if (oldest === undefined) return false
    this.#leave(oldest)
    oldest.socket.destroy()
    return true
  }
}

/** Whoever has an IPv6 address has the whole /64 (RFC 4291 §2.5.1). */
export function sourceOf(address: string | undefined): string {
  if (address === undefined) return 'unix'
  if (!address.includes(':')) return address
  if (address.startsWith('::ffff:')) return address.slice(7)
  const [head = '', tail] = address.split('::')
  const groups = head === '' ? [] : head.split(':')
  const after = tail === undefined || tail === '' ? 0 : tail.split(':').length
  while (tail !== undefined && groups.length < 8 - after) groups.push('0')
  return `${groups.slice(0, 4).join(':')}::/64`
}
