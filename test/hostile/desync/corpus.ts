// Requests that two readers could read differently, made from tables of what the field has got wrong.

export interface Sample {
  readonly name: string
  /** Bytes as Latin-1: the doubtful request, and perhaps more behind it. */
  readonly bytes: string
}

/** What the samples are made for. */
export interface Place {
  /** As in Host. */
  readonly authority: string
  /** What its paths begin with, by number of the sample; no other request has them. */
  readonly path: (sample: number) => string
  /** What a request target is, for one of these paths: the path, or with scheme and authority before it. */
  readonly target: (path: string) => string
}

/** What stands where a body should be: only who reads that as a request asks for it. */
export const smuggledPath = '/smuggled'

type Make = (path: string) => string
type Table = readonly (readonly [name: string, make: Make])[]

export function samples({ authority, path, target }: Place): Sample[] {
  const hidden = `GET ${target(smuggledPath)} HTTP/1.1\r\nHost: ${authority}\r\n\r\n`
  const host = `Host: ${authority}`
  const lines = (...all: string[]) => [...all, '', ''].join('\r\n')
  const post = (at: string, ...fields: string[]) => lines(`POST ${target(at)} HTTP/1.1`, host, ...fields)
  const get = (at: string, ...fields: string[]) => lines(`GET ${target(at)} HTTP/1.1`, host, ...fields)
  const shown = (text: string) => JSON.stringify(text.length > 60 ? `${text.slice(0, 60)}…` : text)

  const lengthValues = [
    ...['5', '05', '0005', '+5', '-5', '-0', '5 ', '5\t', '  5', '5,5', '5, 5', '5,6', '0x5', '5.0', '5e0', '', '5;x'],
    ...['"5"', '5\x0b', '\x0b5', '5\0', '1_0', '5 5', '0', '00', '999999999999999999', '18446744073709551621'],
    ...['4294967301', '\xd9\xa5', '5\x85', '\xa05', 'chunked', 'NaN'],
  ]
  const names = (name: string) => [
    ...[name, name.toLowerCase(), name.toUpperCase(), `${name} `, `${name}\t`, ` ${name}`, `\t${name}`],
    ...[name.replace('-', '_'), name.replace('-', '_').toUpperCase(), `${name}\x0b`, `${name}\0`, `"${name}"`],
    ...[name.replace('-', ' '), name.replace('-', '\xad'), `${name}:`, `\xa0${name}`, `X\r${name}`, `X\n${name}`],
  ]
  const codings = [
    ...[
      'chunked',
      'Chunked',
      'CHUNKED',
      '  chunked',
      'chunked  ',
      '\tchunked',
      'chunked\t',
      '\x0bchunked',
      'chunked\x0b',
    ],
    ...['\x0cchunked', 'chunked, identity', 'identity, chunked', 'identity', 'chunked, chunked', 'chunked;q=1'],
    ...['chunked;a=b', 'xchunked', 'chunkedx', 'chun ked', 'gzip', 'gzip, chunked', 'chunked, gzip', '', ',chunked'],
    ...[
      'chunked,',
      '"chunked"',
      '\xa0chunked',
      'chunked\0',
      'chunked\x7f',
      'chunked\r',
      'chunked\rX: y',
      'chunked\nX: y',
    ],
    ...['\r\n chunked', 'c\xaahunked', 'chunked\xa0', '\x1fchunked'],
  ]
  const chunked = '5\r\nhello\r\n0\r\n\r\n'
  const sizes = [
    ...['5', '05', '0000000000000005', '5 ', '5\t', ' 5', '0x5', '+5', '-5', '5;', '5;a', '5;a=b', '5;a="x"', '5 ;a=b'],
    ...[
      '5;a="x\ny"',
      '5;a="x\ry"',
      '5;a=b;c=d',
      '5; a = b',
      '5;\n',
      '5\n',
      '5\r',
      '5;\r',
      '5;a\r',
      '5;\0',
      'g',
      '',
      '5g',
    ],
    ...[
      'FFFFFFFFFFFFFFFFF',
      '10000000000000005',
      '100000005',
      '5_0',
      '5,5',
      '5 5',
      '\x0b5',
      '5\x0b',
      `5;${'x'.repeat(20_000)}`,
    ],
  ]
  const ends = [
    ...[
      '5\r\nhello0\r\n\r\n',
      '5\r\nhello\n0\r\n\r\n',
      '5\r\nhello\r0\r\n\r\n',
      '5\r\nhelloo\r\n0\r\n\r\n',
      '5\r\nhell\r\n0\r\n\r\n',
    ],
    ...[
      '5\r\nhello\r\n00\r\n\r\n',
      '5\r\nhello\r\n0;x=y\r\n\r\n',
      '5\r\nhello\r\n0\n\r\n',
      '5\r\nhello\r\n0\r\n\n',
      '5\r\nhello\r\n0\r\r\n',
    ],
    ...[
      '5\r\nhello\r\n0\r\n',
      '5\r\nhello\r\n',
      '5\r\nhello\r\n0 \r\n\r\n',
      '0\r\n\r\n',
      '00000000\r\n\r\n',
      '\r\n0\r\n\r\n',
    ],
    `${hidden.length.toString(16)}\r\n${hidden}\r\n0\r\n\r\n`,
  ]
  const trailers = [
    ...[
      'X-After: y',
      'Content-Length: 5',
      'Transfer-Encoding: chunked',
      'Host: evil.example',
      'Authorization: Bearer evil',
    ],
    ...[
      'Content-Encoding: gzip',
      'X-Api-Key: evil',
      ' folded',
      'X : y',
      'none',
      ': none',
      'X: a\0',
      'X: a\rY: b',
      'X: a\nY: b',
    ],
  ]
  const breaks = ['\n', '\r', '\r\r\n', '\n\r', '\r\n\n', '\0\r\n', '\x0b\r\n', ' \r\n']
  const broken = (bytes: string, at: number, by: string) => {
    const parts = bytes.split('\r\n')
    return parts.slice(0, at + 1).join('\r\n') + by + parts.slice(at + 1).join('\r\n')
  }
  const fieldLines = [
    ...[
      'X-A : b',
      'X-A\t: b',
      ' X-A: b',
      '\tX-A: b',
      'X-A',
      ': b',
      'X A: b',
      'X(A): b',
      'X@A: b',
      'X[A]: b',
      'X"A": b',
      'X/A: b',
    ],
    ...[
      'X\x80A: b',
      'X\xffA: b',
      'X\x00A: b',
      'X\x7fA: b',
      'X_A: b',
      'X_Api_Key: b',
      'X-A: b\r\n c',
      'X-A: b\r\n\tc',
      'X-A:\r\n b',
    ],
    ...[
      'X-A: b\r\n  Content-Length: 5',
      'X-A: \x80\xff',
      'X-A: \x01',
      'X-A: \x7f',
      'X-A: b\0c',
      'X-A:b',
      'X-A:',
      'X-A:\t b \t',
      'Host_: x',
    ],
    ...[
      'X-A: b\x85Content-Length: 5',
      'X-A: b\u00a0',
      'Content-Length\xff: 5',
      'Transfer-Encoding\x80: chunked',
      'Cookie: a=b\x0bc',
    ],
  ]
  const [bare = '', port = ''] = authority.split(':')
  const hosts = [
    ...[
      `Host: ${authority}\r\nHost: ${authority}`,
      `Host: ${authority}\r\nHost: evil.example`,
      `Host: evil.example\r\nHost: ${authority}`,
    ],
    ...[
      `Host: ${authority}, evil.example`,
      `Host: ${authority} evil.example`,
      `Host: ${authority},`,
      'Host:',
      'X-Nothing: here',
    ],
    ...[
      `Host: evil@${authority}`,
      `Host: ${authority}@evil.example`,
      `Host: ${bare}`,
      `Host: ${bare}.:${port}`,
      `Host: ${bare.toUpperCase()}:${port}`,
    ],
    ...[
      `Host: ${bare}:0${port}`,
      `Host: ${bare}:+${port}`,
      `Host: ${bare}:`,
      `Host: ${bare}:${port}:${port}`,
      `Host: ${authority}/x`,
      `Host: ${authority}?x`,
    ],
    ...[
      `Host: ${authority}#x`,
      `Host: http://${authority}`,
      `Host: ${bare}%00:${port}`,
      `Host: ${bare}\\x:${port}`,
      `Host : ${authority}`,
      `Host\t: ${authority}`,
    ],
    ...[
      `host: ${authority}`,
      `HOST: ${authority}`,
      `Host: ${authority}\r\n .evil.example`,
      `Host:\r\n ${authority}`,
      `Host: ${authority}\x0b`,
      `X-A: b\nHost: ${authority}`,
    ],
    ...[
      `Host: ${authority}\r\nX-Forwarded-Host: evil.example`,
      `Host: ${authority}\r\nForwarded: host=evil.example`,
      `Host: ${authority}\r\nHOST_: evil.example`,
    ],
  ]
  const others = [
    ...[
      `http://evil.example`,
      `https://evil.example`,
      `http://${authority}`,
      `https://${authority}`,
      `https://${bare}`,
      `ftp://${authority}`,
      `HTTPS://${authority}`,
    ],
    ...[
      `//${authority}`,
      `//evil.example`,
      `https://evil@${authority}`,
      `https://${authority}@evil.example`,
      `https://${authority}#@evil.example`,
    ],
    ...[
      `https:/${authority}`,
      `https:${authority}`,
      `https:///${authority}`,
      `https://${authority}\\@evil.example`,
      `https://${bare}%2eevil.example`,
    ],
  ]
  const paths = [
    ...[
      '/../x',
      '/./x',
      '/%2e%2e/x',
      '/%2E%2e',
      '/..;/x',
      '/x/..',
      '//x',
      '/\\x',
      '/x\\..\\y',
      '/%5c',
      '/%00',
      '/%0d%0aX:%20y',
      '/%zz',
      '/%',
    ],
    ...[
      '/%2f..%2f',
      '/%252e%252e',
      '/x#y',
      '/x?y#z',
      '/x?\\',
      '/x?%',
      '/x?%0a',
      '/\x80',
      '/\xff',
      '/x\x00',
      '/x\x7f',
      '/x\ty',
      '/x y',
      '/;/../x',
    ],
    ...['/x?a=b?c=d', '/x?http://evil.example/', '/%c0%ae%c0%ae/', '/x%20HTTP/1.1%0d%0a', '/x HTTP/1.0', '/x?a b'],
  ]
  const requestLines: Table = [
    ...[
      'GET  %s HTTP/1.1',
      'GET\t%s\tHTTP/1.1',
      'GET %s  HTTP/1.1',
      'GET %s HTTP/1.1 ',
      ' GET %s HTTP/1.1',
      '\tGET %s HTTP/1.1',
    ],
    ...[
      'GET %s',
      'GET %s HTTP/1.0',
      'GET %s HTTP/1.2',
      'GET %s HTTP/2.0',
      'GET %s HTTP/0.9',
      'GET %s http/1.1',
      'GET %s HTTP/1.1x',
      'GET %s HTTP/11',
    ],
    ...[
      'GET %s HTTP/1,1',
      'GET %s HTTP/01.1',
      'GET %s HTTP/ 1.1',
      'get %s HTTP/1.1',
      'Get %s HTTP/1.1',
      'G@T %s HTTP/1.1',
      'GE\0T %s HTTP/1.1',
      'G\xcbT %s HTTP/1.1',
    ],
    ...[
      '\r\nGET %s HTTP/1.1',
      '\r\n\r\nGET %s HTTP/1.1',
      '\nGET %s HTTP/1.1',
      '\rGET %s HTTP/1.1',
      '\0GET %s HTTP/1.1',
      '\xef\xbb\xbfGET %s HTTP/1.1',
    ],
    ...[
      'TRACE %s HTTP/1.1',
      'OPTIONS %s HTTP/1.1',
      'PRI %s HTTP/2.0',
      'SOURCE %s ICE/1.0',
      'DESCRIBE %s RTSP/1.0',
      'GET %s RTSP/1.0',
      'OPTIONS %s RTSP/1.0',
      'SETUP %s RTSP/1.0',
      'CONNECT %s HTTP/1.1',
      `${'A'.repeat(300)} %s HTTP/1.1`,
    ],
    ...[
      'M-SEARCH %s HTTP/1.1',
      'PURGE %s HTTP/1.1',
      'QUERY %s HTTP/1.1',
      'GET %s %s HTTP/1.1',
      'GET %s HTTP/1.1 HTTP/1.1',
      'GET %s HTTP/1.1\x0b',
    ],
  ].map((line) => [`request line ${shown(line)}`, (at) => lines(line.replaceAll('%s', target(at)), host)])

  const tables: Table = [
    ...lengthValues.map((value): Table[number] => [
      `Content-Length: ${shown(value)}`,
      (at) => `${post(at, `Content-Length:${value}`)}hello`,
    ]),
    ...names('Content-Length').map((name): Table[number] => [
      `the length as ${shown(name)}`,
      (at) => `${post(at, `${name}: ${hidden.length}`)}${hidden}`,
    ]),
    ...names('Transfer-Encoding').map((name): Table[number] => [
      `the coding as ${shown(name)}`,
      (at) => post(at, `${name}: chunked`) + chunked,
    ]),
    ...names('Transfer-Encoding').map((name): Table[number] => [
      `the coding as ${shown(name)} behind a length`,
      (at) => `${post(at, `Content-Length: ${hidden.length + 5}`, `${name}: chunked`)}0\r\n\r\n${hidden}`,
    ]),
    ...codings.map((value): Table[number] => [
      `Transfer-Encoding: ${shown(value)}`,
      (at) => post(at, `Transfer-Encoding:${value}`) + chunked,
    ]),
    ...codings.map((value): Table[number] => [
      `Transfer-Encoding: ${shown(value)} and a length`,
      (at) => `${post(at, `Transfer-Encoding:${value}`, `Content-Length: ${hidden.length + 5}`)}0\r\n\r\n${hidden}`,
    ]),
    ['two lengths alike', (at) => `${post(at, 'Content-Length: 5', 'Content-Length: 5')}hello`],
    ['two lengths', (at) => `${post(at, 'Content-Length: 5', `Content-Length: ${hidden.length}`)}${hidden}`],
    ['two codings', (at) => post(at, 'Transfer-Encoding: chunked', 'Transfer-Encoding: identity') + chunked],
    ['two codings alike', (at) => post(at, 'Transfer-Encoding: chunked', 'Transfer-Encoding: chunked') + chunked],
    [
      'a length of none, and a request behind it',
      (at) => post(at, 'Content-Length: 0') + hidden.replace(smuggledPath, at),
    ],
    ['chunks in HTTP/1.0', (at) => post(at, 'Transfer-Encoding: chunked').replace('HTTP/1.1', 'HTTP/1.0') + chunked],
    ['a length in HTTP/1.0', (at) => `${post(at, 'Content-Length: 5').replace('HTTP/1.1', 'HTTP/1.0')}hello`],
    ...sizes.map((size): Table[number] => [
      `chunk size ${shown(size)}`,
      (at) => post(at, 'Transfer-Encoding: chunked') + chunked.replace('5', () => size),
    ]),
    ...ends.map((body): Table[number] => [
      `chunks ${shown(body)}`,
      (at) => post(at, 'Transfer-Encoding: chunked') + body,
    ]),
    ...trailers.map((line): Table[number] => [
      `trailer ${shown(line)}`,
      (at) =>
        post(at, 'Transfer-Encoding: chunked', 'Trailer: X-After') + chunked.replace('0\r\n', () => `0\r\n${line}\r\n`),
    ]),
    ...breaks.flatMap((by) =>
      [0, 1, 2, 3].map((line): Table[number] => [
        `${shown(by)} at the end of line ${line + 1}`,
        (at) => `${broken(post(at, 'Content-Length: 5'), line, by)}hello`,
      ]),
    ),
    ...fieldLines.map((line): Table[number] => [`field ${shown(line)}`, (at) => get(at, line)]),
    ...hosts.map((line): Table[number] => [
      `authority ${shown(line)}`,
      (at) => lines(`GET ${target(at)} HTTP/1.1`, line),
    ]),
    ...others.map((place): Table[number] => [
      `target at ${shown(place)}`,
      (at) => lines(`GET ${place}${at} HTTP/1.1`, host),
    ]),
    ...paths.map((more): Table[number] => [
      `path ${shown(more)}`,
      (at) => lines(`GET ${target(at)}${more} HTTP/1.1`, host),
    ]),
    ...requestLines,
    ...['GET', 'HEAD', 'DELETE', 'OPTIONS', 'TRACE'].map((method): Table[number] => [
      `${method} with a body`,
      (at) => lines(`${method} ${target(at)} HTTP/1.1`, host, `Content-Length: ${hidden.length}`) + hidden,
    ]),
    ...['GET', 'HEAD', 'OPTIONS'].map((method): Table[number] => [
      `${method} with chunks`,
      (at) => lines(`${method} ${target(at)} HTTP/1.1`, host, 'Transfer-Encoding: chunked') + chunked,
    ]),
    ...[
      '100-continue',
      '100-Continue',
      '100-continue, x',
      'x',
      '',
      '100-continue\r\nExpect: 100-continue',
      '200-ok',
    ].flatMap(
      (value): Table => [
        [
          `Expect: ${shown(value)} with a body`,
          (at) => `${post(at, `Expect: ${value}`, `Content-Length: ${hidden.length}`)}${hidden}`,
        ],
        [`Expect: ${shown(value)} without one`, (at) => get(at, `Expect: ${value}`)],
      ],
    ),
    ...['websocket', 'h2c', 'websocket, h2c', 'WebSocket', 'tls/1.0', '', 'websocket\r\nUpgrade: h2c'].flatMap(
      (value): Table => [
        [
          `Upgrade: ${shown(value)} with a body`,
          (at) =>
            `${post(at, 'Connection: Upgrade, HTTP2-Settings', `Upgrade: ${value}`, 'HTTP2-Settings: AAMAAABkAAQAAP__', `Content-Length: ${hidden.length}`)}${hidden}`,
        ],
        [
          `Upgrade: ${shown(value)} with chunks`,
          (at) => post(at, 'Connection: Upgrade', `Upgrade: ${value}`, 'Transfer-Encoding: chunked') + chunked,
        ],
        [
          `Upgrade: ${shown(value)} and a request behind it`,
          (at) => get(at, 'Connection: Upgrade', `Upgrade: ${value}`) + hidden,
        ],
        [
          `Upgrade: ${shown(value)} that Connection does not name`,
          (at) => `${post(at, `Upgrade: ${value}`, `Content-Length: ${hidden.length}`)}${hidden}`,
        ],
      ],
    ),
    ...[
      'Content-Length',
      'content-length, Transfer-Encoding',
      'Host',
      'Authorization',
      'Transfer-Encoding',
      'close, Content-Length',
      'Content-Length;x',
      ',,',
      'Content-Length\r\nConnection: Host',
    ].flatMap(
      (value): Table => [
        [
          `Connection: ${shown(value)} with a length`,
          (at) => `${post(at, `Connection: ${value}`, `Content-Length: ${hidden.length}`)}${hidden}`,
        ],
        [
          `Connection: ${shown(value)} with chunks`,
          (at) => post(at, `Connection: ${value}`, 'Transfer-Encoding: chunked') + chunked,
        ],
      ],
    ),
    ['a length that is longer than the body', (at) => `${post(at, `Content-Length: ${2 * hidden.length}`)}${hidden}`],
    ['a length that is shorter than the body', (at) => `${post(at, 'Content-Length: 3')}hello`],
    ['two requests in one write', (at) => get(at) + get(at)],
    ['a request behind one that is refused', (at) => get(at, 'X-A : b') + hidden],
    [
      'a CONNECT behind a request',
      (at) => `${get(at)}CONNECT evil.example:443 HTTP/1.1\r\nHost: evil.example:443\r\n\r\n${hidden}`,
    ],
    ['a request behind garbage', () => `garbage\r\n\r\n${hidden}`],
    ['a head that never ends', (at) => get(at, 'X-A: b').slice(0, -2)],
  ]
  return tables.map(([name, make], index) => ({ name, bytes: make(path(index)) }))
}
