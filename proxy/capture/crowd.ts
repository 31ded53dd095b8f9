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
  readonly source: string
  readonly socket: Socket
  readonly #now: () => number
  #underWay = 0
  /** When it became idle, in steps that only grow. */
  since: number

  constructor(source: string, socket: Socket, now: () => number) {
    this.source = source
    this.socket = socket
    this.#now = now
    this.since = now()
  }

  get idle(): boolean {
    return this.#underWay === 0
  }

  entered(): void {
    this.#underWay += 1
  }

  left(): void {
    this.#underWay -= 1
    this.since = this.#now()
  }
}

export type CrowdLimit = 'connections' | 'connections_of_source'

export class Crowd {
  readonly #limits: typeof crowdLimits
  readonly #reached: (limit: CrowdLimit) => void
  readonly #bySource = new Map<string, Set<Member>>()
  #size = 0
  #steps = 0

  constructor(reached: (limit: CrowdLimit) => void, limits = crowdLimits) {
    this.#reached = reached
    this.#limits = limits
  }

  get size(): number {
    return this.#size
  }

  /** @returns undefined where there is no room, and nobody to make it; the connection is to be closed then */
  enter(socket: Socket): Member | undefined {
    const source = sourceOf(socket.remoteAddress)
    const { connections, perSource } = this.#limits
    if ((this.#bySource.get(source)?.size ?? 0) >= perSource && !this.#makeRoom(source, 'connections_of_source'))
      return undefined
    if (this.#size >= connections && !this.#makeRoom(this.#largest(), 'connections')) return undefined
    const member = new Member(source, socket, () => ++this.#steps)
    const theirs = this.#bySource.get(source)
    if (theirs === undefined) this.#bySource.set(source, new Set([member]))
    else theirs.add(member)
    this.#size += 1
    socket.once('close', () => this.#leave(member))
    return member
  }

  *[Symbol.iterator](): Iterator<Socket> {
    for (const theirs of this.#bySource.values()) for (const { socket } of theirs) yield socket
  }

  #leave(member: Member): void {
    const theirs = this.#bySource.get(member.source)
    if (theirs?.delete(member) !== true) return
    this.#size -= 1
    if (theirs.size === 0) this.#bySource.delete(member.source)
  }

  #largest(): string {
    let most = 0
    let largest = ''
    for (const [source, { size }] of this.#bySource) {
      if (size <= most) continue
      most = size
      largest = source
    }
    return largest
  }

  #makeRoom(source: string, limit: CrowdLimit): boolean {
    this.#reached(limit)
    let oldest: Member | undefined
    for (const member of this.#bySource.get(source) ?? [])
      if (member.idle && (oldest === undefined || member.since < oldest.since)) oldest = member
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
