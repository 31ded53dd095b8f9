// Which inputs have been run, by 64 bits of each, so that the same is neither run nor counted twice, also not by the thread that goes on.

/** Two hashes an input. */
const wordsEach = 2
const mostEntries = 2 ** 22
const header = 1

export class Seen {
  /** How many there are, then pairs of hashes at places that follow from the first of them. */
  readonly #words: Int32Array
  readonly #entries: number

  constructor(buffer: SharedArrayBuffer) {
    this.#words = new Int32Array(buffer)
    this.#entries = (this.#words.length - header) / wordsEach
  }

  /** @param inputs that will be run; of more than three million, those beyond are all taken for new */
  static bufferFor(inputs: number): SharedArrayBuffer {
    const entries = Math.min(mostEntries, 2 ** Math.ceil(Math.log2(inputs * 2 + 1_024)))
    return new SharedArrayBuffer((header + entries * wordsEach) * Int32Array.BYTES_PER_ELEMENT)
  }

  /** @returns whether it is new */
  add(input: Uint8Array): boolean {
    const words = this.#words
    const mask = this.#entries - 1
    // FNV-1a, and the same with another prime. Nothing there is 0.
    let one = 0x811c9dc5 | 0
    let other = input.length
    for (let at = 0; at < input.length; at++) {
      const byte = input[at] ?? 0
      one = Math.imul(one ^ byte, 0x01000193)
      other = Math.imul(other ^ byte, 0x5bd1e995)
      other ^= other >>> 15
    }
    one ||= 1
    let at = Math.imul(one ^ (one >>> 16), 0x45d9f3b) & mask
    for (;;) {
      const word = header + at * wordsEach
      if (words[word] === 0) {
        const count = words[0] ?? 0
        if (count > this.#entries * 0.75) return true
        words[0] = count + 1
        words[word] = one
        words[word + 1] = other
        return true
      }
      if (words[word] === one && words[word + 1] === other) return false
      at = (at + 1) & mask
    }
  }
}
