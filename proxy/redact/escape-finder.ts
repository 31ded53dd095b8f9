// Finds the escapes of a text that may stand in a form. Most escapes of most texts may not, and are passed over at little cost.
import {
  ampersand,
  backslash,
  byteOf,
  introducerBefore,
  introduces,
  lengthOf,
  none,
  percent,
  readEntity,
  readEscape,
  unfinished,
} from './escapes.ts'
import type { Matcher } from './matcher.ts'

/** To look at so many bytes one by one costs about as much as to begin a search. */
const near = 12

/** Bytes of which escapes are made; one that is escaped itself may be part of another escape. */
const syntax = new Uint8Array(256)
for (const character of '%&\\#;ux0123456789abcdefABCDEF') syntax[character.charCodeAt(0)] = 1

/** 1 for bytes that stand in none of the forms and are no part of an escape: whoever escapes one, it does not matter. */
export function idleBytes(forms: Matcher): Uint8Array {
  return Uint8Array.from(introduces, (introducing, byte) =>
    introducing === 0 && syntax[byte] === 0 && !forms.has(byte) ? 1 : 0,
  )
}

export class EscapeFinder {
  readonly #text: Buffer
  readonly #forms: Matcher
  readonly #idle: Uint8Array
  /** Where the next of each introducing byte stands, so far as that was searched for. */
  #percent = -1
  #ampersand = -1
  #backslash = -1

  /** @param idle as `idleBytes` tells of the forms */
  constructor(text: Buffer, forms: Matcher, idle: Uint8Array) {
    this.#text = text
    this.#forms = forms
    this.#idle = idle
  }

  /** Where the first one at or after `from` begins; the length of the text when there is none. Called with growing `from`. */
  next(from: number): number {
    const text = this.#text
    const idle = this.#idle
    const end = text.length
    let at = from
    while (at < end) {
      const stop = Math.min(end, at + near)
      while (at < stop && introduces[text[at] ?? 0] === 0) at++
      if (at === stop) at = this.#search(at)
      if (at === end) break
      // Most end here.
      if (text[at] !== backslash || text[at + 1] !== backslash) {
        const read = readEscape(text, at, end)
        const after = read < 0 ? at + 1 : at + lengthOf(read)
        if (read === none || (read >= 0 && idle[byteOf(read)] === 1 && after < end)) {
          at = after
          continue
        }
      }
      const after = this.#passOver(at)
      if (after === at) return at
      at = after
    }
    return end
  }

  /** @returns `at` when the escape there matters, otherwise where to look on */
  #passOver(at: number): number {
    const text = this.#text
    // Backslashes double with each level of quoting; the last of them says what is quoted.
    let last = at
    while (text[last] === backslash && text[last + 1] === backslash) last++
    const read = readEscape(text, last, text.length)
    if (read === unfinished || (last > at && this.#forms.has(backslash))) return at
    return read !== none && this.#matters(byteOf(read), at, last + lengthOf(read)) ? at : last + 1
  }

  /** Whether a byte that is escaped from `start` to `end` fits its neighbours, in some form or in another escape. */
  #matters(byte: number, start: number, end: number): boolean {
    if (end === this.#text.length) return true
    if (introduces[byte] === 1 && this.#introducesMore(byte, end)) return true
    if (syntax[byte] === 1 && introducerBefore(this.#text, start) !== -1) return true
    return this.#forms.has(byte) && this.#fitsNext(byte, end) && this.#fitsPrevious(byte, start)
  }

  /** Whether an introducing byte that is escaped itself goes on as an escape. */
  #introducesMore(byte: number, end: number): boolean {
    const text = this.#text
    const next = text[end] ?? 0
    if (introduces[next] === 1) return true
    if (byte === ampersand) return readEntity(text, end - 1, text.length) !== none
    return syntax[next] === 1 || next === 0x2f || next === 0x22 || next === 0x27
  }

  #fitsNext(byte: number, end: number): boolean {
    const text = this.#text
    const forms = this.#forms
    const next = text[end] ?? 0
    if (forms.endsWith(byte) || forms.hasPair(byte, next)) return true
    if (introduces[next] === 0) return false
    const read = readEscape(text, end, text.length)
    return read === unfinished || (read !== none && this.#mayMean(byte, byteOf(read), true))
  }

  #fitsPrevious(byte: number, start: number): boolean {
    const text = this.#text
    const forms = this.#forms
    if (forms.beginsWith(byte) || (start > 0 && forms.hasPair(text[start - 1] ?? 0, byte))) return true
    const before = introducerBefore(text, start)
    if (before === -1) return false
    const read = readEscape(text, before, text.length)
    return read >= 0 && this.#mayMean(byteOf(read), byte, false)
  }

  /** Whether two escaped bytes fit each other, or the one beside may be part of an escape that means another byte. */
  #mayMean(first: number, second: number, after: boolean): boolean {
    return this.#forms.hasPair(first, second) || syntax[after ? second : first] === 1
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
