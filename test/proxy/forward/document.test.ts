// What a server can do to whoever asks it for a document, and what is said of it.
import type { RequestListener } from 'node:http'
import { gzipSync } from 'node:zlib'
import { afterEach, describe, expect, it } from 'vitest'
import { type DocumentBounds, fetchDocument } from '../../../proxy/forward/document.ts'
import { guardedDispatcher } from '../../../proxy/forward/undici.ts'
import { type HttpsUpstream, httpsUpstream } from '../../support/upstream.ts'

let server: HttpsUpstream | undefined
afterEach(() => server?.close())

async function fetched(
  listener: RequestListener,
  {
    ca,
    addresses = ['127.0.0.0/8'],
    names = ['keys.example'],
    bounds,
  }: { ca?: string; addresses?: string[]; names?: string[]; bounds?: DocumentBounds } = {},
): Promise<string> {
  server = await httpsUpstream(names, listener)
  const reachable = { ca: [ca ?? server.ca], addresses, patience: 2_000 }
  const dispatcher = guardedDispatcher(
    reachable,
    async () => ['127.0.0.1'],
    () => false,
  )
  try {
    return await fetchDocument(dispatcher, `https://keys.example:${server.port}/jwks`, 700, bounds)
  } catch (error) {
    return error instanceof Error ? error.message.replace(/:\d+/, '') : String(error)
  } finally {
    await dispatcher.destroy()
  }
}

describe('a document', () => {
  it('comes as it is', async () => {
    expect(await fetched((request, response) => response.end(`${request.method} ${request.url}`))).toBe('GET /jwks')
  })

  it.each<[string, RequestListener, string | RegExp]>([
    [
      'elsewhere',
      (_, response) => response.writeHead(302, { location: 'https://evil.example/' }).end(),
      'keys.example answered 302',
    ],
    ['that is not given', (_, response) => response.writeHead(403).end('{"keys":[]}'), 'keys.example answered 403'],
    [
      'in a coding',
      (_, response) => response.writeHead(200, { 'content-encoding': 'gzip' }).end(gzipSync('{}')),
      'keys.example answered in a coding of its own',
    ],
    [
      'without end',
      (_, response) => {
        const more = () => {
          while (!response.destroyed && response.write(Buffer.alloc(65_536, 0x20)));
        }
        response.on('drain', more)
        more()
      },
      'keys.example answered with more than 262144 bytes',
    ],
    ['that never comes', () => {}, 'keys.example gave no whole answer within 700 ms'],
    [
      'that stops in the middle',
      (_, response) => void response.write('{'),
      'keys.example gave no whole answer within 700 ms',
    ],
    [
      'that breaks off',
      (_, response) => void response.write('{', () => response.destroy()),
      /^keys.example failed: (UND_ERR_SOCKET|HTTPParserError)$/,
    ],
  ])('%s is refused', async (_, listener, problem) => {
    expect(await fetched(listener)).toMatch(problem)
  })

  it('of a server with another name, another authority, or a forbidden address is refused', async () => {
    const ok: RequestListener = (_, response) => response.end('{}')
    expect(await fetched(ok, { names: ['other.example'] })).toMatch(
      /^keys.example was not connected to: upstream_untrusted/,
    )
    await server?.close()
    const { ca, close } = await httpsUpstream(['x.example'], ok)
    await close()
    expect(await fetched(ok, { ca })).toMatch(/^keys.example was not connected to: upstream_untrusted/)
    await server?.close()
    expect(await fetched(ok, { addresses: [] })).toMatch(/^keys.example was not connected to: blocked_address/)
  })

  describe('where redirects are followed', () => {
    const bounds = { redirects: 2, largest: 100 }
    const to =
      (location: (port: number) => string): RequestListener =>
      (request, response) => {
        if (request.url === '/end') response.end('the document')
        else response.writeHead(307, { location: location(request.socket.localPort ?? 0) }).end('{"keys":[]}')
      }

    it.each<[string, RequestListener, string | RegExp]>([
      ['to a path', to(() => '/end'), 'the document'],
      ['to a URL', to((port) => `https://keys.example:${port}/end`), 'the document'],
      ['to cleartext', to((port) => `http://keys.example:${port}/end`), /redirects to cleartext or another scheme$/],
      ['to a file', to(() => 'file:///etc/passwd'), /redirects to cleartext or another scheme$/],
      [
        'with a password',
        to((port) => `https://a:b@keys.example:${port}/end`),
        /redirects to a URL with user information$/,
      ],
      ['to what is no URL', to(() => 'https://:bad'), /redirects to nowhere$/],
      ['to nothing', (_, response) => response.writeHead(302).end(), /redirects to nowhere$/],
      ['in circles', to(() => '/again'), /redirects more than 2 times$/],
      [
        'to another name than that of its certificate',
        to((port) => `https://other.example:${port}/end`),
        /^other.example was not connected to: upstream_untrusted/,
      ],
      ['to too much', (_, response) => response.end('x'.repeat(101)), /answered with more than 100 bytes$/],
    ])('%s', async (_, listener, outcome) => {
      expect(await fetched(listener, { bounds })).toMatch(outcome)
    })
  })
})
