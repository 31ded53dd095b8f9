// Takes the data out of an event stream as its bytes pass (HTML §9.2.6): each event is a text of its own.

const lineFeed = 0x0a
const carriageReturn = 0x0d
const space = 0x20
const field = Buffer.from('data:')
const lineEnd = Buffer.from('\n')

export interface EventReader {
  push(data: Uint8Array): void
  /** The event is over. */
  restart(): void
}

export class EventStream {
  readonly #reader: EventReader
  /** Bytes of the line so far that are those of `data:`; -1 once they are not. */
  #matched = 0
  #lineIsEmpty = true
  /** The first byte of a value may be a space that is none of it. */
  #valueBegins = false
  #eventHasData = false
  #afterReturn = false

  constructor(reader: EventReader) {
    this.#reader = reader
  }

  push(bytes: Uint8Array): void {
    let at = 0
    while (at < bytes.length) {
      const byte = bytes[at] ?? 0
      if (this.#afterReturn) {
        this.#afterReturn = false
        if (byte === lineFeed) {
          at += 1
          continue
        }
      }
      if (byte === lineFeed || byte === carriageReturn) {
        this.#afterReturn = byte === carriageReturn
        this.#endLine()
        at += 1
        continue
      }
      this.#lineIsEmpty = false
      at = this.#matched === field.length ? this.#value(bytes, at) : this.#name(byte, at)
    }
  }

  #name(byte: number, at: number): number {
    if (this.#matched >= 0) {
      this.#matched = byte === field[this.#matched] ? this.#matched + 1 : -1
      if (this.#matched === field.length) {
        if (this.#eventHasData) this.#reader.push(lineEnd)
        this.#eventHasData = true
        this.#valueBegins = true
      }
    }
    return at + 1
  }

  #value(bytes: Uint8Array, from: number): number {
    const start = this.#valueBegins && bytes[from] === space ? from + 1 : from
    this.#valueBegins = false
    const feed = bytes.indexOf(lineFeed, start)
    const line = bytes.subarray(start, feed === -1 ? bytes.length : feed)
    const carriage = line.indexOf(carriageReturn)
    const value = carriage === -1 ? line : line.subarray(0, carriage)
    if (value.length > 0) this.#reader.push(value)
    return start + value.length
  }

  #endLine(): void {
    if (this.#lineIsEmpty && this.#eventHasData) {
      this.#reader.restart()
      this.#eventHasData = false
    }
    this.#lineIsEmpty = true
    this.#matched = 0
    this.#valueBegins = false
  }
}
