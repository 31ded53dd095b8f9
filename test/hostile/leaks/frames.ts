// Writes and reads the frames of RFC 6455 in the plainest way, those that a server may not send included.
import { constants, deflateRawSync, inflateRawSync } from 'node:zlib'

export const continuation = 0
export const text = 1
export const binary = 2
export const close = 8
export const ping = 9
export const pong = 10

export interface Shape {
  readonly final?: boolean
  readonly mask?: Buffer
  /** Under permessage-deflate (RFC 7692). */
  readonly deflated?: boolean
}

export function frame(opcode: number, content: Buffer, { final = true, mask, deflated = false }: Shape = {}): Buffer {
  const packed = deflated ? deflateRawSync(content, { finishFlush: constants.Z_SYNC_FLUSH }).subarray(0, -4) : content
  const payload = mask === undefined ? packed : masked(packed, mask)
  const first = (final ? 0x80 : 0) | (deflated ? 0x40 : 0) | opcode
  const bit = mask === undefined ? 0 : 0x80
  const length = Buffer.alloc(payload.length < 126 ? 1 : payload.length < 65_536 ? 3 : 9)
  if (length.length === 1) length[0] = bit | payload.length
  else if (length.length === 3) length.writeUIntBE(((bit | 126) << 16) | payload.length, 0, 3)
  else {
    length[0] = bit | 127
    length.writeBigUInt64BE(BigInt(payload.length), 1)
  }
  return Buffer.concat([Buffer.of(first), length, mask ?? Buffer.alloc(0), payload])
}

const masked = (payload: Buffer, mask: Buffer) => payload.map((byte, at) => byte ^ (mask[at % 4] ?? 0)) as Buffer

/** What the messages and control frames in a stream say; what is not complete counts as far as it came. */
export function saidInFrames(stream: Buffer): Buffer[] {
  const said: Buffer[] = []
  let message: Buffer[] = []
  for (let at = 0; at + 2 <= stream.length; ) {
    const first = stream[at] ?? 0
    const second = stream[at + 1] ?? 0
    const short = second & 0x7f
    at += 2
    const length = short === 126 ? stream.readUIntBE(at, 2) : short === 127 ? Number(stream.readBigUInt64BE(at)) : short
    at += short === 126 ? 2 : short === 127 ? 8 : 0
    const mask = second & 0x80 ? stream.subarray(at, at + 4) : undefined
    at += mask === undefined ? 0 : 4
    const sent = stream.subarray(at, at + length)
    at += length
    const plain = mask === undefined ? sent : masked(sent, mask)
    const payload = first & 0x40 ? inflateRawSync(plain, { finishFlush: constants.Z_SYNC_FLUSH }) : plain
    if ((first & 0x0f) >= close) said.push(payload)
    else {
      message.push(payload)
      if ((first & 0x80) === 0) continue
      said.push(Buffer.concat(message))
      message = []
    }
  }
  return [...said, Buffer.concat(message)]
}
