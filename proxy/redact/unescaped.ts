// A stretch of text with its escapes undone, and where each byte of it came from.
import type { EscapeFinder } from './escape-finder.ts'
import {
  byteOf,
  introducerBefore,
  introduces,
  lengthOf,
  longestEscape,
  none,
  readEscape,
  unfinished,
} from './escapes.ts'

const noByte = new Uint8Array(256)

/**
 * Undoes escapes, escapes of escapes included (`%255C%2575002F` comes to `/`): each byte is put at the end of what is
 * there, and whenever that end reads as an escape, the byte meant takes its place. So it goes over the text once, whatever
 * is nested in what.
 */
export class Unescaped {
  /** Escaped text without its escapes; the first `length` bytes count. */
  bytes = new Uint8Array(1024)
  length = 0
  /** Where in the text the stretch ended. */
  consumed = 0
  #origin = new Int32Array(1024)
  /** 1 for bytes that nobody looks for: an escape that means one stays as it is, since it may as well be other text. */
  #idle: Uint8Array = noByte
  /** Where the last introducing byte stands that an escape may still be made of; -1 when there is none. */
  #introducer = -1

  /** Where in the text the byte at `index` began. */
  originOf(index: number): number {
    return index < this.length ? (this.#origin[index] ?? 0) : this.consumed
  }

  /**
   * Takes in the stretch around the escape at `first`, and on over all escapes that are near enough to the one before for
   * a form to reach over both.
   *
   * @param escapes of this text
   * @param reach length of the longest form
   * @returns where the next escape stands that was not taken in; the length of the text when there is none
   */
  take(text: Uint8Array, first: number, escapes: EscapeFinder, reach: number): number {
    this.length = 0
    this.#idle = escapes.idle
    let at = Math.max(0, first - reach)
    let next = first
    while (next - reach <= at + reach && next < text.length) {
      this.#copy(text, at, next)
      at = this.#undo(text, next)
      next = escapes.next(at)
    }
    this.consumed = Math.min(text.length, at + reach)
    this.#copy(text, at, this.consumed)
    return next
  }

  /** The whole of a text. */
  takeAll(text: Uint8Array): Uint8Array {
    this.length = 0
    this.#idle = noByte
    this.#introducer = -1
    this.#reserve(text.length)
    for (let at = 0; at < text.length; at++) this.#put(text[at] ?? 0, at)
    return this.bytes.slice(0, this.length)
  }

  /** Length without the escapes at the end that are not finished; more text may change what they mean. */
  settled(): number {
    let length = this.length
    let shorter = this.#withoutUnfinished(length)
    while (shorter < length) {
      length = shorter
      shorter = this.#withoutUnfinished(length)
    }
    return length
  }

  #withoutUnfinished(length: number): number {
    const at = introducerBefore(this.bytes, length)
    if (at === -1) return length
    return readEscape(this.bytes, at, length) === unfinished ? at : length
  }

  /** Goes on from an escape until none has come, or was still under way, for as long as one can be. */
  #undo(text: Uint8Array, from: number): number {
    this.#introducer = introducerBefore(this.bytes, this.length)
    this.#reserve(text.length - from)
    const bytes = this.bytes
    const origin = this.#origin
    const idle = this.#idle
    const end = text.length
    let at = from
    let until = Math.min(end, from + longestEscape)
    while (at < until) {
      if (this.#introducer === -1) {
        // Where nothing that stands before can go on, an escape means what it means alone.
        let length = this.length
        while (at < until) {
          const byte = text[at] ?? 0
          let read: number = none
          if (introduces[byte] === 1) {
            read = readEscape(text, at, end)
            if (read < 0 || introduces[byteOf(read)] === 1) break
            until = Math.min(end, at + 1 + longestEscape)
          }
          origin[length] = at
          if (read === none || idle[byteOf(read)] === 1) {
            bytes[length++] = byte
            at++
          } else {
            bytes[length++] = byteOf(read)
            at += lengthOf(read)
          }
        }
        this.length = length
        if (at >= until) break
      }
      this.#put(text[at] ?? 0, at)
      at++
      if (this.#introducer !== -1) until = Math.min(end, at + longestEscape)
    }
    return at
  }

  /** Puts a byte, and as long as an escape ends there, the byte meant in its place. */
  #put(byte: number, origin: number): void {
    let index = this.length
    this.bytes[index] = byte
    this.#origin[index] = origin
    this.length = index + 1
    while (this.#introducer !== -1) {
      const start = this.#introducer
      const read = readEscape(this.bytes, start, this.length)
      if (read === unfinished) break
      // No escape holds the beginning of another, so what stands before this one cannot go on either.
      if (read === none || start + lengthOf(read) !== this.length || this.#idle[byteOf(read)] === 1) {
        this.#introducer = -1
        break
      }
      this.bytes[start] = byteOf(read)
      index = start
      this.length = start + 1
      this.#introducer = introducerBefore(this.bytes, start)
    }
    if (introduces[this.bytes[index] ?? 0] === 1) this.#introducer = index
  }

  #copy(text: Uint8Array, from: number, to: number): void {
    const count = to - from
    if (count <= 0) return
    this.#reserve(count)
    this.bytes.set(text.subarray(from, to), this.length)
    const origin = this.#origin
    for (let at = from, index = this.length; at < to; at++, index++) origin[index] = at
    this.length += count
  }

  #reserve(more: number): void {
    const needed = this.length + more
    if (needed <= this.bytes.length) return
    const bytes = new Uint8Array(needed * 2)
    bytes.set(this.bytes.subarray(0, this.length))
    this.bytes = bytes
    const origin = new Int32Array(needed * 2)
    origin.set(this.#origin.subarray(0, this.length))
    this.#origin = origin
  }
}
