// Request targets, Host, CONNECT: whatever is taken has one form, and another reader finds the same in it.

import { readPath } from '../../../policy/paths.ts'
import { parseQuery } from '../../../policy/query.ts'
import {
  canonicalHost,
  canonicalPath,
  parseAbsoluteForm,
  parseAuthority,
  parseOriginForm,
} from '../../../proxy/capture/target.ts'
import type { Target as Place } from '../../../proxy/exchange.ts'
import { Refusal } from '../../../proxy/refusal.ts'
import { latin1, must, mustEqual, type Target, unlessRefused } from '../target.ts'

const isNamed = (error: unknown) =>
  error instanceof Refusal && (error.reason === 'ambiguous_target' || error.reason === 'bad_request')

const bracketed = (host: string) => (host.includes(':') ? `[${host}]` : host)

export const target: Target = {
  name: 'target',
  longest: 600,
  seeds: [
    'http://api.crm.example/v1/contacts/7?full=yes&x=%20',
    'https://api.crm.example:8443/a%2Fb/%7Euser;v=1/',
    'HTTP://[2001:db8::1]:80?q',
    'http://192.0.2.1/',
    'api.crm.example:443',
    '[::1]:443',
    '/v1/../x',
    '/a/b%41?c=d',
  ],
  dictionary: [
    ...[
      'http://',
      'https://',
      '//',
      '/./',
      '/../',
      '/..;a/',
      '%2e',
      '%2E%2E',
      '%2f',
      '%5c',
      '\\',
      '%00',
      '%25',
      '%zz',
      '@',
    ],
    ...[':80', ':443', ':0', ':065', ':99999', '[::ffff:1.2.3.4]', '[fe80::1%25eth0]', '127.1', '0x7f.1', '0177.0.0.1'],
    ...[
      '2130706433',
      '.',
      '..',
      'xn--',
      '_',
      '-',
      '#',
      '?',
      '&',
      '+',
      ' ',
      '\t',
      'é',
      '|',
      '^',
      '{',
      '"',
      ';',
      '1.2.3.4',
    ],
  ],
  run(input) {
    const text = latin1(input)
    const place = unlessRefused(() => parseAbsoluteForm(text), isNamed)
    if (place !== undefined) checkPlace(text, place)
    const authority = unlessRefused(() => parseAuthority(text), isNamed)
    if (authority !== undefined) {
      const { host, port } = authority
      mustEqual(canonicalHost(bracketed(host)), host, 'a host has no fixed form')
      must(port === undefined || (port > 0 && port < 65_536), 'a port out of range')
    }
    const origin = unlessRefused(() => parseOriginForm(text), isNamed)
    if (origin !== undefined) checkPath(origin)
  },
}

function checkPlace(text: string, { scheme, host, port, path, query }: Place): void {
  const written = `${scheme}://${bracketed(host)}:${port}${path}${query}`
  mustEqual(parseAbsoluteForm(written), { scheme, host, port, path, query }, 'a target has no fixed form')
  checkPath({ path, query })
  // As WHATWG URL reads what was sent; it knows hosts that are none of IDNA and refuses them.
  const url = URL.parse(text)
  if (url === null) {
    must(/xn--|_/.test(host), `no URL: ${text}`)
    return
  }
  mustEqual(url.hostname.replace(/^\[|\]$/g, ''), host, `the host of ${text}`)
  mustEqual(Number(url.port) || (scheme === 'https' ? 443 : 80), port, `the port of ${text}`)
  mustEqual(unescape(url.pathname), unescape(path), `the path of ${text}`)
}

function checkPath({ path, query }: { readonly path: string; readonly query: string }): void {
  mustEqual(canonicalPath(path), path, 'a path has no fixed form')
  must(/^(?:\/|\/[\x21-\x7e]*)$/.test(path), 'a path that is not visible ASCII')
  must(!/%(?:5C|7F|[01][0-9A-F])/i.test(path), 'an encoded backslash or control character')
  must(query === '' || /^\?[\x21-\x7e]*$/.test(query), 'a query that is not visible ASCII')
  must(!/\/\.{0,2}\/|\/\.{1,2}$/.test(unescape(path.replaceAll('%2F', 'x'))), 'a dot segment or an empty one')
  // Policy reads the same path; what it cannot read with certainty an allow does not match.
  const read = readPath(path)
  if (read !== undefined)
    mustEqual(readPath(read.exact.text)?.exact.text, read.exact.text, 'a compared path has no fixed form')
  const pairs = parseQuery(query)
  if (pairs === undefined) return
  const expected = [...new URLSearchParams(query)].map(([key]) => key)
  const total = [...pairs.values()].reduce((sum, values) => sum + values.length, 0)
  mustEqual(total, expected.length, `the pairs of ${query}`)
  mustEqual([...pairs.keys()], [...new Set(expected)], `the keys of ${query}`)
}
