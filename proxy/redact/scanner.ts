// Looks for secrets in a body as it passes, and blanks them. Holds back no more than what may be the beginning of one.
import type { Spans } from './matcher.ts'
import type { Needles } from './needles.ts'

const blank = 0x2a // *
const nothing = Buffer.alloc(0)
/** From so many held bytes on, they are looked at again only when a quarter more has come, so that slow dripping costs no more than its length. */
const patience = 256

export class Scanner {
  /** Places found so far. */
  count = 0
  readonly #needles: Needles
  /** Not given out yet, as it came. */
  #held: Buffer = nothing
  /** Spans that are known to begin in what is held. */
  #known: Spans = []
  /** Bytes at the end of what is held that were not looked at yet. */
  #unseen = 0

  constructor(needles: Needles) {
    this.#needles = needles
  }

  /** @returns what can go out now: the chunk itself when it was clean, and possibly nothing */
  push(chunk: Uint8Array): Uint8Array {
    const text = this.#join(chunk)
    this.#unseen += chunk.length
    if (text.length - this.#unseen >= patience && this.#unseen * 4 < text.length) {
      this.#held = text
      return nothing
    }
    this.#unseen = 0
    const found: Spans = []
    const open = this.#needles.find(text, found)
    if (found.length === 0 && this.#known.length === 0) {
      this.#held = open === text.length ? nothing : text.subarray(open)
      return open === text.length ? text : text.subarray(0, open)
    }
    return this.#give(text, open, found)
  }

  /** @returns what was held back, at the end of the body */
  finish(): Uint8Array {
    const text = this.#held
    if (text.length === 0) return nothing
    const found: Spans = []
    this.#needles.find(text, found)
    this.#needles.findTruncated(text, found)
    const out = this.#give(text, text.length, found)
    this.#unseen = 0
    return out
  }

  #join(chunk: Uint8Array): Buffer {
    if (this.#held.length > 0) return Buffer.concat([this.#held, chunk])
    return Buffer.isBuffer(chunk) ? chunk : Buffer.from(chunk.buffer, chunk.byteOffset, chunk.length)
  }

  /** Blanks what was found before `open`, gives that out, and keeps the rest. */
  #give(text: Buffer, open: number, found: Spans): Uint8Array {
    const spans = this.#merge(found)
    const out = Buffer.from(text.subarray(0, open))
    this.#known = []
    for (let at = 0; at < spans.length; at += 2) {
      const start = spans[at] ?? 0
      const end = spans[at + 1] ?? 0
      if (start < open) out.fill(blank, start, Math.min(end, open))
      if (end > open) this.#known.push(Math.max(0, start - open), end - open)
    }
    this.#held = Buffer.from(text.subarray(open))
    return out
  }

  /** Sorts spans and joins those that overlap. Counts the places that were not known before. */
  #merge(found: Spans): Spans {
    const pairs: { start: number; end: number; known: boolean }[] = []
    for (let at = 0; at < this.#known.length; at += 2)
      pairs.push({ start: this.#known[at] ?? 0, end: this.#known[at + 1] ?? 0, known: true })
    for (let at = 0; at < found.length; at += 2)
      pairs.push({ start: found[at] ?? 0, end: found[at + 1] ?? 0, known: false })
    pairs.sort((a, b) => a.start - b.start)
    const merged: typeof pairs = []
    for (const pair of pairs) {
      const last = merged.at(-1)
      if (last === undefined || pair.start >= last.end) merged.push(pair)
      else {
        last.end = Math.max(last.end, pair.end)
        last.known ||= pair.known
      }
    }
    for (const { known } of merged) if (!known) this.count++
    return merged.flatMap(({ start, end }) => [start, end])
  }
}
