// Writes DER (X.690 §10): the few types that certificates need.
import { tags } from './der-tags.ts'

/** One element: tag, length in its shortest form, content. */
export function element(tag: number, ...content: readonly Uint8Array[]): Uint8Array {
  let length = 0
  for (const part of content) length += part.length
  const head = header(tag, length)
  const whole = Buffer.allocUnsafe(head.length + length)
  whole.set(head)
  let at = head.length
  for (const part of content) {
    whole.set(part, at)
    at += part.length
  }
  return whole
}

function header(tag: number, length: number): readonly number[] {
  if (length < 0x80) return [tag, length]
  if (length < 0x100) return [tag, 0x81, length]
  if (length < 0x1_0000) return [tag, 0x82, length >> 8, length & 0xff]
  if (length < 0x100_0000) return [tag, 0x83, length >> 16, (length >> 8) & 0xff, length & 0xff]
  throw new RangeError('a DER element of this length is not needed anywhere')
}

export function sequence(...content: readonly Uint8Array[]): Uint8Array {
  return element(tags.sequence, ...content)
}

export function set(...content: readonly Uint8Array[]): Uint8Array {
  return element(tags.set, ...content)
}

/** A non-negative integer, from a small number or from big-endian bytes. */
export function integer(value: number | Uint8Array): Uint8Array {
  const bytes = typeof value === 'number' ? numberBytes(value) : value
  let start = 0
  while (start < bytes.length - 1 && bytes[start] === 0) start++
  const magnitude = bytes.subarray(start)
  // A set top bit would make it negative.
  return (magnitude[0] ?? 0) >= 0x80
    ? element(tags.integer, Uint8Array.of(0), magnitude)
    : element(tags.integer, magnitude)
}

function numberBytes(value: number): Uint8Array {
  const bytes = Buffer.alloc(4)
  bytes.writeUInt32BE(value)
  return bytes
}

export function boolean(value: boolean): Uint8Array {
  return element(tags.boolean, Uint8Array.of(value ? 0xff : 0))
}

export function nullValue(): Uint8Array {
  return element(tags.null)
}

/** @param dotted such as `2.5.29.17` */
export function oid(dotted: string): Uint8Array {
  const arcs = dotted.split('.').map(Number)
  const [first = 0, second = 0, ...rest] = arcs
  const bytes: number[] = []
  for (const arc of [first * 40 + second, ...rest]) {
    const groups = [arc & 0x7f]
    for (let left = Math.floor(arc / 0x80); left > 0; left = Math.floor(left / 0x80))
      groups.unshift((left & 0x7f) | 0x80)
    bytes.push(...groups)
  }
  return element(tags.oid, Uint8Array.from(bytes))
}

export function octetString(content: Uint8Array): Uint8Array {
  return element(tags.octetString, content)
}

/** @param unused bits at the end that do not count */
export function bitString(content: Uint8Array, unused = 0): Uint8Array {
  return element(tags.bitString, Uint8Array.of(unused), content)
}

export function utf8String(text: string): Uint8Array {
  return element(tags.utf8String, Buffer.from(text, 'utf8'))
}

/** @param at epoch milliseconds; below the second is cut off. UTCTime through 2049, GeneralizedTime after (RFC 5280 §4.1.2.5). */
export function time(at: number): Uint8Array {
  const digits = new Date(at).toISOString().replace(/[-:T]|\.\d+/g, '')
  const short = Number(digits.slice(0, 4)) < 2050
  return element(short ? tags.utcTime : tags.generalizedTime, Buffer.from(short ? digits.slice(2) : digits, 'latin1'))
}
