import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import {
  agree,
  canonicalHost,
  canonicalPath,
  parseAbsoluteForm,
  parseAuthority,
  parseOriginForm,
} from '../../../proxy/capture/target.ts'
import { Refusal } from '../../../proxy/refusal.ts'

const reasonOf = (read: () => unknown): string => {
  try {
    read()
  } catch (error) {
    if (error instanceof Refusal) return error.reason
    throw error
  }
  return 'accepted'
}

describe('a host', () => {
  it.each([
    ['octal', '0177.0.0.1'],
    ['octal in a later part', '127.0.0.01'],
    ['decimal', '2130706433'],
    ['hexadecimal', '0x7f000001'],
    ['hexadecimal in a part', '127.0.0.0x1'],
    ['too few parts', '127.1'],
    ['too many parts', '127.0.0.1.1'],
    ['a part out of range', '127.0.0.256'],
    ['an address with a trailing dot', '127.0.0.1.'],
    ['a trailing dot', 'api.example.'],
    ['an empty label', 'api..example'],
    ['empty', ''],
    ['a space', 'api example'],
    ['a NUL', 'api.example\0.evil'],
    ['a percent sequence', 'api%2eexample'],
    ['not ASCII', 'аpi.example'],
    ['a full-width dot', 'api。example'],
    ['a label that begins with a hyphen', '-api.example'],
    ['a label of 64', `${'a'.repeat(64)}.example`],
    ['over 253 characters', `${'a.'.repeat(127)}example`],
    ['IPv6 without brackets', '::1'],
    ['IPv6 with a zone', '[fe80::1%eth0]'],
    ['IPv4-mapped', '[::ffff:127.0.0.1]'],
    ['IPv4-mapped in hexadecimal', '[::ffff:7f00:1]'],
    ['IPv4-compatible in dotted form', '[::127.0.0.1]'],
    ['unclosed brackets', '[::1'],
    ['something behind the bracket', '[::1]x'],
  ])('written as %s is refused as ambiguous', (_name, text) => {
    expect(reasonOf(() => canonicalHost(text))).toBe('ambiguous_target')
  })

  it.each([
    ['api.example', 'api.example'],
    ['API.Example', 'api.example'],
    ['xn--bcher-kva.example', 'xn--bcher-kva.example'],
    ['under_score.example', 'under_score.example'],
    ['127.0.0.1', '127.0.0.1'],
    ['1password.com', '1password.com'],
    ['[2001:DB8:0:0::1]', '2001:db8::1'],
    ['[::1]', '::1'],
  ])('%s is read as %s', (text, host) => {
    expect(canonicalHost(text)).toBe(host)
  })

  it('is the same when read again', () => {
    fc.assert(
      fc.property(fc.domain(), (domain) => {
        const once = canonicalHost(domain)
        expect(canonicalHost(once)).toBe(once)
      }),
    )
  })
})

describe('an authority', () => {
  it.each(['user@api.example', 'user:pass@api.example:443', '@api.example', 'api.example:443@evil.example'])(
    'with user information (%s) is refused',
    (text) => {
      expect(reasonOf(() => parseAuthority(text))).toBe('ambiguous_target')
    },
  )

  it.each([
    'api.example:',
    'api.example:0',
    'api.example:65536',
    'api.example:080',
    'api.example:+80',
    'api.example:8a',
    'api.example: 80',
    '[::1]:',
    'a:1:2',
  ])('with the port of %s is refused', (text) => {
    expect(reasonOf(() => parseAuthority(text))).toBe('ambiguous_target')
  })

  it('gives host and port', () => {
    expect(parseAuthority('api.example:8443')).toEqual({ host: 'api.example', port: 8443 })
    expect(parseAuthority('[2001:db8::1]:65535')).toEqual({ host: '2001:db8::1', port: 65_535 })
    expect(parseAuthority('[2001:db8::1]')).toEqual({ host: '2001:db8::1', port: undefined })
  })
})

describe('a path', () => {
  it.each([
    ['a dot segment', '/a/./b'],
    ['a double-dot segment', '/a/../b'],
    ['a dot segment at the end', '/a/..'],
    ['an encoded dot segment', '/a/%2e%2E/b'],
    ['a half-encoded dot segment', '/a/.%2e/b'],
    ['dots with parameters behind them', '/a/..;x=1/b'],
    ['a backslash', '/a\\b'],
    ['an encoded backslash', '/a%5cb'],
    ['an encoded NUL', '/a%00b'],
    ['an encoded line feed', '/a%0ab'],
    ['an encoded delete', '/a%7fb'],
    ['a broken percent sequence', '/a%2'],
    ['a percent sequence that is none', '/a%zz'],
    ['an empty segment', '/a//b'],
    ['two slashes at the beginning', '//evil.example/a'],
    ['a space', '/a b'],
    ['a tab', '/a\tb'],
    ['an octet over 127', '/a\u00e9b'],
    ['nothing', ''],
    ['no slash at the beginning', 'a/b'],
  ])('with %s is refused as ambiguous', (_name, path) => {
    expect(reasonOf(() => canonicalPath(path))).toBe('ambiguous_target')
  })

  it.each([
    ['/', '/'],
    ['/v1/contacts/', '/v1/contacts/'],
    ['/.well-known/x', '/.well-known/x'],
    ['/a/...', '/a/...'],
    ['/a..b/.c', '/a..b/.c'],
    ['/%61dmin', '/admin'],
    ['/a%2fb', '/a%2Fb'],
    ['/a%2Fb', '/a%2Fb'],
    ['/caf%c3%a9', '/caf%C3%A9'],
    ['/message:send', '/message:send'],
  ])('%s is read as %s', (path, canonical) => {
    expect(canonicalPath(path)).toBe(canonical)
  })

  it('is the same when read again, whatever it is made of', () => {
    const pieces = fc.constantFrom(
      'a',
      '.',
      '..',
      '/',
      '%2e',
      '%2F',
      '%61',
      '%25',
      '~',
      ';',
      '%5c',
      '%00',
      'é',
      '\\',
      '%',
    )
    fc.assert(
      fc.property(fc.array(pieces, { maxLength: 12 }), (parts) => {
        let once: string
        try {
          once = canonicalPath(`/${parts.join('')}`)
        } catch (error) {
          expect(error).toBeInstanceOf(Refusal)
          return
        }
        expect(canonicalPath(once)).toBe(once)
        expect(once.split('/').some((segment) => segment === '.' || segment === '..')).toBe(false)
      }),
      { numRuns: 5000 },
    )
  })
})

describe('a request target', () => {
  it.each([
    ['another scheme', 'ftp://api.example/'],
    ['no scheme', 'api.example/'],
    ['asterisk-form', '*'],
    ['a fragment', 'http://api.example/#a'],
  ])('of %s is refused', (_name, text) => {
    expect(reasonOf(() => parseAbsoluteForm(text))).toBe('bad_request')
  })

  it('in absolute-form gives every part', () => {
    expect(parseAbsoluteForm('HTTP://API.example:8080/a?b=c')).toEqual({
      scheme: 'http',
      host: 'api.example',
      port: 8080,
      path: '/a',
      query: '?b=c',
    })
    expect(parseAbsoluteForm('https://api.example')).toEqual({
      scheme: 'https',
      host: 'api.example',
      port: 443,
      path: '/',
      query: '',
    })
    expect(parseAbsoluteForm('http://api.example?x')).toEqual({
      scheme: 'http',
      host: 'api.example',
      port: 80,
      path: '/',
      query: '?x',
    })
  })

  it('in origin-form keeps the query as it is', () => {
    expect(parseOriginForm('/a?b=%2e%2e&c=/../')).toEqual({ path: '/a', query: '?b=%2e%2e&c=/../' })
  })

  it('never yields anything but a target or a refusal', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary' }), (text) => {
        expect(['accepted', 'bad_request', 'ambiguous_target']).toContain(
          reasonOf(() => parseAbsoluteForm(`http://${text}`)),
        )
        expect(['accepted', 'bad_request', 'ambiguous_target']).toContain(reasonOf(() => parseOriginForm(text)))
        expect(['accepted', 'ambiguous_target']).toContain(reasonOf(() => parseAuthority(text)))
      }),
      { numRuns: 3000 },
    )
  })
})

describe('Host', () => {
  const place = { scheme: 'https', host: canonicalHost('api.example'), port: 443 } as const
  it.each([
    ['another host', 'evil.example', 'misdirected'],
    ['another port', 'api.example:8443', 'misdirected'],
    ['a subdomain', 'x.api.example', 'misdirected'],
    ['a trailing dot', 'api.example.', 'ambiguous_target'],
    ['user information', 'api.example@evil.example', 'ambiguous_target'],
    ['the same host', 'api.example', 'accepted'],
    ['the same host in upper case', 'API.EXAMPLE', 'accepted'],
    ['the same host with its port', 'api.example:443', 'accepted'],
  ])('naming %s (%s) is %s', (_name, host, outcome) => {
    expect(reasonOf(() => agree(host, place))).toBe(outcome)
  })
})
