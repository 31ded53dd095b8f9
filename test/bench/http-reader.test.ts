// The load's reader must count right, or every figure of the bench is wrong.
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { HttpReader } from '../../bench/http-reader.ts'

const message = fc.record({ body: fc.string({ maxLength: 300 }), chunked: fc.boolean() })

function write({ body, chunked }: { body: string; chunked: boolean }): Buffer {
  const bytes = Buffer.from(body)
  if (!chunked) return Buffer.concat([Buffer.from(`HTTP/1.1 200 OK\r\nContent-Length: ${bytes.length}\r\n\r\n`), bytes])
  const middle = bytes.length >> 1
  const chunks = [bytes.subarray(0, middle), bytes.subarray(middle)].filter((chunk) => chunk.length > 0)
  return Buffer.concat([
    Buffer.from('HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n'),
    ...chunks.flatMap((chunk) => [Buffer.from(`${chunk.length.toString(16)}\r\n`), chunk, Buffer.from('\r\n')]),
    Buffer.from('0\r\n\r\n'),
  ])
}

test('reads every body, wherever the stream is cut', () => {
  fc.assert(
    fc.property(
      fc.array(message, { maxLength: 6 }),
      fc.infiniteStream(fc.integer({ min: 1, max: 40 })),
      (sent, cuts) => {
        const bodies: string[] = []
        let pieces: Buffer[] = []
        const reader = new HttpReader({
          body(piece) {
            pieces.push(Buffer.from(piece))
          },
          done() {
            bodies.push(Buffer.concat(pieces).toString())
            pieces = []
          },
        })
        const stream = Buffer.concat(sent.map(write))
        for (let at = 0; at < stream.length; ) {
          const next = Math.min(stream.length, at + Number(cuts.next().value))
          reader.feed(stream.subarray(at, next))
          at = next
        }
        expect(bodies).toEqual(sent.map(({ body }) => Buffer.from(body).toString()))
      },
    ),
  )
})

test('a body without a length goes on until the connection ends', () => {
  let received = ''
  let done = false
  const reader = new HttpReader({
    body: (piece) => {
      received += piece.toString()
    },
    done: () => {
      done = true
    },
  })
  reader.feed(Buffer.from('HTTP/1.1 200 OK\r\n\r\none '))
  reader.feed(Buffer.from('two'))
  expect({ received, done }).toEqual({ received: 'one two', done: false })
})
