// Reads a ClientHello (RFC 8446 §4.1.2) from the first bytes of a connection, before anything is decrypted.

export interface ClientHello {
  /** The host_name of the server_name extension (RFC 6066 §3), as sent; undefined when there is none. */
  readonly serverName: string | undefined
  /** Protocols of the ALPN extension (RFC 7301 §3.1), as sent; GREASE values among them (RFC 8701). */
  readonly alpn: readonly string[]
}

export type HelloReading =
  | { readonly state: 'hello'; readonly hello: ClientHello }
  /** What came so far may be the beginning of one. */
  | { readonly state: 'more' }
  | { readonly state: 'not-tls' }
  | { readonly state: 'malformed'; readonly why: string }

/** More than this is no ClientHello that an honest client sends; post-quantum key shares need some 2 KB. */
export const largestHello = 65_536
const contentTypeHandshake = 22
const messageClientHello = 1
const extensionServerName = 0
const extensionAlpn = 16

class Malformed extends Error {}

/** @param bytes all that was received so far */
export function readClientHello(bytes: Uint8Array): HelloReading {
  try {
    return reading(bytes)
  } catch (error) {
    if (error instanceof Malformed) return { state: 'malformed', why: error.message }
    throw error
  }
}

function reading(bytes: Uint8Array): HelloReading {
  if (bytes.length === 0) return { state: 'more' }
  if (bytes[0] !== contentTypeHandshake || (bytes.length > 1 && bytes[1] !== 3)) return { state: 'not-tls' }
  const message = handshakeMessage(bytes)
  return message === undefined ? { state: 'more' } : { state: 'hello', hello: parseHello(message) }
}

/** Joins the handshake message from the records over which it may be spread (RFC 8446 §5.1). */
function handshakeMessage(bytes: Uint8Array): Uint8Array | undefined {
  const parts: Uint8Array[] = []
  let gathered = 0
  let wanted: number | undefined
  let at = 0
  while (wanted === undefined || gathered < wanted) {
    if (bytes.length < at + 5) return undefined
    const record = new Cursor(bytes.subarray(at, at + 5))
    if (record.uint8() !== contentTypeHandshake) throw new Malformed('another record inside the ClientHello')
    if (record.uint8() !== 3) throw new Malformed('not a TLS version')
    record.uint8()
    const length = record.uint16()
    if (length === 0 || length > 16_384) throw new Malformed('record length')
    const part = bytes.subarray(at + 5, Math.min(bytes.length, at + 5 + length))
    parts.push(part)
    gathered += part.length
    if (wanted === undefined && gathered >= 4) wanted = messageLength(Buffer.concat(parts))
    if (part.length < length) {
      if (wanted !== undefined && gathered >= wanted) break
      return undefined
    }
    at += 5 + length
  }
  return Buffer.concat(parts).subarray(4, wanted)
}

/** Length of the whole message, its header of four bytes included. */
function messageLength(start: Uint8Array): number {
  const header = new Cursor(start.subarray(0, 4))
  if (header.uint8() !== messageClientHello) throw new Malformed('not a ClientHello')
  const length = header.uint24()
  if (length > largestHello) throw new Malformed('too large')
  return 4 + length
}

function parseHello(message: Uint8Array): ClientHello {
  const body = new Cursor(message)
  if (body.uint16() < 0x0301) throw new Malformed('SSL 3 or older')
  body.take(32)
  body.vector8(0, 32)
  if (body.vector16(2).length % 2 !== 0) throw new Malformed('cipher suites')
  body.vector8(1)
  const seen = new Set<number>()
  let serverName: string | undefined
  let alpn: readonly string[] = []
  if (!body.done) {
    const extensions = new Cursor(body.vector16(0))
    while (!extensions.done) {
      const type = extensions.uint16()
      const data = extensions.vector16(0)
      if (seen.has(type)) throw new Malformed('an extension twice')
      seen.add(type)
      if (type === extensionServerName) serverName = parseServerName(data)
      if (type === extensionAlpn) alpn = parseAlpn(data)
    }
  }
  if (!body.done) throw new Malformed('bytes after the extensions')
  return { serverName, alpn }
}

function parseServerName(data: Uint8Array): string {
  const outer = new Cursor(data)
  const list = new Cursor(outer.vector16(1))
  if (list.uint8() !== 0) throw new Malformed('a server name that is no host name')
  const name = list.vector16(1, 255)
  if (!list.done || !outer.done) throw new Malformed('more than one server name')
  if (name.some((byte) => byte < 0x21 || byte > 0x7e)) throw new Malformed('a server name that is not ASCII')
  return Buffer.from(name).toString('latin1')
}

function parseAlpn(data: Uint8Array): string[] {
  const outer = new Cursor(data)
  const list = new Cursor(outer.vector16(2))
  if (!outer.done) throw new Malformed('bytes after the protocols')
  const names: string[] = []
  while (!list.done) names.push(Buffer.from(list.vector8(1)).toString('latin1'))
  return names
}

/** Reads big-endian numbers and length-prefixed vectors; never past the end. */
class Cursor {
  readonly #bytes: Uint8Array
  #at = 0

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes
  }

  get done(): boolean {
    return this.#at === this.#bytes.length
  }

  take(length: number): Uint8Array {
    if (this.#at + length > this.#bytes.length) throw new Malformed('a length beyond the end')
    this.#at += length
    return this.#bytes.subarray(this.#at - length, this.#at)
  }

  uint8(): number {
    return this.take(1)[0] ?? 0
  }

  uint16(): number {
    return this.uint8() * 0x100 + this.uint8()
  }

  uint24(): number {
    return this.uint16() * 0x100 + this.uint8()
  }

  vector8(least: number, most = 0xff): Uint8Array {
    return this.#vector(this.uint8(), least, most)
  }

  vector16(least: number, most = 0xffff): Uint8Array {
    return this.#vector(this.uint16(), least, most)
  }

  #vector(length: number, least: number, most: number): Uint8Array {
    if (length < least || length > most) throw new Malformed('a length out of bounds')
    return this.take(length)
  }
}
