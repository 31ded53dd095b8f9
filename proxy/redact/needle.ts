// One form of a secret, to compare with.
import type { Form } from './encodings.ts'

/** Of longer forms only so much is kept: all forms of a long token together would be a hundred times its size. */
const longestHead = 64

const foldHex = Uint8Array.from({ length: 256 }, (_, byte) => (byte >= 0x41 && byte <= 0x46 ? byte | 0x20 : byte))
const asIs = Uint8Array.from({ length: 256 }, (_, byte) => byte)

export class Needle {
  readonly length: number
  readonly #head: Uint8Array
  readonly #fold: Uint8Array
  readonly #remake: () => Uint8Array
  #whole: Uint8Array | undefined

  /** @param remake makes the bytes of the form once more, when the head was found somewhere */
  constructor({ bytes, anyCase }: Form, remake: () => Uint8Array) {
    this.length = bytes.length
    this.#head = Uint8Array.from(bytes.subarray(0, longestHead))
    this.#fold = anyCase ? foldHex : asIs
    this.#remake = remake
  }

  /** How many bytes of it stand in `text` from `start`, before `end`. */
  agreement(text: Uint8Array, start: number, end: number): number {
    const head = this.#head
    const same = this.#agreement(head, text, start, end)
    if (same < head.length || same === this.length) return same
    this.#whole ??= this.#remake()
    return this.#agreement(this.#whole, text, start, end)
  }

  #agreement(bytes: Uint8Array, text: Uint8Array, start: number, end: number): number {
    const fold = this.#fold
    const most = Math.min(bytes.length, end - start)
    let same = 0
    while (same < most && fold[text[start + same] ?? 0] === bytes[same]) same++
    return same
  }
}
