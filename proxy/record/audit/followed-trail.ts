// One trail as verification follows it from line to line.
import type { Place, TrailReport } from './findings.ts'
import type { Seal } from './seal.ts'

/** Records that were not where they should be; `finding`: where in the list that is said. */
export interface Missing {
  readonly from: number
  readonly to: number
  readonly finding: number
}

/** How many of the last hashes are remembered, in order to know a copy. A power of two. */
const recent = 4_096

export class FollowedTrail {
  readonly id: string | undefined
  readonly #first: number
  seq: number
  head: string
  /** Where its last line stands. */
  at: Place
  /** The last line is known to be altered, so that the next one cannot follow from it. */
  tainted = false
  signed: { readonly seq: number; readonly time: string } | undefined
  readonly missing: Missing[] = []
  /** Hash of the last line that contradicts this trail, so that what follows from it is known for the same. */
  branch: string | undefined
  readonly #recent: string[] = []

  constructor({ seq, trail }: Seal, hash: string, at: Place) {
    this.id = trail
    this.#first = seq
    this.seq = seq
    this.head = hash
    this.at = at
    this.#recent[seq & (recent - 1)] = hash
  }

  advance(hash: string, seq: number, at: Place, tainted: boolean): void {
    this.seq = seq
    this.head = hash
    this.at = at
    this.tainted = tainted
    this.#recent[seq & (recent - 1)] = hash
  }

  isRecent(seq: number, hash: string): boolean {
    return this.#recent[seq & (recent - 1)] === hash
  }

  report(): TrailReport {
    const { id, seq, head, signed } = this
    return {
      ...(id === undefined ? {} : { trail: id }),
      first: this.#first,
      last: seq,
      head,
      ...(signed === undefined ? {} : { signed }),
      unsigned: seq - (signed?.seq ?? this.#first - 1),
    }
  }
}
