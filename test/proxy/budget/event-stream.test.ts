// The data of events comes out as a client of event streams would read it, wherever the chunks are cut.
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { EventStream } from '../../../proxy/budget/event-stream.ts'

function eventsOf(text: string, size = Number.POSITIVE_INFINITY): string[] {
  const events: string[] = []
  let data = ''
  const stream = new EventStream({
    push(bytes) {
      data += Buffer.from(bytes).toString()
    },
    restart() {
      events.push(data)
      data = ''
    },
  })
  const bytes = Buffer.from(text)
  for (let at = 0; at < bytes.length; at += size) stream.push(bytes.subarray(at, at + size))
  return events
}

describe('the data of events', () => {
  it.each([
    ['data: one\n\ndata: two\n\n', ['one', 'two']],
    ['data:one\r\n\r\ndata:  two\r\n\r\n', ['one', ' two']],
    ['data: one\r\rdata: two\r\r', ['one', 'two']],
    ['event: x\nid: 7\ndata: {"a":\ndata: 1}\n\n', ['{"a":\n1}']],
    [': data: none\nxdata: none\ndatas: none\n\n\n\n', []],
    ['data:\n\n', ['']],
    ['data: unfinished', []],
    ['data: unfinished\n', []],
  ])('of %j', (text, expected) => {
    expect(eventsOf(text)).toEqual(expected)
    expect(eventsOf(text, 1)).toEqual(expected)
  })

  it('does not depend on how it is cut', () => {
    const part = fc.constantFrom('data:', 'data: ', ' ', 'x', '\n', '\r', '\r\n', '\n\n', 'dat', ':', 'event: a')
    fc.assert(
      fc.property(fc.array(part, { maxLength: 30 }), fc.integer({ min: 1, max: 9 }), (parts, size) => {
        const text = parts.join('')
        expect(eventsOf(text, size)).toEqual(eventsOf(text))
      }),
      { numRuns: 1_000 },
    )
  })
})
