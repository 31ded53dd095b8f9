import { once } from 'node:events'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import { createServer as createTlsServer } from 'node:https'
import { type AddressInfo, createServer as createMuteServer, type Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import { tokenLease } from '../../../../proxy/obtain/oauth2/token-lease.ts'
import { TokenServer } from '../../../../proxy/obtain/oauth2/token-server.ts'
import { credentialSchema } from '../../../../proxy/obtain/settings.ts'
import { Refusal } from '../../../../proxy/refusal.ts'
import { makeAuthority, makeServerCertificate } from '../../../support/pki.ts'
import { surroundingsOf } from '../surroundings.ts'
import { never, refusalOf } from '../world.ts'

/** Stands for anything secret: what was sent to the server, and what it answers. */
const canary = 'canary-secret-8d2f'

type Handler = (request: IncomingMessage, response: ServerResponse) => void

let folder: string
let caFile: string
const authority = makeAuthority()
const identity = makeServerCertificate(authority, ['127.0.0.1', 'localhost'])
const running: { close(): Promise<void> }[] = []
const openServers: TokenServer[] = []

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'postern-lying-'))
  caFile = join(folder, 'ca.pem')
  await writeFile(caFile, authority.pem)
})
afterAll(() => rm(folder, { recursive: true, force: true }))
afterEach(async () => {
  for (const server of openServers.splice(0)) server.close()
  for (const server of running.splice(0)) await server.close()
})

async function serve(handler: Handler): Promise<string> {
  const server = createTlsServer(identity, handler)
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  running.push({
    close: async () => {
      server.closeAllConnections()
      server.close()
      await once(server, 'close')
    },
  })
  return `https://127.0.0.1:${(server.address() as AddressInfo).port}`
}

interface Wanted {
  readonly scopes?: readonly string[]
  readonly timeout?: string
  readonly exchange?: boolean
  readonly requestedTokenType?: string
  readonly settings?: Record<string, unknown>
}

function serverAt(origin: string, { scopes = [], timeout = '5s', settings = {} }: Wanted = {}): TokenServer {
  const parsed = credentialSchema.parse({
    kind: 'oauth2-client-credentials',
    for: ['crm'],
    tokenEndpoint: `${origin}/token`,
    client: { id: 'postern', auth: 'client_secret_post', secret: '${env:CLIENT_SECRET}' },
    scopes,
    timeout,
    ca: [caFile],
    ...settings,
  })
  if (parsed.kind !== 'oauth2-client-credentials') throw new Error('of another kind')
  const server = new TokenServer(parsed, surroundingsOf({ environment: { CLIENT_SECRET: canary } }))
  openServers.push(server)
  return server
}

async function ask(origin: string, wanted: Wanted = {}, signal = never) {
  const { exchange = false, requestedTokenType } = wanted
  const token = await serverAt(origin, wanted).token(
    [['grant_type', 'client_credentials']],
    { exchange, requestedTokenType, grantEnded: 'consent_required' },
    signal,
  )
  return tokenLease('crm-token', 'test', token)
}

/** Everything that could be printed of a refusal. */
function everything(refusal: Refusal): string {
  const cause = refusal.cause instanceof Error ? [refusal.cause.message, refusal.cause.stack] : []
  return [refusal.message, refusal.detail, JSON.stringify(refusal.problem('id')), ...cause].join('\n')
}

async function refused(handler: Handler, wanted: Wanted = {}): Promise<Refusal> {
  const origin = await serve(handler)
  const refusal = await refusalOf(ask(origin, wanted))
  expect(everything(refusal)).not.toContain(canary)
  return refusal
}

const json =
  (value: unknown, status = 200, headers: Record<string, string> = {}): Handler =>
  (_request, response) => {
    response.writeHead(status, { 'content-type': 'application/json', ...headers }).end(JSON.stringify(value))
  }
const good = { access_token: canary, token_type: 'Bearer', expires_in: 300 }

describe('an answer is refused', () => {
  const cases: [what: string, handler: Handler, detail: RegExp, wanted?: Wanted][] = [
    [
      'that is HTML',
      (_, response) => response.writeHead(200, { 'content-type': 'text/html' }).end(`<p>${canary}`),
      /answered 200 without a JSON object/,
    ],
    ['that is JSON called HTML', json(good, 200, { 'content-type': 'text/html' }), /without a JSON object/],
    ['that has no type', (_, response) => response.writeHead(200).end(JSON.stringify(good)), /without a JSON object/],
    ['that is another JSON type', json(good, 200, { 'content-type': 'application/json-seq' }), /without a JSON object/],
    ['that is compressed', json(good, 200, { 'content-encoding': 'gzip' }), /without a JSON object/],
    [
      'that is broken JSON',
      (_, response) =>
        response.writeHead(200, { 'content-type': 'application/json' }).end(`{"access_token":"${canary}`),
      /without a JSON object/,
    ],
    ['that is an array', json([canary]), /without a JSON object/],
    ['that is text', json(canary), /without a JSON object/],
    ['that is null', json(null), /without a JSON object/],
    [
      'that is empty',
      (_, response) => response.writeHead(200, { 'content-type': 'application/json' }).end(),
      /without a JSON object/,
    ],
    ['that is no success', json(good, 201), /answered 201: no error code/],
    ['without a token', json({ token_type: 'Bearer' }), /no well-formed access_token/],
    ['with a token that is no text', json({ ...good, access_token: [canary] }), /no well-formed access_token/],
    ['with an empty token', json({ ...good, access_token: '' }), /no well-formed access_token/],
    [
      'with a token that ends a header',
      json({ ...good, access_token: `${canary}\r\nX: y` }),
      /no well-formed access_token/,
    ],
    ['with a token of other letters', json({ ...good, access_token: `${canary}é` }), /no well-formed access_token/],
    [
      'with a token that fits no header',
      json({ ...good, access_token: 'x'.repeat(16_385) }),
      /no well-formed access_token/,
    ],
    ['without a type', json({ access_token: canary }), /type that is not Bearer/],
    ['of type DPoP, which Bearer must not replace', json({ ...good, token_type: 'DPoP' }), /type that is not Bearer/],
    ['of type MAC', json({ ...good, token_type: 'mac' }), /type that is not Bearer/],
    ['of type N_A outside of an exchange', json({ ...good, token_type: 'N_A' }), /type that is not Bearer/],
    ['whose type is a secret', json({ ...good, token_type: canary }), /type that is not Bearer/],
    ['with no life', json({ ...good, expires_in: 0 }), /no time to come/],
    ['with a negative life', json({ ...good, expires_in: -300 }), /no time to come/],
    ['with a life of no number', json({ ...good, expires_in: canary }), /no time to come/],
    ['with a life of an object', json({ ...good, expires_in: {} }), /no time to come/],
    ['with a wider scope than asked for', json({ ...good, scope: 'read write' }), /wider scope/, { scopes: ['read'] }],
    ['with another scope than asked for', json({ ...good, scope: canary }), /wider scope/, { scopes: ['read'] }],
    ['with a scope that is a list', json({ ...good, scope: ['read'] }), /no list of scopes/, { scopes: ['read'] }],
    ['with a refresh token that is no text', json({ ...good, refresh_token: 1 }), /no well-formed refresh_token/],
    [
      'of another token type than asked for',
      json({ ...good, issued_token_type: 'urn:ietf:params:oauth:token-type:jwt' }),
      /another type than was asked for/,
      { exchange: true, requestedTokenType: 'urn:ietf:params:oauth:token-type:access_token' },
    ],
  ]
  it.each(cases)('%s', async (_what, handler, detail, wanted) => {
    const refusal = await refused(handler, wanted)
    expect(refusal.reason).toBe('credential_unavailable')
    expect(refusal.detail).toMatch(detail)
  })
})

describe('an error of the server', () => {
  it('is told by its code, never by its description', async () => {
    const refusal = await refused(json({ error: 'invalid_client', error_description: canary, error_uri: canary }, 401))
    expect(refusal.reason).toBe('credential_unavailable')
    expect(refusal.detail).toMatch(/^token server 127\.0\.0\.1:\d+ answered 401: invalid_client$/)
  })

  it('is not told when the code is what was sent to it', async () => {
    expect((await refused(json({ error: canary }, 400))).detail).toMatch(/answered 400: an error code of its own$/)
    expect((await refused(json({ error: { code: canary } }, 400))).detail).toMatch(/answered 400: no error code$/)
  })

  it('means that the grant has ended where it says so', async () => {
    for (const error of ['invalid_grant', 'interaction_required', 'login_required', 'consent_required'])
      expect((await refused(json({ error }, 400))).reason).toBe('consent_required')
  })

  it('tells when to come back', async () => {
    const refusal = await refused(json({ error: 'temporarily_unavailable' }, 503, { 'retry-after': '17' }))
    expect(refusal.retryAfter).toBe(17)
  })

  it('does not tell when to come back in words', async () => {
    const refusal = await refused(json({ error: 'server_error' }, 500, { 'retry-after': canary }))
    expect(refusal.retryAfter).toBeUndefined()
  })
})

describe('a server is left', () => {
  it('that answers with 10 MB, before they are read', async () => {
    let sent = 0
    const refusal = await refused((_, response) => {
      response.writeHead(200, { 'content-type': 'application/json' })
      const chunk = Buffer.alloc(65_536, 0x20)
      const more = (): void => {
        while (sent < 10_485_760 && !response.destroyed) {
          sent += chunk.length
          if (!response.write(chunk)) return void response.once('drain', more)
        }
        response.end()
      }
      more()
    })
    expect(refusal.detail).toMatch(/more than 65536 bytes/)
    expect(sent).toBeLessThan(10_485_760)
  })

  it('that drips its answer', async () => {
    let dripping: NodeJS.Timeout | undefined
    const refusal = await refused(
      (_, response) => {
        response.writeHead(200, { 'content-type': 'application/json' })
        dripping = setInterval(() => response.write(' '), 20)
        response.once('close', () => clearInterval(dripping))
      },
      { timeout: '300ms' },
    )
    expect(refusal.detail).toMatch(/gave no whole answer within 300 ms/)
  })

  it('that never answers', async () => {
    const refusal = await refused(() => {}, { timeout: '200ms' })
    expect(refusal.reason).toBe('credential_unavailable')
    expect(refusal.detail).toMatch(/gave no whole answer within 200 ms/)
  })

  it('that takes the connection and never speaks', async () => {
    const mute = createMuteServer().listen(0, '127.0.0.1')
    const sockets = new Set<Socket>()
    mute.on('connection', (socket) => sockets.add(socket))
    await once(mute, 'listening')
    const origin = `https://127.0.0.1:${(mute.address() as AddressInfo).port}`
    const refusal = await refusalOf(ask(origin, { timeout: '200ms' }))
    expect(refusal.detail).toMatch(/gave no whole answer within 200 ms/)
    for (const socket of sockets) socket.destroy()
    mute.close()
  })

  it('that breaks off', async () => {
    const refusal = await refused((_, response) => {
      response.writeHead(200, { 'content-type': 'application/json', 'content-length': '1000' })
      response.write(`{"access_token":"${canary}"`, () => response.destroy())
    })
    expect(refusal.detail).toMatch(/failed: UND_ERR_RES_CONTENT_LENGTH_MISMATCH|UND_ERR_SOCKET|ECONNRESET/)
  })

  it('that is not there', async () => {
    const origin = await serve(() => {})
    for (const server of running.splice(0)) await server.close()
    const refusal = await refusalOf(ask(origin))
    expect(refusal.reason).toBe('credential_unavailable')
    expect(refusal.detail).toMatch(/failed: ECONNREFUSED/)
  })

  it('whose certificate is of nobody that is trusted', async () => {
    const origin = await serve(json(good))
    const refusal = await refusalOf(ask(origin, { settings: { ca: [] } }))
    expect(refusal.reason).toBe('credential_unavailable')
    expect(refusal.detail).toMatch(/failed: (UNABLE_TO|SELF_SIGNED|DEPTH_ZERO)/)
  })

  it('that speaks cleartext where TLS was meant', async () => {
    const server = createServer(json(good)).listen(0, '127.0.0.1')
    await once(server, 'listening')
    const refusal = await refusalOf(ask(`https://127.0.0.1:${(server.address() as AddressInfo).port}`))
    expect(refusal.reason).toBe('credential_unavailable')
    server.closeAllConnections()
    server.close()
  })

  it('when the request that waits is cut', async () => {
    const leaving = new AbortController()
    const origin = await serve(() => leaving.abort())
    const refusal = await refusalOf(ask(origin, {}, leaving.signal))
    expect(refusal.detail).toMatch(/failed/)
  })

  it('when its authority cannot be read', async () => {
    const refusal = await refusalOf(ask('https://127.0.0.1:1', { settings: { ca: ['/none/ca.pem'] } }))
    expect(refusal.detail).toBe('/none/ca.pem: ENOENT')
  })

  it('when the address guard says so, in whose words the record has it', async () => {
    const settings = credentialSchema.parse({
      kind: 'oauth2-client-credentials',
      for: ['crm'],
      tokenEndpoint: 'https://login.example/token',
      client: { id: 'postern', auth: 'none' },
    })
    if (settings.kind !== 'oauth2-client-credentials') throw new Error('of another kind')
    const guarded = surroundingsOf()
    const server = new TokenServer(settings, {
      ...guarded,
      dispatcher: (connection) => {
        const dispatcher = guarded.dispatcher(connection)
        dispatcher.dispatch = () => {
          throw new Refusal('blocked_address', { detail: 'login.example resolves to 169.254.169.254' })
        }
        return dispatcher
      },
    })
    const refusal = await refusalOf(
      server.token([], { exchange: false, requestedTokenType: undefined, grantEnded: 'consent_required' }, never),
    )
    expect(refusal.reason).toBe('credential_unavailable')
    expect(refusal.detail).toContain('blocked_address: login.example resolves to 169.254.169.254')
  })
})

it('is not followed to elsewhere, with whatever status', async () => {
  for (const status of [301, 302, 303, 307, 308]) {
    const reached: string[] = []
    const elsewhere = await serve((request, response) => {
      reached.push(request.url ?? '')
      json(good)(request, response)
    })
    const refusal = await refused((_, response) => response.writeHead(status, { location: `${elsewhere}/token` }).end())
    expect(refusal.detail).toMatch(new RegExp(`answered ${status}; redirects are not followed`))
    expect(reached).toEqual([])
  }
})

describe('metadata', () => {
  async function discovered(
    document: (origin: string) => unknown,
    path = '',
  ): Promise<{ refusal: Refusal; origin: string; posts: number }> {
    let posts = 0
    const origin: string = await serve((request, response) => {
      if (request.method === 'POST') posts += 1
      json(document(origin))(request, response)
    })
    const refusal = await refusalOf(ask(origin, { settings: { tokenEndpoint: undefined, issuer: `${origin}${path}` } }))
    return { refusal, origin, posts }
  }

  const cases: [what: string, document: (origin: string) => unknown, detail: RegExp][] = [
    [
      'of another issuer',
      (origin) => ({ issuer: 'https://evil.example', token_endpoint: `${origin}/t` }),
      /names another issuer/,
    ],
    [
      'of the issuer with a slash more',
      (origin) => ({ issuer: `${origin}/`, token_endpoint: `${origin}/t` }),
      /names another issuer/,
    ],
    ['without issuer', (origin) => ({ token_endpoint: `${origin}/t` }), /names another issuer/],
    ['without token endpoint', (origin) => ({ issuer: origin }), /has no token_endpoint/],
    [
      'with a cleartext token endpoint',
      (origin) => ({ issuer: origin, token_endpoint: 'http://127.0.0.1/t' }),
      /token_endpoint that is not an HTTPS URL/,
    ],
    [
      'with a token endpoint that is no URL',
      (origin) => ({ issuer: origin, token_endpoint: '/t' }),
      /token_endpoint that is not an absolute URL/,
    ],
    [
      'with a token endpoint that is a list',
      (origin) => ({ issuer: origin, token_endpoint: [] }),
      /token_endpoint that is no text/,
    ],
    [
      'with a cleartext revocation endpoint',
      (origin) => ({ issuer: origin, token_endpoint: `${origin}/t`, revocation_endpoint: 'http://x.example' }),
      /revocation_endpoint that is not/,
    ],
    ['that is a list', () => [], /is not a JSON object/],
  ]
  it.each(cases)('%s is refused before anything secret is sent', async (_what, document, detail) => {
    const { refusal, posts } = await discovered(document)
    expect(refusal.reason).toBe('credential_unavailable')
    expect(refusal.detail).toMatch(detail)
    expect(posts).toBe(0)
  })

  it('that leads elsewhere by redirect is refused', async () => {
    const origin = await serve((_, response) => response.writeHead(302, { location: 'https://evil.example/' }).end())
    const refusal = await refusalOf(ask(origin, { settings: { tokenEndpoint: undefined, issuer: origin } }))
    expect(refusal.detail).toMatch(/redirects are not followed/)
  })

  it('is asked for between host and path, then after it', async () => {
    const asked: string[] = []
    const origin = await serve((request, response) => {
      asked.push(request.url ?? '')
      response.writeHead(404).end()
    })
    const settings = { tokenEndpoint: undefined, issuer: `${origin}/tenant/` }
    expect((await refusalOf(ask(origin, { settings }))).detail).toMatch(/was answered with 404/)
    expect(asked).toEqual([
      '/.well-known/oauth-authorization-server/tenant',
      '/tenant/.well-known/openid-configuration',
    ])
  })
})

describe('an answer is accepted', () => {
  const accepted = async (answer: Record<string, unknown>, wanted: Wanted = {}) =>
    ask(await serve(json(answer)), wanted)

  it('without an end, which the manager then sets', async () => {
    expect((await accepted({ access_token: 'a', token_type: 'Bearer' })).expiresAt).toBeUndefined()
  })

  it('with its end counted from before the request', async () => {
    const before = Date.now()
    const { expiresAt = 0 } = await accepted({ access_token: 'a', token_type: 'bearer', expires_in: 300 })
    expect(expiresAt - before).toBeGreaterThanOrEqual(300_000)
    expect(expiresAt).toBeLessThanOrEqual(Date.now() + 300_000)
  })

  it('with its life written as text', async () => {
    expect((await accepted({ access_token: 'a', token_type: 'BEARER', expires_in: '300' })).expiresAt).toBeDefined()
  })

  it('with a life of centuries, as a year', async () => {
    const { expiresAt = 0 } = await accepted({ access_token: 'a', token_type: 'Bearer', expires_in: 1e12 })
    expect(expiresAt).toBeLessThanOrEqual(Date.now() + 31_536_000_000)
  })

  it('with a narrower scope, which the lease then tells', async () => {
    const answer = { access_token: 'a', token_type: 'Bearer', scope: 'read' }
    expect((await accepted(answer, { scopes: ['read', 'write'] })).scopes).toEqual(['read'])
  })

  it('without scope, which then is what was asked for', async () => {
    const answer = { access_token: 'a', token_type: 'Bearer' }
    expect((await accepted(answer, { scopes: ['read', 'write'] })).scopes).toEqual(['read', 'write'])
    expect((await accepted(answer)).scopes).toBeUndefined()
  })

  it('of type N_A in an exchange', async () => {
    expect((await accepted({ access_token: 'a', token_type: 'N_A' }, { exchange: true })).secret.reveal()).toBe('a')
  })

  it('over cleartext on loopback, where the configuration says so', async () => {
    const server = createServer(json({ access_token: 'a', token_type: 'Bearer' })).listen(0, '127.0.0.1')
    await once(server, 'listening')
    const origin = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
    expect((await ask(origin, { settings: { allowCleartextLoopback: true } })).secret.reveal()).toBe('a')
    server.closeAllConnections()
    server.close()
  })
})
