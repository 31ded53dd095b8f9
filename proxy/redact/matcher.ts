// Looks for many byte sequences at once, skipping most of the text.
import type { Form } from './encodings.ts'
import { Needle } from './needle.ts'

/** Where something was found: start, end, start, end, … */
export type Spans = number[]

/** Longest stretch of a form that the search itself compares; the rest is compared on a hit. */
const longestWindow = 24

/** Seven bits of each byte, so that a table of pairs stays small; bytes that differ in the eighth bit are told apart on a hit. */
const pairOf = (first: number, second: number) => ((first & 127) << 7) | (second & 127)
const pairs = 1 << 14

/** A set of pairs of bytes; now and then it holds one more than was put in. */
export class Pairs {
  readonly #bits = new Uint32Array(pairs / 32)

  /** @param others all of theirs are in it from the beginning */
  constructor(...others: readonly Pairs[]) {
    for (const other of others)
      for (let at = 0; at < this.#bits.length; at++) this.#bits[at] = (this.#bits[at] ?? 0) | (other.#bits[at] ?? 0)
  }

  add(first: number, second: number): void {
    const pair = pairOf(first, second)
    this.#bits[pair >> 5] = (this.#bits[pair >> 5] ?? 0) | (1 << (pair & 31))
  }

  /** Each of the first with each of the second. */
  addAll(firsts: readonly number[], seconds: readonly number[]): void {
    for (const first of firsts) for (const second of seconds) this.add(first, second)
  }

  has(first: number, second: number): boolean {
    const pair = pairOf(first, second)
    return (((this.#bits[pair >> 5] ?? 0) >>> (pair & 31)) & 1) === 1
  }
}

/**
 * Wu and Manber's search ("A fast algorithm for multi-pattern searching", 1994) on blocks of two bytes. All forms are cut
 * to a window as long as the shortest of them. A table tells for each pair of bytes how far the window may move when it
 * ends in that pair; zero means that some form's window ends so, and only then is anything compared.
 */
export class Matcher {
  /** Length of the longest form. */
  readonly longest: number
  /** Length of the shortest. */
  readonly shortest: number
  readonly #window: number
  readonly #moves: Uint8Array
  readonly #byLastPair = new Map<number, Needle[]>()
  readonly #byFirstByte = new Map<number, Needle[]>()
  readonly #firstBytes = new Uint8Array(256)
  readonly #bytes = new Uint8Array(256)
  /** Those that occur in some form. */
  readonly pairs = new Pairs()

  /** @param make gives the forms, always the same: at least one, each of two bytes or more */
  constructor(make: () => readonly Form[]) {
    const forms = make()
    this.longest = Math.max(...forms.map(({ bytes }) => bytes.length))
    this.shortest = Math.min(...forms.map(({ bytes }) => bytes.length))
    this.#window = Math.min(longestWindow, this.shortest)
    this.#moves = new Uint8Array(pairs).fill(this.#window - 1)
    forms.forEach((form, index) => {
      this.#add(form, new Needle(form, () => make()[index]?.bytes ?? new Uint8Array()))
    })
  }

  #add({ bytes, anyCase }: Form, needle: Needle): void {
    const first = bytes[0] ?? 0
    for (const byte of casesOf(first, anyCase)) {
      this.#firstBytes[byte] = 1
      put(this.#byFirstByte, byte, needle)
    }
    for (const byte of casesOf(first, anyCase)) this.#bytes[byte] = 1
    for (let at = 1; at < bytes.length; at++) {
      const move = this.#window - 1 - at
      for (const second of casesOf(bytes[at] ?? 0, anyCase)) {
        this.#bytes[second] = 1
        for (const before of casesOf(bytes[at - 1] ?? 0, anyCase)) {
          const pair = pairOf(before, second)
          this.pairs.add(before, second)
          if (move >= 0) this.#moves[pair] = Math.min(move, this.#moves[pair] ?? 0)
          if (move === 0) put(this.#byLastPair, pair, needle)
        }
      }
    }
  }

  /** Whether a byte occurs in some form. */
  has(byte: number): boolean {
    return this.#bytes[byte] === 1
  }

  /**
   * Finds every form in `text` up to `end`, overlapping ones too.
   *
   * @param settled up to where the text will stay as it is; at most `end`
   * @param found gets the spans
   * @returns where the first form begins that may be there but is not complete at `settled`; `settled` when there is none
   */
  scan(text: Uint8Array, end: number, settled: number, found: Spans): number {
    const moves = this.#moves
    const window = this.#window
    let open = settled
    let last = window - 1
    while (last < end) {
      const pair = pairOf(text[last - 1] ?? 0, text[last] ?? 0)
      const move = moves[pair] ?? 1
      if (move !== 0) {
        last += move
        continue
      }
      const start = last - window + 1
      if (this.#firstBytes[text[start] ?? 0] === 1) {
        for (const needle of this.#byLastPair.get(pair) ?? []) {
          const same = needle.agreement(text, start, end)
          if (same === needle.length) found.push(start, start + same)
          else if (start + same >= settled && start < open) open = start
        }
      }
      last += 1
    }
    return this.#beginning(text, settled, open)
  }

  /** Where a form begins of which fewer bytes are there than the window is long; `open` when none does before. */
  #beginning(text: Uint8Array, settled: number, open: number): number {
    for (let start = Math.max(0, settled - this.#window + 1); start < open; start++) {
      const first = text[start] ?? 0
      if (this.#firstBytes[first] !== 1) continue
      for (const needle of this.#byFirstByte.get(first) ?? []) {
        if (start + needle.agreement(text, start, settled) === settled) return start
      }
    }
    return open
  }

  /**
   * Finds a form that breaks off at `end`, when at least half of it and 12 bytes are there, so that an echo that is cut
   * short gives little away.
   */
  scanTruncated(text: Uint8Array, end: number, found: Spans): void {
    for (let start = Math.max(0, end - this.longest); start < end; start++) {
      for (const needle of this.#byFirstByte.get(text[start] ?? 0) ?? []) {
        const same = needle.agreement(text, start, end)
        if (start + same === end && same >= 12 && same * 2 >= needle.length) found.push(start, end)
      }
    }
  }
}

function casesOf(byte: number, any: boolean): readonly number[] {
  return any && byte >= 0x61 && byte <= 0x66 ? [byte, byte & ~0x20] : [byte]
}

function put(map: Map<number, Needle[]>, key: number, needle: Needle): void {
  const present = map.get(key)
  if (present === undefined) map.set(key, [needle])
  else present.push(needle)
}
