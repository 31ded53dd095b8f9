// What the embedded authority answers on each call, without a transport: to whom, and as the clock goes its ways.
import { decodeJwt } from 'jose'
import { describe, expect, onTestFinished, test, vi } from 'vitest'
import { EmbeddedAuthority } from '../../../certs/embedded-authority.ts'
import type { TrustBundle } from '../../../certs/source.ts'
import { parseSpiffeId, parseTrustDomain } from '../../../certs/spiffe-id.ts'
import { validateX509Svid } from '../../../certs/svid/validate.ts'
import {
  jwtSvidRequest,
  paths,
  readJwtBundlesAnswer,
  readJwtSvidAnswer,
  readValidateJwtSvidAnswer,
  validateJwtSvidRequest,
  x509BundlesAnswer,
} from '../../../certs/workload-api/proto.ts'
import type { Peer } from '../../../certs/workload-api/registration.ts'
import { WorkloadService } from '../../../certs/workload-api/service.ts'
import { WorkloadApiSource } from '../../../certs/workload-api/source.ts'
import { parseCertificate } from '../../../certs/x509/certificate.ts'

const trustDomain = parseTrustDomain('acme.example')
const other = parseTrustDomain('other.example')
const id = parseSpiffeId('spiffe://acme.example/agent')
const mine: Peer = { uid: 4711, pid: 12, executable: '/usr/bin/agent' }
const day = 24 * 3_600_000

function setUp() {
  const clock = { at: Date.now() }
  const now = () => clock.at
  const authority = new EmbeddedAuthority({ trustDomain, now })
  const looks: (() => void)[] = []
  const service = new WorkloadService({
    authority,
    now,
    wait: (_, signal) =>
      new Promise((resolve) => {
        looks.push(resolve)
        signal.addEventListener('abort', () => resolve(), { once: true })
      }),
  })
  service.register([{ id, uid: 4711 }])
  onTestFinished(() => service.close())
  /** As if the time between two looks were over. */
  const look = () => {
    for (const each of looks.splice(0)) each()
  }
  return { clock, now, authority, service, look }
}

async function sourceOf({ service, now }: Pick<ReturnType<typeof setUp>, 'service' | 'now'>) {
  const problems: string[] = []
  const source = await WorkloadApiSource.through(service.ownDoor(id), {
    trustDomain,
    now,
    onProblem: ({ message }) => problems.push(message),
  })
  onTestFinished(() => source.close())
  return Object.assign(source, { problems })
}

const first = async (stream: AsyncIterable<Uint8Array>): Promise<Uint8Array> => {
  for await (const message of stream) return message
  return expect.unreachable('the stream ended')
}

describe('who gets an identity', () => {
  test.each<readonly [string, object, Peer | undefined]>([
    ['another program', { executable: '/usr/bin/agent' }, { ...mine, executable: '/usr/bin/other' }],
    [
      'a program that was replaced',
      { executable: '/usr/bin/agent' },
      { ...mine, executable: '/usr/bin/agent (deleted)' },
    ],
    ['a program that is not known', { executable: '/usr/bin/agent' }, { uid: 4711, pid: 12 }],
    ['the program under another user', { executable: '/usr/bin/agent', uid: 1 }, mine],
    ['a peer of whom nothing is known', { executable: '/usr/bin/agent' }, undefined],
    ['anybody, when a registration names nobody', {}, mine],
  ])('not %s', async (_, selectors, peer) => {
    const { service } = setUp()
    service.register([{ id, ...selectors }])
    const signal = AbortSignal.timeout(5_000)
    for (const path of [paths.x509Svid, paths.x509Bundles, paths.jwtBundles])
      await expect(first(service.follow(path, peer, signal))).rejects.toMatchObject({ status: 7 })
    for (const [path, request] of [
      [paths.jwtSvid, jwtSvidRequest({ audience: ['a'], spiffeId: '' })],
      [paths.validateJwtSvid, validateJwtSvidRequest({ audience: 'a', token: 'x' })],
    ] as const)
      await expect(service.ask(path, request, peer)).rejects.toThrow('permission denied: this process has no identity')
  })

  test('a program of a user, by all that is named', async () => {
    const { service } = setUp()
    service.register([{ id, ...mine }])
    expect(await first(service.follow(paths.x509Svid, mine, AbortSignal.timeout(5_000)))).not.toHaveLength(0)
  })

  test('calls that there are not', async () => {
    const { service } = setUp()
    await expect(first(service.follow(paths.jwtSvid, mine, AbortSignal.timeout(5_000)))).rejects.toThrow(
      'no such stream',
    )
    await expect(service.ask(paths.x509Svid, new Uint8Array(), mine)).rejects.toThrow('not implemented: there is no')
  })
})

describe('ValidateJWTSVID', () => {
  const ask = ({ service }: Pick<ReturnType<typeof setUp>, 'service'>, audience: string, token: string) =>
    service.ask(paths.validateJwtSvid, validateJwtSvidRequest({ audience, token }), mine)

  test.each([
    ['an empty audience', '', 'good', 'an audience is needed'],
    ['another audience', 'b', 'good', 'jwt_svid_wrong_audience'],
    ['no token', 'a', '', 'jwt_svid_'],
    ['a foreign token', 'a', 'foreign', 'jwt_svid_untrusted_domain'],
  ])('refuses %s', async (_, audience, which, reason) => {
    const all = setUp()
    const foreign = new EmbeddedAuthority({ trustDomain: other, now: all.now })
    const tokens: Record<string, string> = {
      good: await all.authority.issueJwt(id, ['a']),
      foreign: await foreign.issueJwt(parseSpiffeId('spiffe://other.example/x'), ['a']),
    }
    const answer = ask(all, audience, tokens[which] ?? '')
    await expect(answer).rejects.toMatchObject({ status: 3, message: expect.stringContaining(reason) })
  })

  test('says whose a token is, also of a federated domain', async () => {
    const all = setUp()
    expect(readValidateJwtSvidAnswer(await ask(all, 'a', await all.authority.issueJwt(id, ['a'])))).toBe(id)
    const foreign = new EmbeddedAuthority({ trustDomain: other, now: all.now })
    all.service.federate([foreign.bundle()])
    const theirs = parseSpiffeId('spiffe://other.example/x')
    expect(readValidateJwtSvidAnswer(await ask(all, 'a', await foreign.issueJwt(theirs, ['a'])))).toBe(theirs)
  })
})

describe('bundles', () => {
  test('of federated domains are given to everyone, and are gone when they are taken back', async () => {
    const all = setUp()
    const foreign = new EmbeddedAuthority({ trustDomain: other, now: all.now })
    const impostor: TrustBundle = { ...foreign.bundle(), trustDomain }
    all.service.federate([foreign.bundle(), impostor])
    const source = await sourceOf(all)
    expect(source.bundle(other)?.x509Authorities).toHaveLength(1)
    expect(source.bundle(trustDomain)?.x509Authorities.map(plain)).toEqual(
      all.authority.bundle().x509Authorities.map(plain),
    )
    await vi.waitFor(() => expect(source.bundle(other)?.jwtAuthorities).toHaveLength(1))
    const { service } = all
    const message = await first(service.follow(paths.x509Bundles, mine, AbortSignal.timeout(5_000)))
    expect(plain(message)).toEqual(
      x509BundlesAnswer(
        new Map([
          ['spiffe://acme.example', Buffer.concat(all.authority.bundle().x509Authorities)],
          ['spiffe://other.example', Buffer.concat(foreign.bundle().x509Authorities)],
        ]),
      ),
    )
    const keys = readJwtBundlesAnswer(await first(service.follow(paths.jwtBundles, mine, AbortSignal.timeout(5_000))))
    expect([...keys.keys()]).toEqual(['spiffe://acme.example', 'spiffe://other.example'])
    service.federate([])
    await vi.waitFor(() => expect(source.bundle(other)).toBeUndefined())
    expect(source.problems).toEqual([])
  })

  test('carry revocation lists, which refuse what was revoked and nothing else', async () => {
    const all = setUp()
    const [bad, good] = [all.authority.issue(id), all.authority.issue(id)]
    all.authority.rotate()
    all.authority.revoke(parseCertificate(bad.chain[0] ?? new Uint8Array()).serial)
    const source = await sourceOf(all)
    const judge = (chain: readonly Uint8Array[]) =>
      validateX509Svid({ chain, bundleFor: (domain) => source.bundle(domain), now: all.now() })
    expect(() => judge(bad.chain)).toThrow('svid_revoked')
    expect(judge(good.chain).id).toBe(id)
    expect(judge(source.svid().chain).id).toBe(id)
    const own = source.svid()
    all.authority.revoke(parseCertificate(own.chain[0] ?? new Uint8Array()).serial)
    // Whose SVID is taken back gets another.
    await vi.waitFor(() => expect(source.svid()).not.toBe(own))
    expect(judge(source.svid().chain).id).toBe(id)
    await vi.waitFor(() => expect(() => judge(own.chain)).toThrow('svid_revoked'))
  })
})

test('hints come with JWT-SVIDs too', async () => {
  const { service } = setUp()
  service.register([
    { id, uid: 4711, hint: 'one' },
    { id: parseSpiffeId('spiffe://acme.example/second'), uid: 4711, hint: 'two' },
  ])
  const answer = await service.ask(paths.jwtSvid, jwtSvidRequest({ audience: ['a'], spiffeId: '' }), mine)
  expect(readJwtSvidAnswer(answer).map(({ spiffeId, hint, token }) => [spiffeId, hint, decodeJwt(token).sub])).toEqual([
    [id, 'one', id],
    ['spiffe://acme.example/second', 'two', 'spiffe://acme.example/second'],
  ])
})

describe('as time goes', () => {
  const judgedNow = (all: ReturnType<typeof setUp>, source: WorkloadApiSource) =>
    validateX509Svid({ chain: source.svid().chain, bundleFor: (domain) => source.bundle(domain), now: all.now() }).id

  test('an SVID is renewed when half of its life is gone, not before', async () => {
    const all = setUp()
    const source = await sourceOf(all)
    const before = source.svid()
    all.clock.at += 29 * 60_000
    all.look()
    await new Promise((resolve) => setImmediate(resolve))
    expect(source.svid()).toBe(before)
    all.clock.at += 61_000
    all.look()
    await vi.waitFor(() => expect(source.svid()).not.toBe(before))
    expect(source.svid().expiresAt).toBeGreaterThan(before.expiresAt)
  })

  test.each([
    ['a day ahead', day],
    ['a day back', -day],
  ])('a clock that jumps %s: the identity is renewed at the next look, and valid', async (_, jump) => {
    const all = setUp()
    const source = await sourceOf(all)
    const before = source.svid()
    const token = await source.jwt(['a'])
    all.clock.at += jump
    all.look()
    await vi.waitFor(() => expect(source.svid()).not.toBe(before))
    expect(judgedNow(all, source)).toBe(id)
    const fresh = await source.jwt(['a'])
    expect(fresh).not.toBe(token)
    expect(decodeJwt(fresh).iat).toBe(Math.floor(all.clock.at / 1_000))
  })
})

const plain = (der: Uint8Array): Buffer => Buffer.from(der)
