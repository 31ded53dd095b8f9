import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { Needles } from '../../../proxy/redact/needles.ts'
import { MessageScanner, mostDue } from '../../../proxy/redact/websocket.ts'
import { Secret } from '../../../proxy/secret.ts'
import { token } from './encoders.ts'

const needles = Needles.of([new Secret('canary', token)])
if (needles === undefined) throw new Error('no needles')
const blank = '*'.repeat(token.length)

function frame(payload: string | Buffer, { final = true, opcode = 1, flags = 0, masked = false } = {}): Buffer {
  const body = Buffer.from(payload)
  const head = [(final ? 0x80 : 0) | flags | opcode]
  const mask = masked ? 0x80 : 0
  if (body.length < 126) head.push(mask | body.length)
  else if (body.length < 65_536) head.push(mask | 126, body.length >> 8, body.length & 255)
  else head.push(mask | 127, 0, 0, 0, 0, ...[24, 16, 8, 0].map((bits) => (body.length >>> bits) & 255))
  return Buffer.concat([Buffer.from(head), masked ? Buffer.alloc(4) : Buffer.alloc(0), body])
}

function scan(stream: Buffer, cuts: readonly number[] = []) {
  const scanner = new MessageScanner(needles as Needles)
  const out: Uint8Array[] = []
  let from = 0
  for (const cut of [...cuts, stream.length]) {
    out.push(...scanner.push(stream.subarray(from, cut)))
    from = cut
  }
  return { bytes: Buffer.concat(out), count: scanner.count }
}

describe('a secret in a message of a WebSocket server', () => {
  it.each([0, 100, 1_000, 70_000])('is blanked in one frame of %i more bytes', (length) => {
    const [before, after] = ['.'.repeat(length), ',']
    const { bytes, count } = scan(frame(before + token + after))
    expect(bytes.equals(frame(before + blank + after))).toBe(true)
    expect(count).toBe(1)
  })

  it('is blanked in fragments of one byte, with pings between, however the stream is cut', () => {
    const text = `a ${token} b`
    const build = (message: string) =>
      Buffer.concat(
        [...message].flatMap((character, at) => [
          frame(character, { opcode: at === 0 ? 1 : 0, final: at === message.length - 1 }),
          ...(at % 5 === 1 ? [frame('ping', { opcode: 9 })] : []),
        ]),
      )
    const stream = build(text)
    const expected = build(`a ${blank} b`)
    for (let cut = 1; cut < stream.length; cut++) expect(scan(stream, [cut]).bytes.equals(expected)).toBe(true)
    const each = Array.from({ length: stream.length - 1 }, (_, at) => at + 1)
    expect(scan(stream, each)).toMatchObject({ count: 1 })
    expect(scan(stream, each).bytes.equals(expected)).toBe(true)
  })

  it.each([8, 9, 10])('is blanked in a control frame (%i)', (opcode) => {
    expect(scan(frame(`xx${token}`, { opcode })).bytes.equals(frame(`xx${blank}`, { opcode }))).toBe(true)
  })

  it('is not made of two messages', () => {
    const stream = Buffer.concat([frame(token.slice(0, 10)), frame(token.slice(10))])
    expect(scan(stream)).toMatchObject({ count: 0 })
    expect(scan(stream).bytes.equals(stream)).toBe(true)
  })
})

describe('a message without a secret', () => {
  it('leaves at once, though it ends like the beginning of one', () => {
    const stream = frame(`to ${token.slice(0, 5)}`)
    expect(scan(stream).bytes.equals(stream)).toBe(true)
  })

  it('passes as it is, however it is cut', () => {
    const anyFrame = fc
      .tuple(fc.uint8Array({ maxLength: 300 }), fc.constantFrom(1, 2, 9, 10))
      .map(([payload, opcode]) => frame(Buffer.from(payload.subarray(0, opcode > 2 ? 125 : undefined)), { opcode }))
    fc.assert(
      fc.property(
        fc.array(anyFrame, { maxLength: 6 }),
        fc.array(fc.nat({ max: 1_500 }), { maxLength: 8 }),
        (frames, places) => {
          const stream = Buffer.concat(frames)
          const cuts = [...new Set(places.filter((place) => place < stream.length))].sort((a, b) => a - b)
          expect(scan(stream, cuts).bytes.equals(stream)).toBe(true)
        },
      ),
    )
  })
})

describe('frames that a server may not send', () => {
  it.each<[string, Buffer]>([
    ['masked', frame('x', { masked: true })],
    ['compressed', frame('x', { flags: 0x40 })],
    ['with a reserved bit', frame('x', { flags: 0x10 })],
    ['with a reserved opcode', frame('x', { opcode: 3 })],
    ['with a reserved control opcode', frame('x', { opcode: 11 })],
    ['a long ping', frame('x'.repeat(126), { opcode: 9 })],
    ['a ping in fragments', frame('x', { opcode: 9, final: false })],
    ['a continuation of nothing', frame('x', { opcode: 0 })],
    ['a message in a message', Buffer.concat([frame('x', { final: false }), frame('y')])],
    [
      'empty ones without end behind held bytes',
      Buffer.concat([
        frame('sk-', { final: false }),
        ...Array.from({ length: 20_000 }, () => frame('', { opcode: 0, final: false })),
      ]),
    ],
  ])('are refused: %s', (_, stream) => {
    expect(() => scan(stream)).toThrow(expect.objectContaining({ reason: 'response_uninspectable' }))
  })
})

describe('frames that wait behind held bytes', () => {
  const held = frame(token.slice(0, 5), { final: false })
  const kinds: [string, Buffer][] = [
    ['of the message', frame('', { opcode: 0, final: false })],
    ['of control', frame('ping', { opcode: 9 })],
  ]

  it.each(kinds)('are so many, and go out when the find is closed: %s', (_, each) => {
    const most = Buffer.concat([held, ...Array<Buffer>(mostDue - 1).fill(each)])
    const scanner = new MessageScanner(needles)
    expect(Buffer.concat(scanner.push(most))).toHaveLength(2)
    const end = frame('.', { opcode: 0 })
    // The end finds no room either, so that one fewer may wait before it.
    const fewer = Buffer.concat([held, ...Array<Buffer>(mostDue - 2).fill(each), end])
    expect(scan(fewer).bytes.equals(fewer)).toBe(true)
  })

  it.each(kinds)('are refused when one more comes: %s', (_, each) => {
    const scanner = new MessageScanner(needles)
    scanner.push(Buffer.concat([held, ...Array<Buffer>(mostDue - 1).fill(each)]))
    expect(() => scanner.push(each)).toThrow(expect.objectContaining({ reason: 'response_uninspectable' }))
  })
})
