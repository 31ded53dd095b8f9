// Reads a secret out of bytes by trying whatever undoes an encoding on all of them, again and again. It shares nothing with the scanner, and takes its time.
import { brotliDecompressSync, constants, gunzipSync, inflateRawSync, inflateSync, zstdDecompressSync } from 'node:zlib'

/** So many characters in a row, or a few more, are a leak. */
const telling = 8
/** How far apart the pieces begin that are looked for: any run of `telling + stride - 1` characters holds one. */
const stride = 4
/** Escapes of escapes are undone so many times. */
const mostEscapes = 5
/** Base64 within base64, and hexadecimal, are undone so many times. */
const mostCodes = 2

const names: Readonly<Record<string, string>> = { amp: '&', lt: '<', gt: '>', quot: '"', apos: "'", sol: '/' }
const escapes =
  /%([0-9a-f]{2})|\\u00([0-9a-f]{2})|\\x([0-9a-f]{2})|&#x0*([0-9a-f]{1,2});|&#0*([0-9]{1,3});|&([a-z]{2,4});|\\(["'\\/])/gi

function unescaped(text: string): string {
  return text.replaceAll(escapes, (whole, percent, json, script, hex, decimal, name, itself) => {
    const digits = percent ?? json ?? script ?? hex
    if (digits !== undefined) return String.fromCharCode(Number.parseInt(digits, 16))
    if (decimal !== undefined) return String.fromCharCode(Number.parseInt(decimal, 10) & 255)
    return itself ?? names[name] ?? whole
  })
}

/** What stands in the text in hexadecimal or base64, wherever it may begin. */
function decoded(text: string): string[] {
  const found: string[] = []
  for (const [digits] of text.matchAll(/[0-9a-f]{16,}/gi))
    for (const skip of [0, 1]) found.push(Buffer.from(digits.slice(skip), 'hex').toString('latin1'))
  for (const [word] of text.matchAll(/[A-Za-z0-9+/_-]{11,}/g))
    for (const skip of [0, 1, 2, 3]) found.push(Buffer.from(word.slice(skip), 'base64').toString('latin1'))
  return found
}

/** The ways to make a text longer of which an answer may say that they were used. */
const unpack: Readonly<Record<string, (bytes: Buffer) => Buffer>> = {
  gzip: (bytes) => gunzipSync(bytes, { finishFlush: constants.Z_SYNC_FLUSH }),
  deflate: (bytes) => {
    try {
      return inflateSync(bytes, { finishFlush: constants.Z_SYNC_FLUSH })
    } catch {
      return inflateRawSync(bytes, { finishFlush: constants.Z_SYNC_FLUSH })
    }
  },
  br: (bytes) => brotliDecompressSync(bytes, { finishFlush: constants.BROTLI_OPERATION_FLUSH }),
  zstd: (bytes) => zstdDecompressSync(bytes, { finishFlush: constants.ZSTD_e_flush }),
}

/** A body under content codings, as far as it can be read. @param codings as in Content-Encoding */
export function unpacked(body: Buffer, codings: string): Buffer {
  let plain = body
  for (const coding of codings.split(',').reverse()) {
    try {
      plain = unpack[coding.trim()]?.(plain) ?? plain
    } catch {
      return plain
    }
  }
  return plain
}

/** Knows one secret, and tells whether a text gives it away. */
export class Reader {
  readonly #pieces: readonly string[]

  constructor(secret: string) {
    const text = Buffer.from(secret).toString('latin1')
    this.#pieces = Array.from({ length: Math.ceil((text.length - telling + 1) / stride) }, (_, at) =>
      text.slice(at * stride, at * stride + telling),
    )
  }

  /** Whether some eleven characters in a row can be read, in whatever encoding; shorter runs now and then. */
  reads(bytes: Buffer): boolean {
    return this.#reads(bytes.toString('latin1'), mostCodes)
  }

  #reads(text: string, codes: number): boolean {
    let plain = text
    for (let level = 0; level <= mostEscapes; level++) {
      if (this.#holds(plain) || this.#holds(plain.replaceAll('+', ' '))) return true
      if (codes > 0 && decoded(plain).some((inner) => this.#reads(inner, codes - 1))) return true
      const next = unescaped(plain)
      if (next === plain) return false
      plain = next
    }
    return false
  }

  #holds(text: string): boolean {
    return this.#pieces.some((piece) => text.includes(piece))
  }
}
