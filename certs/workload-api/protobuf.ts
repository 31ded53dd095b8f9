// The part of the protobuf wire format that the Workload API needs: fields with a length. Others are passed over.
// Read by hand, so that a hostile message costs no more than its bytes: nothing is made of a field before it is asked for.

/** Bytes that are not a protobuf message, or one beyond all bounds. */
export class ProtobufError extends Error {
  override readonly name = 'ProtobufError'
}

const wire = { varint: 0, fixed64: 1, bytes: 2, fixed32: 5 } as const

/**
 * Hands each field with a length to `take`, in order. The payloads are views of the message.
 * @throws ProtobufError
 */
export function readFields(message: Uint8Array, take: (field: number, payload: Uint8Array) => void): void {
  let at = 0
  const varint = (): number => {
    let value = 0
    for (let shift = 0; shift < 70; shift += 7) {
      const byte = message[at++]
      if (byte === undefined) throw new ProtobufError('a number is cut off')
      // Beyond 2^53 digits are lost: such a number is no tag, no length within the message, and else passed over.
      value += (byte & 0x7f) * 2 ** shift
      if (byte < 0x80) return value
    }
    throw new ProtobufError('a number is too long')
  }
  const advance = (length: number): Uint8Array => {
    if (length > message.length - at) throw new ProtobufError('a field is cut off')
    const start = at
    at += length
    return message.subarray(start, at)
  }
  while (at < message.length) {
    const tag = varint()
    const field = Math.floor(tag / 8)
    if (field === 0 || tag > 0xffff_ffff) throw new ProtobufError('a field has no valid number')
    switch (tag % 8) {
      case wire.varint:
        varint()
        break
      case wire.fixed64:
        advance(8)
        break
      case wire.bytes:
        take(field, advance(varint()))
        break
      case wire.fixed32:
        advance(4)
        break
      default:
        throw new ProtobufError('a field is of a kind that is not used')
    }
  }
}

const utf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true })

/** @throws ProtobufError when it is not UTF-8, as strings must be */
export function text(payload: Uint8Array): string {
  try {
    return utf8.decode(payload)
  } catch (cause) {
    throw new ProtobufError('a text is not UTF-8', { cause })
  }
}

/** A field with a length; empty ones are left out, as proto3 does with defaults. */
export function field(number: number, payload: Uint8Array | string): Uint8Array {
  const bytes = typeof payload === 'string' ? Buffer.from(payload) : payload
  return bytes.length === 0 ? bytes : entry(number, bytes)
}

/** A member of a repeated field: written even when it is empty. */
export function entry(number: number, payload: Uint8Array): Uint8Array {
  return Buffer.concat([varintBytes(number * 8 + wire.bytes), varintBytes(payload.length), payload])
}

function varintBytes(value: number): Uint8Array {
  const bytes: number[] = []
  let rest = value
  for (; rest >= 0x80; rest = Math.floor(rest / 0x80)) bytes.push((rest % 0x80) | 0x80)
  bytes.push(rest)
  return Uint8Array.from(bytes)
}
