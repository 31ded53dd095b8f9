// Reads numbers at known places of JSON as its bytes pass, and keeps nothing else of it. Several values may follow one another (NDJSON).

/** Containers within each other; deeper JSON is read no further. */
export const deepest = 512
/** Bytes of a key with its escapes as written, and of a number; a longer one is not looked for. */
const longestKey = 1_024
const longestNumber = 64

/** RFC 8259 §6. */
const numberForm = /^-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?$/

const quote = 0x22
const backslash = 0x5c

type State = 'between' | 'in key' | 'in string' | 'in number' | 'broken'

export class JsonNumbers {
  readonly #paths: readonly (readonly string[])[]
  readonly #found: (number | undefined)[]
  readonly #longest: number
  /** Of each open container: 1 an object, 0 an array. */
  readonly #objects = new Uint8Array(deepest)
  /** The key under which each open object is being read. */
  readonly #names: (string | undefined)[] = []
  #depth = 0
  #state: State = 'between'
  #escaped = false
  /** Whether a string that begins now is a key. */
  #keyNext = false
  /** Of the key or number that is being read; undefined: nobody looks for it. */
  #text: string | undefined

  /** @param paths keys from the outermost object inwards; arrays are not looked into */
  constructor(paths: readonly (readonly string[])[]) {
    this.#paths = paths
    this.#found = paths.map(() => undefined)
    this.#longest = Math.max(...paths.map(({ length }) => length))
  }

  /** What stood there last, path by path. */
  get found(): readonly (number | undefined)[] {
    return this.#found
  }

  /** Another text begins; what was found stays. */
  restart(): void {
    this.#depth = 0
    this.#state = 'between'
    this.#escaped = false
    this.#keyNext = false
    this.#text = undefined
  }

  push(bytes: Uint8Array): void {
    let at = 0
    while (at < bytes.length && this.#state !== 'broken') {
      if (this.#state === 'between') at = this.#between(bytes, at)
      else if (this.#state === 'in number') at = this.#number(bytes, at)
      else at = this.#string(bytes, at)
    }
  }

  /** @returns where to go on */
  #between(bytes: Uint8Array, from: number): number {
    for (let at = from; at < bytes.length; at += 1) {
      const byte = bytes[at] ?? 0
      switch (byte) {
        case 0x7b: // {
          this.#open(1)
          break
        case 0x5b: // [
          this.#open(0)
          break
        case 0x7d: // }
          this.#close(1)
          break
        case 0x5d: // ]
          this.#close(0)
          break
        case 0x2c: // ,
          this.#keyNext = this.#depth > 0 && this.#objects[this.#depth - 1] === 1
          break
        case 0x3a: // :
          this.#keyNext = false
          break
        case quote:
          this.#state = this.#keyNext ? 'in key' : 'in string'
          this.#text = this.#keyNext && this.#depth <= this.#longest ? '' : undefined
          return at + 1
        default:
          if (byte === 0x2d || (byte >= 0x30 && byte <= 0x39)) {
            this.#state = 'in number'
            this.#text = this.#isLookedFor() ? '' : undefined
            return at
          }
          // White space, and the letters of true, false and null.
          if (byte !== 0x20 && !(byte >= 0x09 && byte <= 0x0d) && !(byte >= 0x61 && byte <= 0x7a)) {
            this.#state = 'broken'
          }
      }
      if (this.#state === 'broken') return bytes.length
    }
    return bytes.length
  }

  #string(bytes: Uint8Array, from: number): number {
    let at = from
    while (at < bytes.length) {
      if (this.#escaped) this.#escaped = false
      else if (bytes[at] === backslash) this.#escaped = true
      else if (bytes[at] === quote) {
        this.#keep(bytes, from, at, longestKey)
        if (this.#state === 'in key') this.#names[this.#depth - 1] = decoded(this.#text)
        this.#state = 'between'
        return at + 1
      }
      at += 1
    }
    this.#keep(bytes, from, at, longestKey)
    return at
  }

  #number(bytes: Uint8Array, from: number): number {
    let at = from
    while (at < bytes.length && isOfNumber(bytes[at] ?? 0)) at += 1
    this.#keep(bytes, from, at, longestNumber)
    // It may go on in the next chunk.
    if (at === bytes.length) return at
    this.#state = 'between'
    const text = this.#text
    if (text === undefined || !numberForm.test(text)) return at
    const value = Number(text)
    if (Number.isFinite(value)) this.#note(value)
    return at
  }

  #open(kind: 0 | 1): void {
    if (this.#depth === deepest) {
      this.#state = 'broken'
      return
    }
    this.#objects[this.#depth] = kind
    if (this.#depth < this.#longest) this.#names[this.#depth] = undefined
    this.#depth += 1
    this.#keyNext = kind === 1
  }

  #close(kind: 0 | 1): void {
    if (this.#depth === 0 || this.#objects[this.#depth - 1] !== kind) {
      this.#state = 'broken'
      return
    }
    this.#depth -= 1
    this.#keyNext = false
  }

  /** Texts of keys and numbers are kept as Latin-1 until they are whole. */
  #keep(bytes: Uint8Array, from: number, to: number, longest: number): void {
    if (this.#text === undefined) return
    if (this.#text.length + to - from > longest) this.#text = undefined
    else this.#text += Buffer.from(bytes.buffer, bytes.byteOffset + from, to - from).toString('latin1')
  }

  #isLookedFor(): boolean {
    return this.#depth <= this.#longest && this.#paths.some((path) => this.#isAt(path))
  }

  #note(value: number): void {
    for (const [index, path] of this.#paths.entries()) if (this.#isAt(path)) this.#found[index] = value
  }

  #isAt(path: readonly string[]): boolean {
    return path.length === this.#depth && path.every((key, index) => this.#names[index] === key)
  }
}

/** The key that these bytes write; undefined for what nobody looks for. */
function decoded(text: string | undefined): string | undefined {
  if (text === undefined) return undefined
  const written = Buffer.from(text, 'latin1').toString('utf8')
  if (!written.includes('\\')) return written
  try {
    return JSON.parse(`"${written}"`)
  } catch {
    return undefined
  }
}

function isOfNumber(byte: number): boolean {
  return (
    (byte >= 0x30 && byte <= 0x39) || byte === 0x2d || byte === 0x2b || byte === 0x2e || byte === 0x65 || byte === 0x45
  )
}
