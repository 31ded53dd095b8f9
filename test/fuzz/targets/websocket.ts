// Frames of a WebSocket server, with a secret in them: however they are cut, nothing of it passes, and what passes is the same frames.
import { Needles } from '../../../proxy/redact/needles.ts'
import { MessageScanner } from '../../../proxy/redact/websocket.ts'
import { Refusal } from '../../../proxy/refusal.ts'
import { Secret } from '../../../proxy/secret.ts'
import { latin1, must, mustEqual, type Target } from '../target.ts'

const secret = 'sk-proj-Zq8/fT3+xW'
const found = Needles.of([new Secret('canary', secret)])
if (found === undefined) throw new Error('too short')
const needles = found
const base64 = Buffer.from(`:${secret}:`).toString('base64')
/** The characters of it that hold nothing but bits of the secret. */
const core = base64.slice(2, 25)

function frame(first: number, payload: string | Uint8Array): Buffer {
  const bytes = Buffer.from(payload)
  const head =
    bytes.length < 126 ? Buffer.of(first, bytes.length) : Buffer.of(first, 126, bytes.length >> 8, bytes.length & 255)
  return Buffer.concat([head, bytes])
}

export const target: Target = {
  name: 'websocket',
  longest: 300,
  seeds: [
    frame(0x81, `{"echo":"${secret}"}`),
    Buffer.concat([
      frame(0x01, `x${secret.slice(0, 7)}`),
      frame(0x89, 'ping'),
      frame(0x00, secret.slice(7)),
      frame(0x80, '!'),
    ]),
    Buffer.concat([frame(0x82, `${base64} ${'a'.repeat(130)}`), frame(0x88, '\x03\xe8bye')]),
    Buffer.concat([frame(0x8a, secret), frame(0x81, '')]),
  ],
  dictionary: [
    ...[
      frame(0x01, ''),
      frame(0x80, ''),
      frame(0x00, 'a'),
      frame(0x89, ''),
      frame(0x8a, 'x'),
      frame(0x88, ''),
      frame(0x81, secret),
    ],
    ...[
      Buffer.of(0x81, 126, 0, 5),
      Buffer.of(0x81, 127, 0, 0, 0, 0, 0, 0, 0, 3),
      Buffer.of(0xc1, 0),
      secret,
      secret.slice(0, 9),
      secret.slice(9),
      base64,
    ],
  ],
  run(input) {
    const whole = passed(input, input.length)
    const size = 1 + ((input[input.length - 1] ?? 0) % 9)
    const cut = passed(input, size)
    mustEqual(cut.refused === '', whole.refused === '', `refused in pieces of ${size}`)
    // At an end that breaks off within a frame, how much is held back may differ; what passes does not.
    must(cut.text.startsWith(whole.text) || whole.text.startsWith(cut.text), `cut into pieces of ${size}: ${cut.text}`)
    const out = Buffer.from(whole.text, 'latin1')
    must(out.length <= input.length, 'it grows')
    for (const [at, byte] of out.entries()) must(byte === input[at] || byte === 0x2a, 'another byte was put in')
    for (const message of messagesOf(out)) {
      must(!message.includes(secret), `the secret passes: ${message}`)
      must(!message.includes(core), `the secret passes in base64: ${message}`)
    }
  },
}

function passed(input: Uint8Array, size: number) {
  const scanner = new MessageScanner(needles)
  const parts: Uint8Array[] = []
  let refused = ''
  try {
    for (let at = 0; at < input.length; at += size)
      parts.push(...scanner.push(Buffer.from(input.subarray(at, at + size))))
  } catch (error) {
    if (!(error instanceof Refusal) || error.reason !== 'response_uninspectable') throw error
    refused = error.detail ?? ''
  }
  // What had passed before is not the same where one chunk holds all; that it was refused is.
  return refused === '' ? { text: latin1(Buffer.concat(parts)), refused } : { text: '', refused }
}

/** As a client reads them: payloads of data frames put together, of control frames alone. */
function messagesOf(bytes: Buffer): string[] {
  const messages: string[] = []
  let message = ''
  let at = 0
  while (at + 2 <= bytes.length) {
    const short = (bytes[at + 1] ?? 0) & 0x7f
    const head = short === 126 ? 4 : short === 127 ? 10 : 2
    if (at + head > bytes.length) break
    const length =
      short === 126 ? bytes.readUInt16BE(at + 2) : short === 127 ? Number(bytes.readBigUInt64BE(at + 2)) : short
    const payload = latin1(bytes.subarray(at + head, at + head + length))
    if (((bytes[at] ?? 0) & 8) !== 0) messages.push(payload)
    else {
      message += payload
      if (((bytes[at] ?? 0) & 0x80) !== 0) {
        messages.push(message)
        message = ''
      }
    }
    at += head + length
  }
  return [...messages, message]
}
