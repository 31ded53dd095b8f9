// The second reader is only worth something if it refuses what is read in two ways.
import { describe, expect, it } from 'vitest'
import { Ambiguous, readRequests } from './strict-parser.ts'

const post = (fields: readonly string[], body: string) =>
  ['POST /a HTTP/1.1', 'Host: api.example', ...fields, '', body].join('\r\n')

describe('the strict reader', () => {
  it('reads what is plain, one request after the other', () => {
    const { requests, begun } = readRequests(
      post(['Content-Length: 5'], 'hello') +
        post(['Transfer-Encoding: chunked'], '5\r\nhello\r\n0\r\n\r\n') +
        post([], ''),
    )
    expect(requests.map(({ body }) => body)).toEqual(['hello', 'hello', ''])
    expect(begun).toBeUndefined()
  })

  it('tells what was only begun', () => {
    expect(readRequests(post(['Content-Length: 6'], 'hello'))).toEqual({ requests: [], begun: 'POST /a' })
    expect(readRequests('POST /a HTTP/1.1\r\nHost')).toEqual({ requests: [], begun: undefined })
  })

  it.each([
    ['a length and a coding', post(['Content-Length: 5', 'Transfer-Encoding: chunked'], '0\r\n\r\n')],
    ['two lengths', post(['Content-Length: 5', 'Content-Length: 5'], 'hello')],
    ['a length beside its like', post(['Content-Length: 5', 'Content_Length: 0'], 'hello')],
    ['a length in another notation', post(['Content-Length: +5'], 'hello')],
    ['another coding', post(['Transfer-Encoding: xchunked'], 'hello')],
    ['chunked behind a control character', post(['Transfer-Encoding: \x0bchunked'], '0\r\n\r\n')],
    ['a space before the colon', post(['Content-Length : 5'], 'hello')],
    ['a folded line', post(['X-A: b', ' c'], '')],
    ['a bare LF', post(['X-A: b\nContent-Length: 5'], 'hello')],
    ['a bare CR', post(['X-A: b\rContent-Length: 5'], 'hello')],
    ['an extension of a chunk', post(['Transfer-Encoding: chunked'], '5;a=b\r\nhello\r\n0\r\n\r\n')],
    ['a chunk that is longer than it says', post(['Transfer-Encoding: chunked'], '4\r\nhello\r\n0\r\n\r\n')],
    ['a trailer', post(['Transfer-Encoding: chunked'], '0\r\nContent-Length: 5\r\n\r\n')],
    ['two Host', post(['Host: evil.example'], '')],
    ['no Host', 'GET / HTTP/1.1\r\nX-A: b\r\n\r\n'],
    ['a target in absolute-form', 'GET http://evil.example/ HTTP/1.1\r\nHost: api.example\r\n\r\n'],
    ['two spaces', 'GET  / HTTP/1.1\r\nHost: api.example\r\n\r\n'],
    ['another version', 'GET / HTTP/1.0\r\nHost: api.example\r\n\r\n'],
  ])('refuses %s', (_what, bytes) => {
    expect(() => readRequests(bytes)).toThrow(Ambiguous)
  })
})
