// Looks for secrets in the messages that a WebSocket server sends (RFC 6455), whatever frames they are cut into.
import type { Needles } from './needles.ts'
import { Scanner } from './scanner.ts'
import { uninspectable } from './uninspectable.ts'

const continuation = 0
const lastDataOpcode = 2
const firstControlOpcode = 8
const lastControlOpcode = 10
const longestControlPayload = 125
/** Frames that may wait behind held bytes; a message of which nobody cuts a credential into more is not honest. */
export const mostDue = 10_000

const nothing = Buffer.alloc(0)

/** A frame that is to go out, in order: bytes as they are, and behind them so many of the message that is being looked at. */
interface Due {
  bytes: Uint8Array
  left: number
}

export class MessageScanner {
  /** Places found so far. */
  count = 0
  readonly #needles: Needles
  #due: Due[] = []
  /** A frame head, or a control frame, that is not complete. */
  #partial: Buffer = nothing
  #message: Scanner
  #counted = 0
  #inMessage = false
  /** Of the data frame under way: bytes that are still to come, and whether it is the last of its message. */
  #left = 0
  #final = false

  constructor(needles: Needles) {
    this.#needles = needles
    this.#message = new Scanner(needles)
  }

  /**
   * @returns what can go out now, in order
   * @throws Refusal `response_uninspectable` when a server may not send this without extensions
   */
  push(chunk: Buffer): Uint8Array[] {
    const out: Uint8Array[] = []
    let rest = this.#partial.length === 0 ? chunk : Buffer.concat([this.#partial, chunk])
    this.#partial = nothing
    while (rest.length > 0) {
      const used = this.#left > 0 ? this.#readPayload(rest, out) : this.#readFrame(rest, out)
      if (used === 0) {
        this.#partial = Buffer.from(rest)
        break
      }
      rest = rest.subarray(used)
    }
    return out
  }

  #readPayload(text: Buffer, out: Uint8Array[]): number {
    const payload = text.subarray(0, this.#left)
    this.#left -= payload.length
    this.#give(this.#message.push(payload), out)
    if (this.#left === 0 && this.#final) this.#endMessage(out)
    return payload.length
  }

  /** @returns how many bytes were read: a whole control frame or the head of a data frame; 0 when more is needed */
  #readFrame(text: Buffer, out: Uint8Array[]): number {
    if (text.length < 2) return 0
    const first = text.readUInt8(0)
    const second = text.readUInt8(1)
    // §5.1: a server does not mask. §5.2: reserved bits belong to extensions, and none was offered.
    if ((first & 0x70) !== 0 || (second & 0x80) !== 0)
      throw uninspectable('a WebSocket frame with a mask or an extension')
    if (this.#due.length >= mostDue) throw uninspectable('a WebSocket message in too many frames')
    const opcode = first & 0x0f
    const final = (first & 0x80) !== 0
    return opcode >= firstControlOpcode
      ? this.#readControl(text, opcode, final, second, out)
      : this.#readData(text, opcode, final, second, out)
  }

  #readControl(text: Buffer, opcode: number, final: boolean, length: number, out: Uint8Array[]): number {
    if (opcode > lastControlOpcode || !final || length > longestControlPayload)
      throw uninspectable('a malformed WebSocket control frame')
    if (text.length < 2 + length) return 0
    const scanner = new Scanner(this.#needles)
    const clean = [text.subarray(0, 2), scanner.push(text.subarray(2, 2 + length)), scanner.finish()]
    this.#due.push({ bytes: Buffer.concat(clean), left: 0 })
    this.count += scanner.count
    this.#drain(nothing, out)
    return 2 + length
  }

  #readData(text: Buffer, opcode: number, final: boolean, length: number, out: Uint8Array[]): number {
    if (opcode > lastDataOpcode || (opcode === continuation) !== this.#inMessage)
      throw uninspectable('a malformed WebSocket message')
    const head = length === 126 ? 4 : length === 127 ? 10 : 2
    if (text.length < head) return 0
    this.#left = length === 126 ? text.readUInt16BE(2) : length === 127 ? Number(text.readBigUInt64BE(2)) : length
    this.#final = final
    this.#inMessage = true
    this.#due.push({ bytes: text.subarray(0, head), left: this.#left })
    this.#drain(nothing, out)
    if (this.#left === 0 && final) this.#endMessage(out)
    return head
  }

  #endMessage(out: Uint8Array[]): void {
    this.#give(this.#message.finish(), out)
    this.#message = new Scanner(this.#needles)
    this.#counted = 0
    this.#inMessage = false
  }

  #give(clean: Uint8Array, out: Uint8Array[]): void {
    this.count += this.#message.count - this.#counted
    this.#counted = this.#message.count
    this.#drain(clean, out)
  }

  /** Moves to `out` what is due, as far as `clean` bytes of the message allow. */
  #drain(clean: Uint8Array, out: Uint8Array[]): void {
    let rest = clean
    let done = 0
    for (const due of this.#due) {
      if (due.bytes.length > 0) out.push(due.bytes)
      due.bytes = nothing
      const part = rest.subarray(0, due.left)
      rest = rest.subarray(part.length)
      due.left -= part.length
      if (part.length > 0) out.push(part)
      if (due.left > 0) break
      done++
    }
    if (done > 0) this.#due = this.#due.slice(done)
  }
}
