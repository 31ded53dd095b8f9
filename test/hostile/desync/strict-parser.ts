// A second reader of requests (RFC 9112), written to be strict: where two readers could differ, it refuses.

export interface ReadRequest {
  readonly method: string
  readonly target: string
  /** Lower-case names. */
  readonly fields: readonly (readonly [name: string, value: string])[]
  readonly body: string
}

export interface Reading {
  readonly requests: readonly ReadRequest[]
  /** What came of one more that is not whole: its request line, as far as its head has ended. */
  readonly begun: string | undefined
}

/** What no sender may write, or what means two things. */
export class Ambiguous extends Error {
  override readonly name = 'Ambiguous'
}

const token = /^[!#$%&'*+.^_`|~0-9A-Za-z-]+$/
const requestLine = /^([A-Z][A-Z-]*) (\/[\x21-\x7e]*|\*) HTTP\/1\.1$/
/** Fields that decide where a message ends, or whom it is for, under each spelling that some server takes for them. */
const deciding = new Set(['content-length', 'transfer-encoding', 'host'])

/** @param bytes all that came on one connection, as Latin-1 */
export function readRequests(bytes: string): Reading {
  const requests: ReadRequest[] = []
  let at = 0
  while (at < bytes.length) {
    const headEnd = bytes.indexOf('\r\n\r\n', at)
    if (headEnd === -1) return { requests, begun: undefined }
    const head = readHead(bytes.slice(at, headEnd))
    const body = readBody(bytes, headEnd + 4, head.fields)
    if (body === undefined) return { requests, begun: `${head.method} ${head.target}` }
    requests.push({ ...head, body: body.text })
    at = body.end
  }
  return { requests, begun: undefined }
}

function readHead(text: string): Omit<ReadRequest, 'body'> {
  const [first = '', ...lines] = text.split('\r\n')
  if (/[\r\n\0]/.test(first + lines.join(''))) throw new Ambiguous('a bare CR, a bare LF or a NUL')
  const [, method, target] = requestLine.exec(first) ?? []
  if (method === undefined || target === undefined) throw new Ambiguous(`request line ${JSON.stringify(first)}`)
  const fields = lines.map((line) => {
    const colon = line.indexOf(':')
    const name = line.slice(0, colon)
    const value = line.slice(colon + 1).replace(/^[ \t]+|[ \t]+$/g, '')
    if (!token.test(name)) throw new Ambiguous(`field name ${JSON.stringify(name)}`)
    if (/[\x00-\x08\x0a-\x1f\x7f]/.test(value)) throw new Ambiguous(`a control character in ${name}`)
    const lower = name.toLowerCase()
    if (!deciding.has(lower) && deciding.has(lower.replaceAll('_', '-'))) throw new Ambiguous(`${name} beside its like`)
    return [lower, value] as const
  })
  for (const name of deciding) if (named(fields, name).length > 1) throw new Ambiguous(`${name} twice`)
  if (named(fields, 'host').length === 0) throw new Ambiguous('no Host')
  return { method, target, fields }
}

function readBody(bytes: string, at: number, fields: ReadRequest['fields']) {
  const [length] = named(fields, 'content-length')
  const [coding] = named(fields, 'transfer-encoding')
  if (length !== undefined && coding !== undefined) throw new Ambiguous('a length and a coding')
  if (length !== undefined) {
    if (!/^(0|[1-9]\d*)$/.test(length)) throw new Ambiguous(`length ${length}`)
    const end = at + Number(length)
    return end > bytes.length ? undefined : { text: bytes.slice(at, end), end }
  }
  if (coding === undefined) return { text: '', end: at }
  if (coding !== 'chunked') throw new Ambiguous(`coding ${coding}`)
  return readChunks(bytes, at)
}

function readChunks(bytes: string, from: number): { readonly text: string; readonly end: number } | undefined {
  let text = ''
  let at = from
  for (;;) {
    const lineEnd = bytes.indexOf('\r\n', at)
    if (lineEnd === -1) return undefined
    const line = bytes.slice(at, lineEnd)
    if (!/^(0|[1-9a-f][0-9a-f]*)$/i.test(line)) throw new Ambiguous(`chunk size ${JSON.stringify(line)}`)
    const end = lineEnd + 2 + Number.parseInt(line, 16)
    if (bytes.length < end + 2) return undefined
    if (bytes.slice(end, end + 2) !== '\r\n') throw new Ambiguous('a chunk that is not as long as it says')
    text += bytes.slice(lineEnd + 2, end)
    at = end + 2
    if (line === '0') return { text, end: at }
  }
}

function named(fields: ReadRequest['fields'], name: string): string[] {
  return fields.filter(([each]) => each === name).map(([, value]) => value)
}
