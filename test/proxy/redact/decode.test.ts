import type { Transform } from 'node:stream'
import {
  brotliCompressSync,
  constants,
  createBrotliCompress,
  createDeflate,
  createDeflateRaw,
  createGzip,
  createZstdCompress,
  deflateRawSync,
  deflateSync,
  gzipSync,
  zstdCompressSync,
} from 'node:zlib'
import { describe, expect, it, vi } from 'vitest'
import { type Coding, codingsOf, decoded, isCoded, withoutCoding } from '../../../proxy/redact/decode.ts'
import { Refusal } from '../../../proxy/refusal.ts'
import { Source, Taker } from './bodies.ts'

const coders: readonly [string, Coding, (data: Uint8Array) => Buffer, () => Transform][] = [
  ['gzip', 'gzip', gzipSync, createGzip],
  ['deflate with its wrapper', 'deflate', deflateSync, createDeflate],
  ['bare deflate', 'deflate', deflateRawSync, createDeflateRaw],
  ['br', 'br', brotliCompressSync, createBrotliCompress],
  ['zstd', 'zstd', zstdCompressSync, createZstdCompress],
]

/** Writes `text` and waits until the coder has given out all of it, without its end. */
function flushed(coder: Transform, kind: string, text: string): Promise<Buffer> {
  return new Promise((resolve) => {
    coder.write(text, () => {
      const flag =
        kind === 'br'
          ? constants.BROTLI_OPERATION_FLUSH
          : kind === 'zstd'
            ? constants.ZSTD_e_flush
            : constants.Z_SYNC_FLUSH
      ;(coder as ReturnType<typeof createGzip>).flush(flag, () => {
        const parts: Buffer[] = []
        for (let part = coder.read(); part !== null; part = coder.read()) parts.push(part)
        resolve(Buffer.concat(parts))
      })
    })
  })
}

function deliver(codings: readonly Coding[], early: readonly Uint8Array[] = []) {
  const source = new Source(early)
  const taker = new Taker()
  const flow = decoded(source, codings).deliver(taker)
  return { source, taker, flow }
}

const long = Buffer.from(Array.from({ length: 300_000 }, (_, at) => (at * at) % 251))

describe.each(coders)('a body in %s', (_, coding, code, coder) => {
  it('arrives plain, with its trailers, however it is cut', async () => {
    const coded = code(long)
    for (const size of [1_000_000, 10_000, 77]) {
      const { source, taker } = deliver([coding])
      for (let at = 0; at < coded.length; at += size) source.send(coded.subarray(at, at + size))
      source.end(['X-Trailer', '1'])
      await taker.over
      expect(taker.failure).toBeUndefined()
      expect(Buffer.concat(taker.chunks).equals(long)).toBe(true)
      expect(taker.trailers).toEqual(['X-Trailer', '1'])
    }
  })

  it('arrives event by event, without the next', async () => {
    const stream = coder()
    const { source, taker } = deliver([coding])
    for (let event = 1; event <= 3; event++) {
      source.send(await flushed(stream, coding, `data: ${event}\n\n`))
      await taker.until(event * 9)
    }
    expect(taker.text).toBe('data: 1\n\ndata: 2\n\ndata: 3\n\n')
    expect(taker.endings).toBe(0)
  })

  it('may be empty', async () => {
    const { source, taker } = deliver([coding])
    source.end()
    await taker.over
    expect(taker).toMatchObject({ chunks: [], failure: undefined, trailers: [] })
  })

  it('that is cut short is refused', async () => {
    const { source, taker } = deliver([coding])
    const coded = code(long)
    source.send(coded.subarray(0, coded.length - 12))
    source.end()
    await taker.over
    expect(taker.failure).toMatchObject({ reason: 'response_uninspectable' })
    expect(taker.endings).toBe(1)
  })

  it('that is damaged is refused, and the upstream let go of', async () => {
    const { source, taker } = deliver([coding])
    const coded = Buffer.concat([code(long).subarray(0, 60), Buffer.alloc(2_000, 0xff)])
    source.send(coded)
    source.end()
    await taker.over
    expect(taker.failure).toMatchObject({ reason: 'response_uninspectable' })
    await vi.waitFor(() => expect(source.cancelled).toBeInstanceOf(Refusal))
    expect(taker.endings).toBe(1)
  })

  it('breaks off when the upstream does', async () => {
    const { source, taker } = deliver([coding])
    source.send(code(long).subarray(0, 100))
    source.fail(new Refusal('upstream_closed'))
    await taker.over
    expect(taker.failure).toMatchObject({ reason: 'upstream_closed' })
  })

  it('waits when no more is wanted', async () => {
    const { source, taker, flow } = deliver([coding])
    taker.wanting = false
    const coded = code(Buffer.alloc(4_000_000, long))
    for (let at = 0; at < coded.length; at += 65_536) source.send(coded.subarray(at, at + 65_536))
    source.end()
    await taker.until(1)
    const early = taker.text.length
    expect(early).toBeLessThan(1_000_000)
    taker.wanting = true
    flow.resume()
    await taker.over
    expect(taker.text.length).toBe(4_000_000)
  })

  it('is not read on after it was cancelled', async () => {
    const { source, taker, flow } = deliver([coding])
    source.send(code(long))
    flow.cancel(new Refusal('client_gone'))
    expect(source.cancelled).toMatchObject({ reason: 'client_gone' })
    source.end()
    expect(taker.chunks).toEqual([])
  })
})

describe('a body in several codings', () => {
  it('is taken out of each, the last first', async () => {
    const { source, taker } = deliver(['deflate', 'gzip', 'br'])
    source.send(brotliCompressSync(gzipSync(deflateRawSync(long))))
    source.end()
    await taker.over
    expect(Buffer.concat(taker.chunks).equals(long)).toBe(true)
  })
})

describe('a body that is made to burst', () => {
  it.each([
    ['gzip', () => gzipSync(Buffer.alloc(80 << 20))],
    ['br', () => brotliCompressSync(Buffer.alloc(80 << 20), { params: { [constants.BROTLI_PARAM_QUALITY]: 1 } })],
    ['zstd', () => zstdCompressSync(Buffer.alloc(80 << 20))],
  ] as const)('in %s is broken off', async (coding, make) => {
    const source = new Source()
    let passed = 0
    let failure: Error | undefined
    const over = new Promise<void>((resolve) => {
      decoded(source, [coding]).deliver({
        data: (chunk) => {
          passed += chunk.length
          return true
        },
        end: () => resolve(),
        fail: (error) => {
          failure = error
          resolve()
        },
      })
    })
    source.send(make())
    await over
    expect(failure).toMatchObject({ reason: 'response_uninspectable', detail: expect.stringContaining('250 times') })
    expect(passed).toBeLessThanOrEqual(65 << 20)
  })

  it('in a zstd window of more than 8 MiB is refused', async () => {
    const { source, taker } = deliver(['zstd'])
    const params = { [constants.ZSTD_c_windowLog]: 26, [constants.ZSTD_c_compressionLevel]: 3 }
    const stream = createZstdCompress({ params })
    source.send(await flushed(stream, 'zstd', 'x'.repeat(100_000)))
    source.end()
    await taker.over
    expect(taker.failure).toMatchObject({ reason: 'response_uninspectable' })
  })
})

describe('bytes behind the end of a gzip body', () => {
  it('are not passed on: in the same piece they spoil it', async () => {
    const { source, taker } = deliver(['gzip'])
    source.send(Buffer.concat([gzipSync('plain'), Buffer.from('garbage')]))
    source.end()
    await taker.over
    expect(taker.failure).toMatchObject({ reason: 'response_uninspectable' })
    expect(taker.text).not.toContain('garbage')
  })

  it('are not passed on: later they are dropped', async () => {
    const { source, taker } = deliver(['gzip'])
    source.send(gzipSync('plain'))
    await taker.until(5)
    source.send('garbage')
    source.end(['T', '1'])
    await taker.over
    expect(taker.text).toBe('plain')
  })

  it('are read when they are another member', async () => {
    const { source, taker } = deliver(['gzip'])
    source.send(Buffer.concat([gzipSync('one '), gzipSync('two')]))
    source.end()
    await taker.over
    expect(taker.text).toBe('one two')
  })
})

describe('Content-Encoding', () => {
  it.each([
    [['Content-Encoding', 'gzip'], ['gzip']],
    [['content-encoding', 'GZIP'], ['gzip']],
    [
      ['Content-Encoding', 'x-gzip, br'],
      ['gzip', 'br'],
    ],
    [['Content-Encoding', 'identity'], []],
    [
      ['Content-Encoding', 'gzip', 'X', '1', 'Content-Encoding', 'zstd'],
      ['gzip', 'zstd'],
    ],
    [['Content-Encoding', ''], []],
    [['X', 'Content-Encoding'], []],
  ])('%j names %j', (headers, expected) => {
    expect(codingsOf(headers)).toEqual(expected)
    expect(isCoded(headers)).toBe(headers[0] !== 'X')
  })

  it.each(['compress', 'dcb', 'gzip, exi', 'gzip;q=1', 'gzip, gzip, gzip, gzip'])('%s is refused', (value) => {
    expect(() => codingsOf(['Content-Encoding', value])).toThrow(
      expect.objectContaining({ reason: 'response_uninspectable' }),
    )
  })
})

it('fields that tell of the coded bytes go with them', () => {
  expect(
    withoutCoding([
      'Content-Type',
      'text/plain',
      'Content-Encoding',
      'gzip',
      'content-length',
      '10',
      'ETag',
      '"abc"',
      'Content-MD5',
      'x',
      'Content-Digest',
      'x',
      'Repr-Digest',
      'x',
      'Digest',
      'x',
      'Accept-Ranges',
      'bytes',
      'Vary',
      'Accept-Encoding',
    ]),
  ).toEqual(['Content-Type', 'text/plain', 'ETag', 'W/"abc"', 'Vary', 'Accept-Encoding'])
  expect(withoutCoding(['ETag', 'W/"abc"'])).toEqual(['ETag', 'W/"abc"'])
})
