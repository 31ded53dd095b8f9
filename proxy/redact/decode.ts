// Takes the content coding off a body, chunk by chunk, so that it can be looked into; it goes on to the agent as plain bytes.
import type { Transform } from 'node:stream'
import {
  constants,
  createBrotliDecompress,
  createGunzip,
  createInflate,
  createInflateRaw,
  createZstdDecompress,
} from 'node:zlib'
import type { AnswerBody, BodySink, Flow, HeaderList } from '../exchange.ts'
import { uninspectable } from './uninspectable.ts'

export type Coding = 'gzip' | 'deflate' | 'br' | 'zstd'

/** As answers name them (RFC 9110 §8.4.1, RFC 7932, RFC 8878); undefined stands for plain. */
const codings = new Map<string, Coding | undefined>([
  ['gzip', 'gzip'],
  ['x-gzip', 'gzip'],
  ['deflate', 'deflate'],
  ['br', 'br'],
  ['zstd', 'zstd'],
  ['identity', undefined],
  ['', undefined],
])
export const mostCodings = 3

/** A body that grows to more than this, and to more than so many times its coded size, is taken for an attack. */
export const ampleBytes = 64 * 1024 * 1024
export const ampleRatio = 250

/** Most that RFC 9659 lets a zstd decoder be asked for: 8 MiB. */
const zstdWindowLog = 23

function isContentEncoding(name: string | undefined): boolean {
  return name?.length === 16 && name.toLowerCase() === 'content-encoding'
}

/** Whether a body has any content coding. */
export function isCoded(headers: HeaderList): boolean {
  return headers.some((name, at) => at % 2 === 0 && isContentEncoding(name))
}

/**
 * The codings of a body in the order in which they were applied.
 *
 * @throws Refusal `response_uninspectable` when there is one that cannot be taken off
 */
export function codingsOf(headers: HeaderList): readonly Coding[] {
  const found: Coding[] = []
  for (let at = 0; at < headers.length; at += 2) {
    if (!isContentEncoding(headers[at])) continue
    for (const item of (headers[at + 1] ?? '').split(',')) {
      const name = item.trim().toLowerCase()
      if (!codings.has(name)) throw uninspectable('a content coding that the proxy cannot read')
      const coding = codings.get(name)
      if (coding !== undefined) found.push(coding)
    }
  }
  if (found.length > mostCodings) throw uninspectable('too many content codings')
  return found
}

/** Fields that tell of the coded bytes: they would be wrong about the plain ones (RFC 9110 §8, RFC 9530). */
const ofCoded = new Set([
  'content-encoding',
  'content-length',
  'content-md5',
  'content-digest',
  'repr-digest',
  'digest',
  'accept-ranges',
])

/** Header fields as they are after decoding. A strong ETag becomes weak (RFC 9110 §8.8.1). */
export function withoutCoding(headers: HeaderList): HeaderList {
  const kept: string[] = []
  for (let at = 0; at < headers.length; at += 2) {
    const name = headers[at] ?? ''
    const value = headers[at + 1] ?? ''
    const lower = name.toLowerCase()
    if (ofCoded.has(lower)) continue
    kept.push(name, lower === 'etag' && value.startsWith('"') ? `W/${value}` : value)
  }
  return kept
}

/** The plain body under all its codings; the last applied is taken off first. */
export function decoded(body: AnswerBody, applied: readonly Coding[]): AnswerBody {
  return applied.reduceRight(
    (coded: AnswerBody, coding) => ({ deliver: (sink) => new Decoding(sink, coding).follow(coded) }),
    body,
  )
}

class Decoding implements BodySink, Flow {
  readonly #sink: BodySink
  readonly #coding: Coding
  #decoder: Transform | undefined
  #flow: Flow | undefined
  #received = 0
  #produced = 0
  #trailers: HeaderList | undefined
  #finished = false
  #over = false

  constructor(sink: BodySink, coding: Coding) {
    this.#sink = sink
    this.#coding = coding
  }

  follow(body: AnswerBody): Flow {
    this.#flow = body.deliver(this)
    return this
  }

  data(chunk: Uint8Array): boolean {
    // Bytes after the end of the coded data mean nothing and are not passed on.
    if (this.#over || this.#finished || chunk.length === 0) return true
    this.#received += chunk.length
    this.#decoder ??= this.#begin(chunk[0] ?? 0)
    return this.#decoder.write(chunk)
  }

  end(trailers: HeaderList): void {
    this.#trailers = trailers
    if (this.#decoder === undefined || this.#finished) this.#complete(trailers)
    else this.#decoder.end()
  }

  fail(error: Error): void {
    if (this.#over) return
    this.#over = true
    this.#decoder?.destroy()
    this.#sink.fail(error)
  }

  resume(): void {
    this.#decoder?.resume()
  }

  cancel(reason: Error): void {
    this.#over = true
    this.#decoder?.destroy()
    this.#flow?.cancel(reason)
  }

  #begin(first: number): Transform {
    const decoder = createDecoder(this.#coding, first)
    decoder.on('data', (chunk: Buffer) => this.#pass(chunk, decoder))
    decoder.on('drain', () => this.#flow?.resume())
    decoder.on('error', (error) => this.#refuse(`${this.#coding}: ${error.message}`))
    decoder.on('end', () => {
      this.#finished = true
      if (this.#trailers !== undefined) this.#complete(this.#trailers)
      else this.#flow?.resume()
    })
    return decoder
  }

  #pass(chunk: Buffer, decoder: Transform): void {
    if (this.#over) return
    this.#produced += chunk.length
    if (this.#produced > ampleBytes && this.#produced > this.#received * ampleRatio)
      this.#refuse(`${this.#coding}: grows to more than ${ampleRatio} times its size`)
    else if (!this.#sink.data(chunk)) decoder.pause()
  }

  #complete(trailers: HeaderList): void {
    if (this.#over) return
    this.#over = true
    this.#sink.end(trailers)
  }

  #refuse(detail: string): void {
    if (this.#over) return
    const refusal = uninspectable(detail)
    this.cancel(refusal)
    this.#sink.fail(refusal)
  }
}

function createDecoder(coding: Coding, first: number): Transform {
  switch (coding) {
    case 'gzip':
      return createGunzip()
    case 'deflate':
      // Some servers send it without the zlib wrapper, whose first byte names the method: 8 (RFC 1950 §2.2).
      return (first & 0x0f) === 8 ? createInflate() : createInflateRaw()
    case 'br':
      return createBrotliDecompress()
    case 'zstd':
      return createZstdDecompress({ params: { [constants.ZSTD_d_windowLogMax]: zstdWindowLog } })
  }
}
