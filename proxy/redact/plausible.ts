// Which stretches of a text may hold a form whose bytes are escaped, judged by the pairs of bytes that can stand in one.
import { ampersand, backslash, entityNames, percent } from './escapes.ts'
import { type Matcher, Pairs } from './matcher.ts'

const codes = (characters: string) => Array.from(characters, (character) => character.charCodeAt(0))
const introducing = [percent, ampersand, backslash]
const digits = codes('0123456789abcdefABCDEF')
const semicolon = 0x3b
const names = Object.keys(entityNames)
const letters = [...new Set(codes(names.join('')))]

/** Pairs within an escape, each byte of which may be escaped again, and between one and the next. */
const withinEscapes = new Pairs()
const parts = [...introducing, ...digits, ...codes('uxX#;')]
withinEscapes.addAll(parts, parts)
withinEscapes.addAll([...introducing, ...digits, semicolon], letters)
withinEscapes.addAll(letters, [...introducing, semicolon])
for (const name of names)
  for (let at = 1; at < name.length; at++) withinEscapes.add(name.charCodeAt(at - 1), name.charCodeAt(at))

/** What a backslash escapes by standing before it. */
const quoted = codes('/"\'\\')

/** What can be told of escaped forms without undoing anything: one for all texts. */
export class Plausible {
  /** Pairs of bytes that may stand in a form, escaped in whatever way. */
  readonly pairs: Pairs
  /** 1 for bytes that stand in no form and are no part of an escape: whoever escapes one, it does not matter. */
  readonly idle: Uint8Array
  /** An escaped form is no shorter than this. */
  readonly shortest: number

  constructor(forms: Matcher) {
    this.shortest = forms.shortest
    this.idle = new Uint8Array(256).map((_, byte) => (forms.has(byte) ? 0 : 1))
    for (const byte of [...parts, ...letters]) this.idle[byte] = 0
    const bytes = [...this.idle.keys()].filter((byte) => forms.has(byte))
    const here = quoted.filter((byte) => forms.has(byte))
    this.pairs = new Pairs(forms.pairs, withinEscapes)
    this.pairs.addAll(bytes, introducing)
    // An escape ends in a digit, a semicolon or what was quoted.
    this.pairs.addAll([...digits, semicolon, ...here], bytes)
    this.pairs.addAll([...parts, ...here], here)
    this.pairs.addAll(here, parts)
  }
}

/**
 * Goes over one text, and tells of its escapes where a form may be: where as many bytes as the shortest form has stand
 * together, each of which may follow the one before. A stretch that goes on to the end of the text counts, whatever its length.
 */
export class Stretches {
  readonly #text: Uint8Array
  readonly #pairs: Pairs
  readonly #shortest: number
  /** Where the stretch under way begins, and up to where that has been seen. */
  #start = 0
  #seen = 0

  constructor(text: Uint8Array, { pairs, shortest }: Plausible) {
    this.#text = text
    this.#pairs = pairs
    this.#shortest = shortest
  }

  /**
   * @param at grows from call to call
   * @returns `at` when it is in such a stretch, otherwise where one may begin that is
   */
  reach(at: number): number {
    const text = this.#text
    const pairs = this.#pairs
    const most = text.length - 1
    if (at > this.#seen) {
      // What stands farther back does not matter.
      this.#start = Math.max(this.#start, at - this.#shortest + 1)
      this.#seen = Math.max(this.#seen, this.#start)
    }
    let last = Math.min(most, Math.max(at, this.#start + this.#shortest - 1))
    while (this.#seen < last) {
      let back = last
      while (back > this.#seen && pairs.has(text[back - 1] ?? 0, text[back] ?? 0)) back--
      if (back > this.#seen) this.#start = back
      this.#seen = last
      last = Math.min(most, this.#start + this.#shortest - 1)
    }
    return Math.max(at, this.#start)
  }
}
