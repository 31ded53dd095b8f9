// Puts content codings on a body so that a reader who takes them off gets it in the very pieces that it was given in.
import { once } from 'node:events'
import type { Transform } from 'node:stream'
import {
  constants,
  createBrotliCompress,
  createDeflate,
  createDeflateRaw,
  createGzip,
  createZstdCompress,
  type Zlib,
} from 'node:zlib'

const small = { level: 1, memLevel: 1, windowBits: 10 }
const makers: Readonly<Record<string, () => Transform & Zlib & { flush(kind: number, done: () => void): void }>> = {
  gzip: () => createGzip(small),
  deflate: () => createDeflate(small),
  'raw deflate': () => createDeflateRaw(small),
  br: () =>
    createBrotliCompress({ params: { [constants.BROTLI_PARAM_QUALITY]: 1, [constants.BROTLI_PARAM_LGWIN]: 10 } }),
  zstd: () => createZstdCompress({ params: { [constants.ZSTD_c_compressionLevel]: 1 } }),
}
const flushes: Readonly<Record<string, number>> = {
  br: constants.BROTLI_OPERATION_FLUSH,
  zstd: constants.ZSTD_e_flush,
}

/** By name, in the order in which they are put on. */
export const codings: Readonly<Record<string, readonly string[]>> = {
  identity: [],
  gzip: ['gzip'],
  deflate: ['deflate'],
  'deflate without its wrapper': ['raw deflate'],
  br: ['br'],
  zstd: ['zstd'],
  'br under gzip': ['br', 'gzip'],
  'gzip under deflate under zstd': ['gzip', 'deflate', 'zstd'],
}

/** As in Content-Encoding. */
export const named = (applied: readonly string[]) => applied.map((name) => name.replace('raw ', '')).join(', ')

/** @returns a coded piece for each piece */
export async function coded(pieces: readonly Buffer[], applied: readonly string[]): Promise<readonly Buffer[]> {
  let result = pieces
  for (const name of applied) result = await one(result, name)
  return result
}

async function one(pieces: readonly Buffer[], name: string): Promise<Buffer[]> {
  const encoder = makers[name]?.()
  if (encoder === undefined) throw new Error(`no coding ${name}`)
  const result: Buffer[] = []
  let came: Buffer[] = []
  encoder.on('data', (chunk: Buffer) => came.push(chunk))
  const take = () => {
    result.push(Buffer.concat(came))
    came = []
  }
  for (const piece of pieces.slice(0, -1)) {
    encoder.write(piece)
    await new Promise<void>((done) => encoder.flush(flushes[name] ?? constants.Z_SYNC_FLUSH, done))
    take()
  }
  encoder.end(pieces.at(-1))
  await once(encoder, 'end')
  take()
  return result
}
