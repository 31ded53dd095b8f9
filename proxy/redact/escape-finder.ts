// Finds the escapes of a text that may stand in a form. Most escapes of most texts may not, and are passed over at little cost.
import { ampersand, backslash, byteOf, introduces, lengthOf, percent, readEscape } from './escapes.ts'
import { type Plausible, Stretches } from './plausible.ts'

/** To look at so many bytes one by one costs about as much as to begin a search. */
const near = 12

export class EscapeFinder {
  readonly #text: Buffer
  /** 1 for bytes whose escapes do not matter. */
  readonly idle: Uint8Array
  readonly #stretches: Stretches
  /** Where the next of each introducing byte stands, so far as that was searched for. */
  #percent = -1
  #ampersand = -1
  #backslash = -1

  constructor(text: Buffer, plausible: Plausible) {
    this.#text = text
    this.idle = plausible.idle
    this.#stretches = new Stretches(text, plausible)
  }

  /** Where the first one at or after `from` begins; the length of the text when there is none. Called with growing `from`. */
  next(from: number): number {
    const text = this.#text
    const idle = this.idle
    const end = text.length
    let at = from
    while (at < end) {
      const stop = Math.min(end, at + near)
      while (at < stop && introduces[text[at] ?? 0] === 0) at++
      if (at === stop) at = this.#search(at)
      if (at === end) break
      const possible = this.#stretches.reach(at)
      if (possible > at) {
        at = possible
        continue
      }
      const read = readEscape(text, at, end)
      if (read < 0 || idle[byteOf(read)] === 0 || at + lengthOf(read) === end) return at
      at += lengthOf(read)
    }
    return end
  }

  /** Where the first introducing byte at or after `from` stands. */
  #search(from: number): number {
    if (this.#percent < from) this.#percent = this.#find(percent, from)
    if (this.#ampersand < from) this.#ampersand = this.#find(ampersand, from)
    if (this.#backslash < from) this.#backslash = this.#find(backslash, from)
    return Math.min(this.#percent, this.#ampersand, this.#backslash)
  }

  #find(byte: number, from: number): number {
    const at = this.#text.indexOf(byte, from)
    return at === -1 ? this.#text.length : at
  }
}
