// Reads DNS queries and writes their answers (RFC 1035 §4): one question, addresses, nothing else.

export interface DnsQuery {
  readonly id: number
  /** The name in lower case, without the last dot; `.` for the root. */
  readonly name: string
  readonly type: number
  readonly class: number
  readonly recursionDesired: boolean
  /** The question as it came, to be given back letter by letter: resolvers check the case. */
  readonly question: Uint8Array
  /** Whether EDNS was spoken (RFC 6891), so that it is in the answer. */
  readonly edns: boolean
}

export type DnsReading =
  | { readonly state: 'query'; readonly query: DnsQuery }
  /** Can be answered with FORMERR. */
  | { readonly state: 'malformed'; readonly id: number; readonly why: string }
  /** Must not be answered: a response, or too short to have an id. */
  | { readonly state: 'none' }

export const types = { A: 1, AAAA: 28 } as const
export const classes = { IN: 1 } as const
export const codes = { ok: 0, malformed: 1, failed: 2, noSuchName: 3, notImplemented: 4, refused: 5 } as const
const typeOpt = 41
const header = 12
/** A query holds one name and perhaps EDNS with a cookie. */
export const longestQuery = 512

/** @param bytes one datagram, or one message of a stream without its length */
export function readDnsQuery(bytes: Uint8Array): DnsReading {
  if (bytes.length < header) return { state: 'none' }
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length)
  const id = view.getUint16(0)
  const flags = view.getUint16(2)
  if ((flags & 0x8000) !== 0) return { state: 'none' }
  const malformed = (why: string) => ({ state: 'malformed', id, why }) as const
  if (bytes.length > longestQuery) return malformed('too long')
  if ((flags & 0x7800) !== 0) return malformed('not a standard query')
  const additional = view.getUint16(10)
  if (view.getUint16(4) !== 1 || view.getUint16(6) !== 0 || view.getUint16(8) !== 0 || additional > 1)
    return malformed('not one question alone')
  const name = readName(bytes, header)
  if (name === undefined) return malformed('the name')
  const end = name.end + 4
  if (end > bytes.length) return malformed('the question')
  if (additional === 0 ? end !== bytes.length : !isOpt(bytes, view, end)) return malformed('what follows the question')
  return {
    state: 'query',
    query: {
      id,
      name: name.text,
      type: view.getUint16(name.end),
      class: view.getUint16(name.end + 2),
      recursionDesired: (flags & 0x0100) !== 0,
      question: bytes.slice(header, end),
      edns: additional === 1,
    },
  }
}

/** Labels as they stand, without compression, which a question has no use for. */
function readName(bytes: Uint8Array, start: number): { readonly text: string; readonly end: number } | undefined {
  const labels: string[] = []
  let at = start
  for (;;) {
    const length = bytes[at]
    if (length === undefined || length > 63 || at - start > 254) return undefined
    at += 1
    if (length === 0) return { text: labels.length === 0 ? '.' : labels.join('.'), end: at }
    if (at + length > bytes.length) return undefined
    const label = bytes.subarray(at, at + length)
    // A dot inside a label would make two of it; others are for whoever reads the name as a host.
    if (label.includes(0x2e) || label.some((byte) => byte < 0x21 || byte > 0x7e)) return undefined
    labels.push(Buffer.from(label).toString('latin1').toLowerCase())
    at += length
  }
}

/** One OPT record and nothing after it (RFC 6891 §6.1.2). */
function isOpt(bytes: Uint8Array, view: DataView, at: number): boolean {
  if (at + 11 > bytes.length || bytes[at] !== 0 || view.getUint16(at + 1) !== typeOpt) return false
  return at + 11 + view.getUint16(at + 9) === bytes.length
}

/** What fits into 512 bytes beside the longest question, whatever the family. */
export const mostAddresses = 8

/**
 * @param addresses of the family that was asked for: 4 or 16 bytes each; those beyond `mostAddresses` are left out
 * @param ttl seconds
 */
export function writeDnsAnswer(
  query: DnsQuery,
  code: number,
  addresses: readonly Uint8Array[],
  ttl: number,
): Uint8Array {
  const given = addresses.slice(0, mostAddresses)
  const records = given.reduce((sum, address) => sum + 12 + address.length, 0)
  const message = new Uint8Array(header + query.question.length + records + (query.edns ? 11 : 0))
  const view = new DataView(message.buffer)
  writeHeader(view, query.id, code, query.recursionDesired)
  view.setUint16(4, 1)
  view.setUint16(6, given.length)
  view.setUint16(10, query.edns ? 1 : 0)
  message.set(query.question, header)
  let at = header + query.question.length
  for (const address of given) {
    // The name is that of the question.
    view.setUint16(at, 0xc000 | header)
    view.setUint16(at + 2, query.type)
    view.setUint16(at + 4, classes.IN)
    view.setUint32(at + 6, ttl)
    view.setUint16(at + 10, address.length)
    message.set(address, at + 12)
    at += 12 + address.length
  }
  if (query.edns) {
    view.setUint16(at + 1, typeOpt)
    view.setUint16(at + 3, 1_232)
  }
  return message
}

/** FORMERR, for what could not be read. */
export function writeDnsMalformed(id: number): Uint8Array {
  const message = new Uint8Array(header)
  writeHeader(new DataView(message.buffer), id, codes.malformed, false)
  return message
}

/** A response, recursion available. */
function writeHeader(view: DataView, id: number, code: number, recursionDesired: boolean): void {
  view.setUint16(0, id)
  view.setUint16(2, 0x8080 | (recursionDesired ? 0x0100 : 0) | code)
}
