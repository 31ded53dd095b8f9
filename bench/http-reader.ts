// Reads HTTP/1.1 messages off a stream, requests or responses, with as little work as possible. It trusts its peer: for the bench alone.

export interface MessageEvents {
  /** The head is there: its first line and the rest, as one text. */
  head?(text: string): void
  /** A piece of the body, framing taken off. */
  body?(piece: Buffer): void
  /** The message is complete. */
  done(): void
}

const headEnd = Buffer.from('\r\n\r\n')
const none = Buffer.alloc(0)

export class HttpReader {
  readonly #events: MessageEvents
  #kept: Buffer = none
  #state: 'head' | 'length' | 'size' | 'chunk' | 'trailers' | 'close' = 'head'
  /** Bytes of body or chunk still to come. */
  #left = 0

  constructor(events: MessageEvents) {
    this.#events = events
  }

  /** @throws when the bytes are no message */
  feed(chunk: Buffer): void {
    let bytes = this.#kept.length === 0 ? chunk : Buffer.concat([this.#kept, chunk])
    this.#kept = none
    while (bytes.length > 0) {
      const used = this.#step(bytes)
      if (used === 0) {
        // The reader of the socket may reuse its memory.
        this.#kept = Buffer.from(bytes)
        return
      }
      bytes = bytes.subarray(used)
    }
  }

  /** Takes what it can from the front; 0: needs more. */
  #step(bytes: Buffer): number {
    switch (this.#state) {
      case 'head':
        return this.#takeHead(bytes)
      case 'length':
        return this.#takeBody(bytes, true)
      case 'chunk':
        return this.#takeBody(bytes, false)
      case 'size':
        return this.#takeSize(bytes)
      case 'trailers':
        return this.#takeTrailer(bytes)
      case 'close':
        this.#events.body?.(bytes)
        return bytes.length
    }
  }

  #takeHead(bytes: Buffer): number {
    const end = bytes.indexOf(headEnd)
    if (end === -1) return 0
    const text = bytes.toString('latin1', 0, end)
    this.#events.head?.(text)
    const length = /\r\ncontent-length: ?(\d+)/i.exec(text)?.[1]
    if (length !== undefined) this.#left = Number(length)
    else if (/\r\ntransfer-encoding: ?chunked/i.test(text)) this.#state = 'size'
    else if (text.startsWith('HTTP/') && !text.startsWith(' 204', 8)) this.#state = 'close'
    if (this.#state === 'head') {
      if (this.#left === 0) this.#events.done()
      else this.#state = 'length'
    }
    return end + 4
  }

  #takeBody(bytes: Buffer, last: boolean): number {
    // A chunk's CRLF counts into `left`, and is not handed on.
    const used = Math.min(this.#left, bytes.length)
    const framing = last ? 0 : Math.max(0, used - Math.max(0, this.#left - 2))
    if (used > framing) this.#events.body?.(bytes.subarray(0, used - framing))
    this.#left -= used
    if (this.#left === 0) {
      this.#state = last ? 'head' : 'size'
      if (last) this.#events.done()
    }
    return used
  }

  #takeSize(bytes: Buffer): number {
    const end = bytes.indexOf('\r\n')
    if (end === -1) return 0
    const size = Number.parseInt(bytes.toString('latin1', 0, end), 16)
    if (Number.isNaN(size)) throw new Error(`no chunk size: ${JSON.stringify(bytes.toString('latin1', 0, end))}`)
    this.#state = size === 0 ? 'trailers' : 'chunk'
    this.#left = size + 2
    return end + 2
  }

  #takeTrailer(bytes: Buffer): number {
    const end = bytes.indexOf('\r\n')
    if (end === -1) return 0
    if (end === 0) {
      this.#state = 'head'
      this.#left = 0
      this.#events.done()
    }
    return end + 2
  }
}
