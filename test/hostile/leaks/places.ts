// The places of an answer in which an upstream may write what it was sent, as bytes on the wire.
import { coded, named } from './codings.ts'

/** What the upstream writes; several pieces are written one after the other. */
export interface Wire {
  readonly pieces: readonly Buffer[]
  /** It closes the connection then. */
  readonly ends: boolean
}

export interface Cut {
  /** Places in the text at which one chunk ends and the next begins, growing. */
  readonly cuts: readonly number[]
  readonly codings: readonly string[]
}

export interface Place {
  /** Line of the request before the target. */
  readonly method: string
  /** Whether it stands in a body, so that it can be cut and have a content coding. */
  readonly inBody: boolean
  /** Whether a text may stand there at all. */
  takes(text: string): boolean
  wire(text: string, cut: Cut): Promise<Wire>
}

const latin1 = (text: string) => Buffer.from(text, 'latin1')
const anything = (_text: string) => true
const isToken = (text: string) => /^[!#$%&'*+.^_`|~0-9A-Za-z-]+$/.test(text)

/** A place in the head: everything is written at once. */
function head(write: (text: string) => string, { method = 'GET', ends = false, takes = anything } = {}): Place {
  return { method, inBody: false, takes, wire: async (text) => ({ pieces: [latin1(write(text))], ends }) }
}

const field = (line: (text: string) => string, status = '200 OK', method = 'GET') =>
  head(
    (text) =>
      `HTTP/1.1 ${status}\r\n${line(text)}\r\n${/^(204|304)/.test(status) ? '' : 'Content-Length: 2\r\n'}\r\n${/^(204|304)/.test(status) || method === 'HEAD' ? '' : 'ok'}`,
    { method },
  )

const heads: Readonly<Record<string, Place>> = {
  'status text': head((text) => `HTTP/1.1 200 ${text}\r\nContent-Length: 2\r\n\r\nok`),
  'status text of an error': head((text) => `HTTP/1.1 400 bad token ${text}.\r\nContent-Length: 2\r\n\r\nno`),
  'name of a field': head((text) => `HTTP/1.1 200 OK\r\n${text}: 1\r\nContent-Length: 2\r\n\r\nok`, { takes: isToken }),
  'X-Debug': field((text) => `X-Debug: ${text}`),
  'a field in upper case': field((text) => `X-ECHO:${text}`),
  'the second of two fields': field((text) => `X-Echo: 1\r\nX-Echo: authorization="${text}"`),
  'the last of many fields': field((text) => `${'X-Filler: aaaaaaaaaaaaaaaaaaaa\r\n'.repeat(400)}X-Last: ${text}`),
  'Set-Cookie': field((text) => `Set-Cookie: sid=${text}; Path=/; HttpOnly`),
  'a path in Set-Cookie': field((text) => `Set-Cookie: sid=1; Path=/${text}`),
  'Content-Type': field((text) => `Content-Type: text/plain; boundary=${text}`),
  'Content-Disposition': field((text) => `Content-Disposition: attachment; filename*=${text}`),
  'Content-Location': field((text) => `Content-Location: /me/${text}`),
  ETag: field((text) => `ETag: "${text}"`),
  Link: field((text) => `Link: </?token=${text}>; rel=next`),
  Server: field((text) => `Server: api/${text}`),
  Via: field((text) => `Via: 1.1 gw (${text})`),
  Vary: field((text) => `Vary: X-${text}`),
  'Server-Timing': field((text) => `Server-Timing: db;desc="${text}"`),
  'Access-Control-Allow-Headers': field((text) => `Access-Control-Allow-Headers: ${text}`, '200 OK', 'OPTIONS'),
  Refresh: field((text) => `Refresh: 0; url=https://elsewhere.example/?${text}`),
  'a field of the hop': field((text) => `Keep-Alive: ${text}`),
  'a field that Connection names': field((text) => `Connection: X-Hop\r\nX-Hop: ${text}`),
  'Alt-Svc': field((text) => `Alt-Svc: h3="${text}:443"`),
  'a field in the answer to HEAD': field((text) => `X-Debug: ${text}`, '200 OK', 'HEAD'),
  'a field of 204': field((text) => `X-Debug: ${text}`, '204 No Content'),
  'a field of 304': field((text) => `ETag: W/"${text}"`, '304 Not Modified'),
  ...Object.fromEntries(
    ['301 Moved Permanently', '302 Found', '303 See Other', '307 Temporary Redirect', '308 Permanent Redirect'].map(
      (status) => [`Location of ${status}`, field((text) => `Location: https://x.example/cb?token=${text}#a`, status)],
    ),
  ),
  'WWW-Authenticate of 403': field((text) => `WWW-Authenticate: Bearer error="${text}"`, '403 Forbidden'),
  'Proxy-Authenticate of 407': field((text) => `Proxy-Authenticate: Basic realm="${text}"`, '407 Who'),
  'a field of 500': field((text) => `X-Request: authorization=${text}`, '500 Oh'),
  'early hints': head(
    (text) => `HTTP/1.1 103 Early Hints\r\nLink: </${text}>\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok`,
  ),
  'an interim answer': head(
    (text) => `HTTP/1.1 102 ${text}\r\nX: ${text}\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok`,
  ),
  'a trailer': head(
    (text) =>
      `HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: X-Sum\r\n\r\n2\r\nok\r\n0\r\nX-Sum: ${text}\r\n\r\n`,
  ),
  'name of a trailer': head(
    (text) => `HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n${text}: 1\r\n\r\n`,
    { takes: isToken },
  ),
  'an extension of a chunk': head(
    (text) =>
      `HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2;a="${text.replaceAll(/["\\]/g, '\\$&')}"\r\nok\r\n0\r\n\r\n`,
  ),
  'what follows the answer': head((text) => `HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok${text}`, { ends: true }),
  'the name of a content coding': field((text) => `Content-Encoding: ${text}`),
  'an answer that is none': head((text) => `${text}\r\n\r\n`, { ends: true }),
  'a malformed field': field((text) => `X y(${text}): 1`),
}

interface Body {
  readonly status?: string
  readonly fields?: string
  readonly before?: string
  readonly after?: string
  readonly method?: string
  /** How the end is told. `short`: by a length that does not come, and the end of the connection. */
  readonly framing?: 'chunked' | 'length' | 'close' | 'short'
}

function body({
  status = '200 OK',
  fields = '',
  before = '',
  after = '',
  method = 'GET',
  framing = 'chunked',
}: Body): Place {
  return {
    method,
    inBody: true,
    takes: anything,
    async wire(text, { cuts, codings }) {
      const edges = [0, ...cuts, text.length]
      const parts = edges.slice(1).map((edge, at) => {
        const part = text.slice(edges[at], edge)
        return latin1(`${at === 0 ? before : ''}${part}${at === edges.length - 2 ? after : ''}`)
      })
      const content = await coded(parts, codings)
      const coding = codings.length === 0 ? '' : `Content-Encoding: ${named(codings)}\r\n`
      const length = content.reduce((sum, part) => sum + part.length, 0)
      const announced = framing === 'short' ? length + 100 : length
      const framed = framing === 'chunked' ? 'Transfer-Encoding: chunked\r\n' : `Content-Length: ${announced}\r\n`
      const start = latin1(`HTTP/1.1 ${status}\r\n${fields}${coding}${framing === 'close' ? '' : framed}\r\n`)
      if (framing !== 'chunked') return { pieces: [start, ...content], ends: framing !== 'length' }
      const chunks = content
        .filter((part) => part.length > 0)
        .flatMap((part) => [latin1(`${part.length.toString(16)}\r\n`), part, latin1('\r\n')])
      return { pieces: [Buffer.concat([start, ...chunks, latin1('0\r\n\r\n')])], ends: false }
    },
  }
}

const html = 'Content-Type: text/html\r\n'
const json = 'Content-Type: application/json\r\n'
const bodies: Readonly<Record<string, Place>> = {
  'the whole body': body({}),
  'the start of a body': body({ after: `\n${'and then some more text. '.repeat(8)}` }),
  'the middle of a body': body({ before: 'You sent: ', after: ' and that is all.\n' }),
  'the end of a body': body({ before: `${'some text before it. '.repeat(8)}authorization: ` }),
  'deep in a long body': body({
    before: `${'a line of a long answer\n'.repeat(700)}=`,
    after: `;${'\nmore'.repeat(50)}`,
  }),
  'a value of JSON': body({ fields: json, before: '{"headers":{"authorization":"', after: '"},"ok":true}' }),
  'a line of JSON': body({ fields: json, before: '{"n":1}\n{"token":"', after: '"}\n{"n":3}\n' }),
  'an event': body({
    fields: 'Content-Type: text/event-stream\r\n',
    before: 'event: echo\ndata: {"t":"',
    after: '"}\n\nid: 7\n\n',
  }),
  'a part of a form': body({
    fields: 'Content-Type: multipart/form-data; boundary=b\r\n',
    before: '--b\r\nContent-Disposition: form-data; name="t"\r\n\r\n',
    after: '\r\n--b--\r\n',
  }),
  'the head of a part': body({
    fields: 'Content-Type: multipart/mixed; boundary=b\r\n',
    before: '--b\r\nX-Token: ',
    after: '\r\n\r\nok\r\n--b--\r\n',
  }),
  'a page of 400': body({ status: '400 Bad Request', fields: html, before: '<p>Bad header <b>', after: '</b></p>' }),
  'a page of 401': body({ status: '401 Unauthorized', fields: html, before: '<p>', after: ' is not valid</p>' }),
  'a page of 404': body({
    status: '404 Not Found',
    fields: html,
    before: '<pre>GET /\nAuthorization: ',
    after: '</pre>',
  }),
  'a page of 500': body({ status: '500 Oh', fields: html, before: 'Traceback:\n  headers = {"', after: '"}\n' }),
  'a page of 503': body({ status: '503 Busy', fields: html, before: "{'", after: "'}" }),
  'a redirect': body({
    status: '302 Found',
    fields: `${html}Location: /\r\n`,
    before: '<a href="/?t=',
    after: '">here</a>',
  }),
  'the answer to OPTIONS': body({ method: 'OPTIONS', before: 'OPTIONS * HTTP/1.1\r\nAuthorization: ', after: '\r\n' }),
  'the answer to POST': body({ method: 'POST', before: 'POST / HTTP/1.1\r\nAuthorization: ', after: '\r\n' }),
  'a body of known length': body({ framing: 'length', before: 'You sent: ', after: '.' }),
  'a body that ends with the connection': body({ framing: 'close', before: 'You sent: ', after: '.' }),
  'a body that is cut short': body({ framing: 'short', before: 'You sent: ' }),
  'bytes that are no text': body({ before: '\x00\xff\x80\x08', after: '\x01\xfe\x00' }),
  'among escapes': body({ before: '{\\"a\\":\\"%20&amp;\\u0020\\\\', after: '\\"}%20&quot;\\u0022' }),
}

export const places: Readonly<Record<string, Place>> = { ...heads, ...bodies }
