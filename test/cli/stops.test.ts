// The signed feed of stops over real HTTPS: what is refused, when it is stale, and what a restart remembers.
import { generateKeyPairSync, type KeyObject, sign } from 'node:crypto'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import type { IncomingMessage, ServerResponse } from 'node:http'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { gzipSync } from 'node:zlib'
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { type OpenStops, openStops } from '../../cli/wire/stops.ts'
import { digestOf, largestFeed } from '../../proxy/stop/feed-document.ts'
import { type FeedSettings, stopSettingsSchema } from '../../proxy/stop/settings.ts'
import { type Json, publicJwk, signJwt } from '../support/jwt.ts'
import { makeKey } from '../support/pki.ts'
import { type HttpsUpstream, httpsUpstream } from '../support/upstream.ts'

const start = 1_800_000_000
const issuer = 'https://stops.acme.example'
const key = makeKey('p256')
const other = makeKey('p256')

let folder: string
let server: HttpsUpstream
let answer: (request: IncomingMessage, response: ServerResponse) => void
/** Epoch seconds. */
let now: number
let stops: OpenStops | undefined
let told: string[]
let changes: number

beforeEach(async () => {
  folder = mkdtempSync(join(tmpdir(), 'postern-feed-'))
  now = start
  told = []
  changes = 0
  answer = (_request, response) => response.writeHead(404).end()
  server = await httpsUpstream(['stops.example'], (request, response) => answer(request, response))
})
afterEach(async () => {
  await stops?.close()
  stops = undefined
  await server.close()
  rmSync(folder, { recursive: true, force: true })
})

const entry = { kind: 'user', id: 'zoe', reason: 'account taken over' }
const claims = (more: Json = {}): Json => ({
  iss: issuer,
  iat: start,
  exp: start + 600,
  seq: 5,
  entries: [entry],
  ...more,
})
const header: Json = { alg: 'ES256', typ: 'stop-feed+jwt', kid: 'k1' }
const feed = (more: Json = {}, head: Json = {}, by: KeyObject = key.privateKey) =>
  signJwt({ ...header, ...head }, claims(more), by)

function serve(document: string): void {
  answer = ({ url }, response) =>
    url === '/jwks' ? response.end(JSON.stringify({ keys: [publicJwk(key, 'k1')] })) : response.end(document)
}

const settings = (more: Partial<FeedSettings> = {}): FeedSettings => ({
  url: `https://stops.example:${server.port}/feed`,
  issuer,
  jwks: `https://stops.example:${server.port}/jwks`,
  algorithms: ['ES256', 'EdDSA'],
  ca: [server.ca],
  addresses: ['127.0.0.0/8'],
  every: 20,
  maxAge: 300_000,
  ...more,
})

async function open(more: Partial<FeedSettings> = {}): Promise<OpenStops> {
  stops = await openStops(
    { file: join(folder, 'stops.jsonl'), feed: settings(more) },
    {
      adminSocket: undefined,
      resolve: async () => ['127.0.0.1'],
      isOwn: () => false,
      now: () => now * 1_000,
      onChange() {
        changes += 1
        return { cut: 0 }
      },
      onOrder: ({ what }) => told.push(`ordered ${what.kind}`),
      onLift: ({ what }) => told.push(`lifted ${what.kind}`),
      onProblem: ({ message }) => told.push(message),
      onFeedProblem: ({ message }) => told.push(message.replace(/:\d+/, '').replace('the feed of stops: ', '')),
      onStale: (stale) => told.push(stale ? 'stale' : 'fresh'),
    },
  )
  return stops
}

const users = () =>
  stops?.list.list(now * 1_000).flatMap(({ what }) => (what.kind === 'user' ? [what.id] : [what.kind])) ?? []

const soon = (check: () => void) => vi.waitFor(check, { timeout: 8_000, interval: 5 })

describe('a feed is refused', () => {
  const none = signJwt({ ...header, alg: 'none' }, claims(), key.privateKey).replace(/[^.]*$/, '')

  it.each<[string, () => string, string]>([
    ['that somebody else signed', () => feed({}, {}, other.privateKey), 'its signature is wrong'],
    [
      'that was changed',
      () =>
        feed().replace(/\.[^.]+\./, `.${Buffer.from(JSON.stringify(claims({ entries: [] }))).toString('base64url')}.`),
      'its signature is wrong',
    ],
    ['that nobody signed', () => none, 'its algorithm is not accepted'],
    ['with a MAC over the public key', () => feed({}, { alg: 'HS256' }), 'its algorithm is not accepted'],
    ['with an algorithm that is not configured', () => feed({}, { alg: 'ES384' }), 'its algorithm is not accepted'],
    ['that names another key', () => feed({}, { kid: 'k2' }), 'its key is not among those of the issuer'],
    ['that is another kind of token', () => feed({}, { typ: 'JWT' }), 'its typ is not stop-feed+jwt'],
    ['with an extension that must be understood', () => feed({}, { crit: ['x'], x: 1 }), 'it cannot be verified'],
    ['of another issuer', () => feed({ iss: `${issuer}/` }), 'it is of another issuer'],
    ['that has expired', () => feed({ iat: start - 700, exp: start }), 'it has expired'],
    ['that was signed in the future', () => feed({ iat: start + 61 }), 'it was signed in the future'],
    ['without a number', () => feed({ seq: undefined }), 'its claims are not those of a feed: seq'],
    ['with a number that is none', () => feed({ seq: 2 ** 53 }), 'its claims are not those of a feed: seq'],
    [
      'with an entry of a kind that is not known',
      () => feed({ entries: [{ ...entry, kind: 'planet' }] }),
      'entries.0.kind',
    ],
    [
      'with an entry that stops nothing',
      () => feed({ entries: [{ ...entry, kind: 'agent', id: 'zoe' }] }),
      'its entry 0 stops nothing that is known',
    ],
    [
      'with an entry that says more than is understood',
      () => feed({ entries: [{ ...entry, unless: 'x' }] }),
      'its claims are not those of a feed',
    ],
    [
      'that stops everything, but for something',
      () => feed({ entries: [{ kind: 'all', id: 'x', reason: 'x' }] }),
      'its entry 0 stops nothing',
    ],
    ['that is no JSON', () => signJwt(header, '{', key.privateKey), 'its payload is not JSON'],
    ['that is a page', () => '<html>', 'it is no JWS'],
    ['that is empty', () => '', 'it is no JWS'],
  ])('%s', async (_case, document, problem) => {
    serve(document())
    const opened = await open()
    expect(told[0]).toContain(problem)
    expect([users(), opened.stale]).toEqual([[], true])
  })

  it.each<[string, (response: ServerResponse) => void, string]>([
    [
      'that is elsewhere',
      (response) => response.writeHead(302, { location: '/jwks' }).end(),
      'stops.example answered 302',
    ],
    ['that is not given', (response) => response.writeHead(500).end(), 'stops.example answered 500'],
    [
      'that is too large',
      (response) => response.end(Buffer.alloc(largestFeed + 1, 0x61)),
      'stops.example answered with more than',
    ],
    [
      'in a coding',
      (response) => response.writeHead(200, { 'content-encoding': 'gzip' }).end(gzipSync(feed())),
      'in a coding of its own',
    ],
    ['that breaks off', (response) => void response.write('{', () => response.destroy()), 'stops.example failed'],
  ])('%s', async (_case, respond, problem) => {
    answer = (_request, response) => respond(response)
    const opened = await open()
    expect(told[0]).toContain(problem)
    expect(opened.stale).toBe(true)
  })

  it('that never comes: the start waits for some seconds, not for ever', async () => {
    answer = () => {}
    const opened = await open()
    expect(told[0]).toContain('gave no whole answer within 5000 ms')
    expect(opened.stale).toBe(true)
  })

  it('of a server that is not the one, or that is where nobody said it might be', async () => {
    serve(feed())
    await open({ ca: [] })
    expect(told[0]).toMatch(/stops\.example (failed|was not connected)/)
    await stops?.close()
    told = []
    await open({ addresses: [] })
    expect(told[0]).toContain('was not connected to')
  })
})

describe('a feed', () => {
  it('stops what it names, and no longer once it does not', async () => {
    serve(feed())
    const opened = await open()
    expect([users(), opened.stale, told]).toEqual([['zoe'], false, ['ordered user', 'fresh']])
    const { epoch } = opened.list
    serve(feed({ seq: 6, entries: [{ ...entry, id: 'ann' }, entry, { kind: 'all', reason: 'x', nbf: start + 900 }] }))
    await soon(() => expect(users()).toEqual(['zoe', 'ann', 'all']))
    // Zoe's stays the same stop: nothing of it changes.
    expect(opened.list.epoch).toBe(epoch + 1)
    expect(opened.list.all).toBeUndefined()
    serve(feed({ seq: 7, entries: [] }))
    await soon(() => expect(users()).toEqual([]))
    expect(told.filter((each) => !each.startsWith('ordered') && !each.startsWith('lifted'))).toEqual(['fresh'])
  })

  it('may be signed with the one key of a file, Ed25519 too', async () => {
    const { privateKey, publicKey } = generateKeyPairSync('ed25519')
    const file = join(folder, 'feed.pem')
    writeFileSync(file, publicKey.export({ type: 'spki', format: 'pem' }))
    const signed = [{ ...header, alg: 'EdDSA' }, claims()]
      .map((part) => Buffer.from(JSON.stringify(part)).toString('base64url'))
      .join('.')
    serve(`${signed}.${sign(null, Buffer.from(signed), privateKey).toString('base64url')}\n`)
    await open({ key: file, jwks: undefined })
    expect(users()).toEqual(['zoe'])
  })

  it('never goes back, and there is one of each number', async () => {
    serve(feed())
    await open()
    serve(feed({ seq: 4, entries: [] }))
    await soon(() => expect(told).toContain('it went back from seq 5 to 4'))
    serve(feed({ entries: [] }))
    await soon(() => expect(told).toContain('there are two feeds with seq 5'))
    serve(feed({ seq: 6, prev: 'another', entries: [] }))
    await soon(() => expect(told).toContain('its prev is not the feed with seq 5 that was here'))
    expect(users()).toEqual(['zoe'])
    const first = feed({ seq: 7 })
    serve(first)
    await soon(() => expect(stops?.describe().feed?.seq).toBe(7))
    serve(feed({ seq: 8, prev: digestOf(first), entries: [] }))
    await soon(() => expect(users()).toEqual([]))
  })

  it('never goes back over a restart either, and what it stopped is stopped before it is asked again', async () => {
    serve(feed())
    await open()
    await stops?.close()
    serve(feed({ seq: 4, entries: [] }))
    told = []
    const again = await open()
    expect(told[0]).toBe('ordered user')
    expect(told).toContain('it went back from seq 5 to 4')
    // What was remembered is recent enough.
    expect([users(), again.stale]).toEqual([['zoe'], false])
  })

  it('of which the memory is damaged does not begin anew by itself', async () => {
    serve(feed())
    await open()
    await stops?.close()
    const memory = join(folder, 'stops.jsonl.feed')
    writeFileSync(memory, readFileSync(memory, 'utf8').slice(0, 30))
    await expect(open()).rejects.toThrow('is not what was remembered of the feed of stops')
  })

  it('that cannot be reached is stale in time, stops what it stopped, and recovers', async () => {
    serve(feed())
    const opened = await open()
    answer = (_request, response) => response.destroy()
    await soon(() => expect(told.some((each) => each.includes('failed'))).toBe(true))
    expect(opened.stale).toBe(false)
    now = start + 299
    expect(opened.stale).toBe(false)
    const before = changes
    now = start + 300
    expect(opened.stale).toBe(true)
    // Whatever is delegated and under way is to be looked at again.
    await soon(() => expect(told).toContain('stale'))
    expect(changes).toBeGreaterThan(before)
    expect(users()).toEqual(['zoe'])
    // The old one again says nothing of now.
    serve(feed())
    const { length } = told
    await soon(() => expect(server.connections()).toBeGreaterThan(3))
    expect(opened.stale).toBe(true)
    expect(told.slice(length)).not.toContain('fresh')
    serve(feed({ seq: 6, iat: now, exp: now + 600 }))
    await soon(() => expect(told.at(-1)).toBe('fresh'))
    expect(opened.stale).toBe(false)
  })

  it('is stale when it expires, however long it might be kept', async () => {
    serve(feed({ exp: start + 100 }))
    const opened = await open()
    expect(opened.stale).toBe(false)
    now = start + 100
    expect(opened.stale).toBe(true)
  })

  it('is lifted where it is made, and a restart with another issuer forgets the former', async () => {
    serve(feed())
    const opened = await open()
    const [stop] = opened.list.list(now * 1_000)
    await expect(opened.lift(stop?.id ?? '', 0)).rejects.toThrow('it is lifted there')
    await opened.close()
    const again = await open({ issuer: 'https://other.example' })
    expect([users(), again.stale]).toEqual([[], true])
  })
})

describe('the settings', () => {
  const url = 'https://stops.example/feed'
  it.each([
    ['a feed in clear', { feed: { url: 'http://stops.example', issuer, key: '/k' } }],
    ['a feed without a key', { feed: { url, issuer } }],
    ['a feed with two', { feed: { url, issuer, key: '/k', jwks: url } }],
    ['a MAC', { feed: { url, issuer, key: '/k', algorithms: ['HS256'] } }],
    ['no signature', { feed: { url, issuer, key: '/k', algorithms: ['none'] } }],
    ['no algorithm', { feed: { url, issuer, key: '/k', algorithms: [] } }],
    ['a look at every moment', { feed: { url, issuer, key: '/k', every: '10ms' } }],
    ['a key that is not known', { files: '/a' }],
  ])('refuse %s', (_case, written) => {
    expect(stopSettingsSchema.safeParse(written).success).toBe(false)
  })

  it('are few', () => {
    expect(stopSettingsSchema.parse({ feed: { url, issuer, key: '/k' } }).feed).toMatchObject({
      every: 10_000,
      maxAge: 300_000,
      algorithms: ['ES256', 'EdDSA', 'Ed25519'],
    })
  })
})
