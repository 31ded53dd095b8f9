// Reads DER (X.690 §10) strictly: one encoding for each value, nothing left over, nothing beyond the end.
import { tags } from './der-tags.ts'

/** Bytes that are not DER, or not of the shape asked for. */
export class DerError extends Error {
  override readonly name = 'DerError'
}

export interface Element {
  readonly tag: number
  readonly content: Uint8Array
  /** With tag and length. */
  readonly whole: Uint8Array
}

/** Walks over the elements of one content, in order. Gives views of the bytes, never copies. */
export class DerReader {
  readonly #bytes: Uint8Array
  #at = 0

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes
  }

  /** Reads what must be a single element with this tag and nothing after it. */
  static only(bytes: Uint8Array, tag: number): DerReader {
    const outer = new DerReader(bytes)
    const { content } = outer.next(tag)
    outer.end()
    return new DerReader(content)
  }

  get done(): boolean {
    return this.#at === this.#bytes.length
  }

  /** The tag of the next element, or -1 at the end. */
  get tag(): number {
    return this.#bytes[this.#at] ?? -1
  }

  /** @throws DerError when the next element has another tag, or there is none */
  next(tag: number): Element {
    if (this.tag !== tag) throw new DerError(`expected tag ${tag}, found ${this.tag}`)
    return this.any()
  }

  optional(tag: number): Element | undefined {
    return this.tag === tag ? this.any() : undefined
  }

  any(): Element {
    const bytes = this.#bytes
    const start = this.#at
    const tag = bytes[start]
    const first = bytes[start + 1]
    if (tag === undefined || first === undefined) throw new DerError('an element is cut off')
    if ((tag & 0x1f) === 0x1f) throw new DerError('tags above 30 are not used')
    let at = start + 2
    let length = first
    if (first >= 0x80) {
      const octets = first & 0x7f
      if (octets === 0 || octets > 3) throw new DerError('a length is indefinite or too large')
      length = 0
      for (let i = 0; i < octets; i++) {
        const octet = bytes[at++]
        if (octet === undefined) throw new DerError('a length is cut off')
        length = length * 0x100 + octet
      }
      if (length < 0x80 || length < 2 ** (8 * (octets - 1))) throw new DerError('a length is not in its shortest form')
    }
    const end = at + length
    if (end > bytes.length) throw new DerError('an element is cut off')
    this.#at = end
    return { tag, content: bytes.subarray(at, end), whole: bytes.subarray(start, end) }
  }

  sequence(): DerReader {
    return new DerReader(this.next(tags.sequence).content)
  }

  /** Content of an INTEGER in its shortest form. */
  integer(): Uint8Array {
    return integerContent(this.next(tags.integer).content)
  }

  /** An INTEGER from 0 to 2^31 - 1. */
  smallInteger(): number {
    return smallNumber(this.next(tags.integer).content)
  }

  boolean(): boolean {
    const { content } = this.next(tags.boolean)
    if (content.length !== 1 || (content[0] !== 0 && content[0] !== 0xff)) throw new DerError('a boolean is malformed')
    return content[0] === 0xff
  }

  oid(): string {
    return oidText(this.next(tags.oid).content)
  }

  octetString(): Uint8Array {
    return this.next(tags.octetString).content
  }

  /** The octets of a BIT STRING, its unused bits zero. */
  bitString(): Uint8Array {
    const { content } = this.next(tags.bitString)
    const unused = content[0]
    const last = content.length > 1 ? (content[content.length - 1] ?? 0) : 0
    if (
      unused === undefined ||
      unused > 7 ||
      (content.length === 1 && unused > 0) ||
      (last & ((1 << unused) - 1)) !== 0
    )
      throw new DerError('a bit string is malformed')
    return content.subarray(1)
  }

  /** A BIT STRING of whole octets, as keys and signatures are. */
  octets(): Uint8Array {
    const { content } = this.next(tags.bitString)
    if (content[0] !== 0) throw new DerError('a bit string is not of whole octets')
    return content.subarray(1)
  }

  /** Epoch milliseconds of a UTCTime or GeneralizedTime, to the second and in UTC (RFC 5280 §4.1.2.5). */
  time(): number {
    const { tag, content } = this.any()
    if (tag !== tags.utcTime && tag !== tags.generalizedTime) throw new DerError('a time is expected')
    return timeValue(tag, content)
  }

  /** @throws DerError when something follows */
  end(): void {
    if (!this.done) throw new DerError('something follows where nothing may')
  }
}

/** @throws DerError when the content of an INTEGER is empty or has a needless leading octet */
export function integerContent(content: Uint8Array): Uint8Array {
  const [first, second] = content
  if (first === undefined) throw new DerError('an integer is empty')
  if (second !== undefined && ((first === 0 && second < 0x80) || (first === 0xff && second >= 0x80)))
    throw new DerError('an integer is not in its shortest form')
  return content
}

export function smallNumber(content: Uint8Array): number {
  const bytes = integerContent(content)
  if (bytes.length > 4 || (bytes[0] ?? 0) >= 0x80) throw new DerError('an integer is negative or too large')
  let value = 0
  for (const byte of bytes) value = value * 0x100 + byte
  return value
}

function oidText(content: Uint8Array): string {
  const arcs: number[] = []
  let arc = 0
  let fresh = true
  for (const byte of content) {
    if (fresh && byte === 0x80) throw new DerError('an object identifier is malformed')
    if (arc > 0x3fff_ffff_ffff) throw new DerError('an object identifier is too large')
    arc = arc * 0x80 + (byte & 0x7f)
    fresh = byte < 0x80
    if (fresh) {
      arcs.push(arc)
      arc = 0
    }
  }
  const [joint, ...rest] = arcs
  if (joint === undefined || !fresh) throw new DerError('an object identifier is malformed')
  const first = Math.min(2, Math.floor(joint / 40))
  return [first, joint - first * 40, ...rest].join('.')
}

const utcDigits = 12
const generalizedDigits = 14

function timeValue(tag: number, content: Uint8Array): number {
  const digits = tag === tags.utcTime ? utcDigits : generalizedDigits
  if (content.length !== digits + 1 || content[digits] !== 0x5a) throw new DerError('a time is malformed')
  const pair = (at: number): number => {
    const tens = (content[at] ?? 0) - 0x30
    const ones = (content[at + 1] ?? 0) - 0x30
    if (tens < 0 || tens > 9 || ones < 0 || ones > 9) throw new DerError('a time is malformed')
    return tens * 10 + ones
  }
  const rest = digits - 10
  const short = pair(rest - 2)
  // Two digits stand for 1950 to 2049 (RFC 5280 §4.1.2.5.1).
  const year = tag === tags.generalizedTime ? pair(0) * 100 + short : short + (short < 50 ? 2000 : 1900)
  const [month, day, hour, minute, second] = [
    pair(rest),
    pair(rest + 2),
    pair(rest + 4),
    pair(rest + 6),
    pair(rest + 8),
  ]
  const date = new Date(0)
  date.setUTCFullYear(year, month - 1, day)
  date.setUTCHours(hour, minute, second)
  // A day or an hour that does not exist has moved on to the next.
  if (date.getUTCMonth() !== month - 1 || date.getUTCDate() !== day || hour > 23 || minute > 59 || second > 59)
    throw new DerError('a time does not exist')
  return date.getTime()
}
