// The source against a Workload API that misbehaves in every way, over real gRPC on a UNIX socket.
import { rm } from 'node:fs/promises'
import { createServer } from 'node:net'
import { SignJWT } from 'jose'
import { describe, expect, onTestFinished, test, vi } from 'vitest'
import { parseTrustDomain } from '../../../certs/spiffe-id.ts'
import { parseWorkloadApiAddress } from '../../../certs/workload-api/address.ts'
import { jwtBundlesAnswer, jwtSvidAnswer, readJwtSvidRequest } from '../../../certs/workload-api/proto.ts'
import { WorkloadApiSource, type WorkloadApiSourceOptions } from '../../../certs/workload-api/source.ts'
import { makeAuthority, makeKey, makeSvid } from '../../support/pki.ts'
import { makeRevocationList } from '../../support/revocation-list.ts'
import {
  acme,
  failure,
  type ScriptedWorkloadApi,
  scriptedWorkloadApi,
  svidMessage,
  x509Message,
} from '../../support/workload-api.ts'

const trustDomain = parseTrustDomain('acme.example')
const other = parseTrustDomain('other.example')
const postern = 'spiffe://acme.example/postern'

/** Waits for the back-off are noted and end at once; those for the start, for silence and for expiry are real. */
function noted(waits: number[]) {
  return (milliseconds: number, signal: AbortSignal) =>
    new Promise<void>((resolve) => {
      const isBackOff = milliseconds % 1_000 === 0 && milliseconds <= 30_000 && milliseconds !== firstMessage
      if (isBackOff) waits.push(milliseconds)
      const timer = setTimeout(resolve, isBackOff ? 5 : milliseconds)
      signal.addEventListener('abort', () => {
        clearTimeout(timer)
        resolve()
      })
      if (signal.aborted) resolve()
    })
}
const firstMessage = 29_999

async function opened(api: ScriptedWorkloadApi, more: Partial<WorkloadApiSourceOptions> = {}) {
  const problems: string[] = []
  const waits: number[] = []
  const source = await WorkloadApiSource.open({
    address: api.address,
    trustDomain,
    now: Date.now,
    onProblem: ({ message }) => problems.push(message),
    wait: noted(waits),
    startWithin: 2_500,
    firstMessageWithin: firstMessage,
    ...more,
  })
  onTestFinished(() => source.close())
  return { source, problems, waits }
}

const withSvid = async (more: Partial<WorkloadApiSourceOptions> = {}) => {
  const api = await scriptedWorkloadApi()
  const first = x509Message()
  api.x509 = (stream) => stream.write(first)
  const all = await opened(api, more)
  expect(all.source.svid().id).toBe(postern)
  return { api, first, ...all }
}

describe('a message that is discarded leaves the last good one in use, and is told of:', () => {
  const foreign = makeAuthority({ uri: 'spiffe://other.example' })
  const sound = svidMessage()
  const garbage = Buffer.from('3082ffff00', 'hex')
  const list = makeRevocationList(acme, [])
  test.each<readonly [string, Uint8Array, RegExp]>([
    ['no SVID', x509Message([]), /there is no SVID/],
    ['an empty message', Buffer.alloc(0), /there is no SVID/],
    ['no protobuf', Buffer.from([0xff, 0xff]), /a number is cut off/],
    ['no SPIFFE ID', x509Message([{ ...sound, spiffeId: '' }]), /the SPIFFE ID is empty/],
    ['no certificates', x509Message([{ ...sound, certificates: Buffer.alloc(0) }]), /the certificates are empty/],
    ['no key', x509Message([{ ...sound, key: Buffer.alloc(0) }]), /the key is empty/],
    ['no bundle', x509Message([{ ...sound, bundle: Buffer.alloc(0) }]), /the bundle is empty/],
    ['an empty field in the second SVID', x509Message([sound, { ...sound, key: Buffer.alloc(0) }]), /the key is empty/],
    ['certificates that are garbage', x509Message([{ ...sound, certificates: garbage }]), /cut off/],
    [
      'garbage after the certificate',
      x509Message([{ ...sound, certificates: Buffer.concat([sound.certificates, garbage]) }]),
      /cut off/,
    ],
    ['a bundle that is garbage', x509Message([{ ...sound, bundle: garbage }]), /cut off/],
    ['a key that is garbage', x509Message([{ ...sound, key: garbage }]), /the private key cannot be read as PKCS#8/],
    [
      'the key of another',
      x509Message([{ ...sound, key: svidMessage().key }]),
      /the private key is not that of the certificate/,
    ],
    [
      'an SVID of another domain',
      x509Message([svidMessage('spiffe://other.example/a', {}, foreign)]),
      /is not of the trust domain acme.example/,
    ],
    [
      'a second SVID of another domain',
      x509Message([sound, svidMessage('spiffe://other.example/a', {}, foreign)]),
      /is not of the trust domain acme.example/,
    ],
    [
      'an ID that is not that of the certificate',
      x509Message([{ ...sound, spiffeId: 'spiffe://acme.example/admin' }]),
      /another SPIFFE ID than the message/,
    ],
    [
      'a certificate that is no SVID',
      x509Message([{ ...sound, certificates: Buffer.from(acme.certificate) }]),
      /svid_/,
    ],
    [
      'a federated bundle that is garbage',
      x509Message([sound], { federatedBundles: new Map([['spiffe://other.example', garbage]]) }),
      /cut off/,
    ],
    [
      'a federated bundle that is empty',
      x509Message([sound], { federatedBundles: new Map([['spiffe://other.example', Buffer.alloc(0)]]) }),
      /a bundle is empty/,
    ],
    [
      'a federated bundle of no domain',
      x509Message([sound], { federatedBundles: new Map([['https://other.example', acme.certificate]]) }),
      /not a SPIFFE ID/,
    ],
    ['a revocation list that is garbage', x509Message([sound], { revocationLists: [list, garbage] }), /cut off/],
  ])('%s', async (_, message, reason) => {
    const { api, source, problems } = await withSvid()
    const before = source.svid()
    api.send(message)
    await vi.waitFor(() => expect(problems).toContainEqual(expect.stringMatching(reason)))
    expect(source.svid()).toBe(before)
    expect(source.bundle(trustDomain)?.x509Authorities).toHaveLength(1)
    // The stream goes on, and the next good message counts.
    const next = svidMessage()
    api.send(x509Message([next]))
    await vi.waitFor(() => expect(Buffer.from(source.svid().chain[0] ?? [])).toEqual(next.certificates))
    expect(api.opened.x509).toBe(1)
  })

  test('100 MB: it is not read, and the stream is opened anew', async () => {
    const { api, source, problems, waits } = await withSvid()
    const before = process.memoryUsage().rss
    api.send(Buffer.alloc(100 * 1024 * 1024))
    await vi.waitFor(
      () => expect(problems).toContainEqual(expect.stringMatching(/resource exhausted.*larger than max/)),
      10_000,
    )
    await vi.waitFor(() => expect(api.opened.x509).toBe(2))
    expect(source.svid().id).toBe(postern)
    expect(waits).toContain(1_000)
    expect(process.memoryUsage().rss - before).toBeLessThan(900e6)
  })
})

describe('a message is complete:', () => {
  test('what is missing from the next is gone', async () => {
    const { api, source } = await withSvid()
    const foreign = makeAuthority()
    const list = makeRevocationList(acme, [])
    api.send(
      x509Message([svidMessage(), svidMessage('spiffe://acme.example/second')], {
        federatedBundles: new Map([['spiffe://other.example', foreign.certificate]]),
        revocationLists: [list],
      }),
    )
    await vi.waitFor(() => expect(source.identities).toHaveLength(2))
    expect(source.bundle(other)?.x509Authorities.map((der) => Buffer.from(der))).toEqual([
      Buffer.from(foreign.certificate),
    ])
    expect(source.bundle(trustDomain)?.revocationLists?.map((der) => Buffer.from(der))).toEqual([Buffer.from(list)])
    api.send(x509Message())
    await vi.waitFor(() => expect(source.identities).toHaveLength(1))
    expect(source.bundle(other)).toBeUndefined()
    expect(source.bundle(trustDomain)?.revocationLists).toBeUndefined()
  })

  test('a bundle that has not changed stays the same object, so that nothing is validated anew', async () => {
    const { api, source } = await withSvid()
    const [svid, bundle] = [source.svid(), source.bundle(trustDomain)]
    api.send(x509Message())
    await vi.waitFor(() => expect(source.svid()).not.toBe(svid))
    expect(source.bundle(trustDomain)).toBe(bundle)
  })

  test('the keys for JWT-SVIDs are kept with the roots, whichever comes first', async () => {
    const { api, source } = await withSvid()
    const document = Buffer.from('{"keys":[{"kty":"EC","crv":"P-256","x":"YQ","y":"Yg","kid":"one"}]}')
    const message = jwtBundlesAnswer(
      new Map([
        ['spiffe://acme.example', document],
        ['spiffe://other.example', document],
      ]),
    )
    await vi.waitFor(() => expect(api.jwtStreams.size).toBe(1))
    for (const stream of api.jwtStreams) stream.write(message)
    await vi.waitFor(() => expect(source.bundle(other)?.jwtAuthorities).toHaveLength(1))
    expect(source.bundle(other)?.x509Authorities).toEqual([])
    const bundle = source.bundle(trustDomain)
    expect(bundle).toMatchObject({ jwtAuthorities: [{ kid: 'one' }], x509Authorities: [expect.anything()] })
    for (const stream of api.jwtStreams) stream.write(message)
    const svid = source.svid()
    api.send(x509Message())
    await vi.waitFor(() => expect(source.svid()).not.toBe(svid))
    expect(source.bundle(trustDomain)).toBe(bundle)
  })

  test('no federation speaks for the own domain', async () => {
    const { api, source } = await withSvid()
    const foreign = makeAuthority()
    api.send(
      x509Message([svidMessage()], {
        federatedBundles: new Map([
          ['spiffe://acme.example', foreign.certificate],
          ['spiffe://other.example', foreign.certificate],
        ]),
      }),
    )
    await vi.waitFor(() => expect(source.bundle(other)).toBeDefined())
    expect(source.bundle(trustDomain)?.x509Authorities.map((der) => Buffer.from(der))).toEqual([
      Buffer.from(acme.certificate),
    ])
  })
})

describe('hints', () => {
  const both = [
    svidMessage('spiffe://acme.example/internal', { hint: 'internal' }),
    svidMessage('spiffe://acme.example/external', { hint: 'external' }),
    svidMessage('spiffe://acme.example/late', { hint: 'external' }),
  ]

  test('choose an identity; of two with the same the first counts', async () => {
    const api = await scriptedWorkloadApi()
    api.x509 = (stream) => stream.write(x509Message(both))
    const { source } = await opened(api, { hint: 'external' })
    expect(source.svid()).toMatchObject({ id: 'spiffe://acme.example/external', hint: 'external' })
    expect(source.identities.map(({ hint }) => hint)).toEqual(['external', 'internal'])
  })

  test('that are gone leave no identity, and not another one', async () => {
    const api = await scriptedWorkloadApi()
    api.x509 = (stream) => stream.write(x509Message(both.slice(0, 1)))
    const { source } = await opened(api, { hint: 'external' })
    expect(() => source.svid()).toThrow('no identity with the hint external')
    await expect(source.jwt(['a'])).rejects.toThrow('no identity with the hint external')
  })

  test('without one asked for, the first identity counts', async () => {
    const api = await scriptedWorkloadApi()
    api.x509 = (stream) => stream.write(x509Message(both))
    const { source } = await opened(api)
    expect(source.svid().id).toBe('spiffe://acme.example/internal')
  })
})

describe('a stream that ends', () => {
  test('with PermissionDenied takes the identity away at once, and is tried again', async () => {
    const { api, source, problems, first } = await withSvid()
    const told = source.updates(AbortSignal.timeout(5_000))[Symbol.asyncIterator]()
    const change = told.next()
    api.x509 = (stream) => stream.emit('error', failure(7, 'no identity issued'))
    api.fail(7, 'no identity issued')
    await change
    expect(() => source.svid()).toThrow('permission denied: no identity issued')
    expect(source.bundle(trustDomain)).toBeUndefined()
    expect(source.identities).toEqual([])
    expect(problems).toContainEqual(expect.stringContaining('permission denied'))
    await vi.waitFor(() => expect(api.opened.x509).toBeGreaterThan(3))
    // The same trouble is told once.
    expect(problems.filter((problem) => problem.includes('permission denied'))).toHaveLength(1)
    api.x509 = (stream) => stream.write(first)
    await vi.waitFor(() => expect(source.svid().id).toBe(postern))
  })

  test.each([
    ['InvalidArgument', 3, 'invalid argument'],
    ['Unimplemented', 12, 'not implemented'],
  ])('with %s is not tried again; the identity stays until it expires', async (_, code, words) => {
    let now = Date.now()
    const { api, source, problems } = await withSvid({ now: () => now })
    api.fail(code)
    await vi.waitFor(() => expect(problems).toContainEqual(expect.stringContaining(words)))
    expect(source.svid().id).toBe(postern)
    await new Promise((resolve) => setTimeout(resolve, 60))
    expect(api.opened.x509).toBe(1)
    now += 2 * 3_600_000
    expect(() => source.svid()).toThrow('the identity has expired')
  })

  test.each([
    ['Unavailable', 14],
    ['ResourceExhausted', 8],
    ['Internal', 13],
  ])('with %s keeps the identity, and comes back', async (_, code) => {
    const { api, source, waits } = await withSvid()
    api.fail(code)
    await vi.waitFor(() => expect(api.opened.x509).toBe(2))
    expect(waits).toContain(1_000)
    expect(source.svid().id).toBe(postern)
  })

  test('without an error is opened again at once, though not over and over', async () => {
    const { api, source, first, waits } = await withSvid()
    const again = api.nextX509()
    waits.length = 0
    api.end()
    await again
    expect(waits).toEqual([])
    expect(source.svid().id).toBe(postern)
    api.x509 = (stream) => {
      stream.write(first)
      stream.end()
    }
    api.end()
    await vi.waitFor(() => expect(waits.filter((each) => each === 1_000).length).toBeGreaterThan(1))
  })

  test('waits 1 s, 2 s, … at most 30 s, and begins anew after a good message', async () => {
    const { api, waits, first } = await withSvid()
    waits.length = 0
    api.x509 = (stream) => stream.emit('error', failure(14, 'not now'))
    api.jwtBundles = () => {}
    api.fail(14)
    await vi.waitFor(() => expect(waits.length).toBeGreaterThan(33), 10_000)
    const linear = Array.from({ length: 33 }, (_, at) => Math.min(at + 1, 30) * 1_000)
    expect(waits.slice(0, 33)).toEqual(linear)
    const opened = api.nextX509()
    api.x509 = (stream) => stream.write(first)
    await opened
    waits.length = 0
    await vi.waitFor(() => expect(api.opened.x509).toBeGreaterThan(33))
    api.fail(14)
    await vi.waitFor(() => expect(waits[0]).toBe(1_000))
  })
})

describe('at the start', () => {
  test('a server that is not there: not ready within the bound, then ready when it comes', async () => {
    const api = await scriptedWorkloadApi()
    await api.stop()
    const { source } = await opened(api, { startWithin: 50 })
    expect(() => source.svid()).toThrow('unavailable')
    expect(source.bundle(trustDomain)).toBeUndefined()
    api.x509 = (stream) => stream.write(x509Message())
    await api.start()
    await vi.waitFor(() => expect(source.svid().id).toBe(postern), 5_000)
  })

  test('a server that never answers: not ready within the bound, and the silence is told', async () => {
    const api = await scriptedWorkloadApi()
    const { source, problems } = await opened(api, { startWithin: 50, firstMessageWithin: 100 + 1 })
    expect(() => source.svid()).toThrow('the Workload API has not answered yet')
    await vi.waitFor(() => expect(problems).toContainEqual(expect.stringContaining('it does not answer')))
    await vi.waitFor(() => expect(api.opened.x509).toBeGreaterThan(1))
  })

  test('a server that accepts and says nothing of HTTP/2', async () => {
    const api = await scriptedWorkloadApi()
    await api.stop()
    const mute = createServer(() => {})
    await new Promise<void>((resolve) => mute.listen(api.path, resolve))
    onTestFinished(async () => {
      mute.close()
      await rm(api.path, { force: true })
    })
    const { source, problems } = await opened(api, { startWithin: 50, firstMessageWithin: 100 + 1 })
    expect(() => source.svid()).toThrow('has not answered yet')
    await vi.waitFor(() => expect(problems).toContainEqual(expect.stringContaining('it does not answer')))
  })

  test('PermissionDenied is an answer: nothing is waited for', async () => {
    const api = await scriptedWorkloadApi()
    api.x509 = (stream) => stream.emit('error', failure(7, 'no identity issued'))
    const begun = performance.now()
    const { source } = await opened(api)
    expect(performance.now() - begun).toBeLessThan(1_500)
    expect(() => source.svid()).toThrow('permission denied')
  })

  test('each call carries the security header', async () => {
    const { api, source } = await withSvid()
    await source.jwt(['a']).catch(() => {})
    await vi.waitFor(() => expect(api.opened).toEqual({ x509: 1, jwtBundles: 1, jwtSvid: 1 }))
    expect(api.metadata.map((each) => each.get('workload.spiffe.io'))).toEqual([['true'], ['true'], ['true']])
  })
})

test('a server that dies and comes back: the identity stays meanwhile, and is renewed after', async () => {
  const { api, source } = await withSvid()
  const before = source.svid()
  await api.stop()
  expect(source.svid()).toBe(before)
  api.x509 = (stream) => stream.write(x509Message([svidMessage('spiffe://acme.example/renewed')]))
  await api.start()
  await vi.waitFor(() => expect(source.svid().id).toBe('spiffe://acme.example/renewed'), 5_000)
})

describe('over TCP', () => {
  test.each(['127.0.0.1', '::1'])('at %s: given, dies, comes back', async (host) => {
    const api = await scriptedWorkloadApi(host)
    const { address } = api
    if (address.kind !== 'tcp') throw new Error('it does not listen there')
    const text = `tcp://${host.includes(':') ? `[${host}]` : host}:${address.port}`
    expect(parseWorkloadApiAddress(text)).toEqual(address)
    api.x509 = (stream) => stream.write(x509Message())
    const { source } = await opened(api, { address: parseWorkloadApiAddress(text) })
    const before = source.svid()
    expect(before.id).toBe(postern)
    await api.stop()
    expect(source.svid()).toBe(before)
    await api.start()
    await vi.waitFor(() => expect(source.svid()).not.toBe(before), 5_000)
  })

  test('at a port where nobody listens: not ready, and the reason is told', async () => {
    const api = await scriptedWorkloadApi('127.0.0.1')
    await api.stop()
    const { source } = await opened(api, { startWithin: 300 })
    expect(() => source.svid()).toThrow('unavailable')
  })
})

describe('a clock that jumps', () => {
  const day = 24 * 3_600_000

  /** An identity from an API that is gone, and a clock. Looks at the expiry are taken when the test says. */
  async function left() {
    const clock = { at: Date.now() }
    const looks: (() => void)[] = []
    const api = await scriptedWorkloadApi()
    api.x509 = (stream) => stream.write(x509Message())
    const { source } = await opened(api, {
      now: () => clock.at,
      wait: (milliseconds, signal) =>
        milliseconds === 60_000
          ? new Promise((resolve) => {
              looks.push(resolve)
              signal.addEventListener('abort', () => resolve(), { once: true })
            })
          : noted([])(milliseconds, signal),
    })
    await api.stop()
    const look = () => {
      for (const each of looks.splice(0)) each()
    }
    return { clock, source, look }
  }

  test('a day ahead: the identity has expired, which is told; back again it is as before', async () => {
    const { clock, source, look } = await left()
    const svid = source.svid()
    const told = source.updates(AbortSignal.timeout(5_000))[Symbol.asyncIterator]()
    clock.at += day
    expect(() => source.svid()).toThrow('the identity has expired')
    await vi.waitFor(() => {
      look()
      expect(source.identities).toHaveLength(1)
    })
    expect((await told.next()).done).toBe(false)
    clock.at -= day
    expect(source.svid()).toBe(svid)
    const again = told.next()
    await vi.waitFor(look)
    expect((await again).done).toBe(false)
  })

  test('a day back: the identity stays', async () => {
    const { clock, source } = await left()
    const svid = source.svid()
    clock.at -= day
    expect(source.svid()).toBe(svid)
  })
})

test('an identity that expires is told of, though nothing comes', async () => {
  const api = await scriptedWorkloadApi()
  const { chain, key } = makeSvid(acme, postern, { notAfter: Math.floor(Date.now() / 1000) * 1000 + 1_000 })
  const short = svidMessage(postern, {
    certificates: Buffer.concat(chain),
    key: key.privateKey.export({ type: 'pkcs8', format: 'der' }),
  })
  api.x509 = (stream) => stream.write(x509Message([short]))
  const { source } = await opened(api)
  const [change] = await Promise.all([source.updates(AbortSignal.timeout(8_000))[Symbol.asyncIterator]().next()])
  expect(change.done).toBe(false)
  expect(() => source.svid()).toThrow('the identity has expired')
})

describe('JWT bundles', () => {
  const bundles = (document: string) => jwtBundlesAnswer(new Map([['spiffe://acme.example', Buffer.from(document)]]))
  const good = bundles('{"keys":[{"kty":"EC","crv":"P-256","x":"YQ","y":"Yg","kid":"one"}]}')

  test.each([
    ['no bundle', new Uint8Array(), /there is no bundle/],
    ['no JSON', bundles('{'), /JSON/],
    ['no keys', bundles('{}'), /it has no list of keys/],
    ['a key without identifier', bundles('{"keys":[{"kty":"EC"}]}'), /a key has no identifier/],
    ['a private key', bundles('{"keys":[{"kty":"EC","kid":"a","d":"x"}]}'), /a key is not public/],
  ])('%s: the message is discarded', async (_, message, reason) => {
    const api = await scriptedWorkloadApi()
    api.x509 = (stream) => stream.write(x509Message())
    api.jwtBundles = (stream) => {
      stream.write(good)
      stream.write(message)
    }
    const { source, problems } = await opened(api)
    await vi.waitFor(() => expect(problems).toContainEqual(expect.stringMatching(reason)))
    expect(source.bundle(trustDomain)?.jwtAuthorities?.map(({ kid }) => kid)).toEqual(['one'])
  })

  test('are taken back with PermissionDenied', async () => {
    const api = await scriptedWorkloadApi()
    let denied = false
    api.jwtBundles = (stream) => (denied ? stream.emit('error', failure(7, 'no')) : stream.write(good))
    api.x509 = (stream) => stream.write(x509Message())
    const { source } = await opened(api)
    await vi.waitFor(() => expect(source.bundle(trustDomain)?.jwtAuthorities).toBeDefined())
    denied = true
    await api.stop()
    await api.start()
    await vi.waitFor(() => expect(source.bundle(trustDomain)?.jwtAuthorities).toBeUndefined(), 5_000)
    expect(source.svid().id).toBe(postern)
  })
})

describe('JWT-SVIDs', () => {
  const { privateKey } = makeKey()
  const token = (audience: readonly string[], seconds: number, now: number, subject = postern) =>
    new SignJWT()
      .setProtectedHeader({ alg: 'ES256', kid: 'one' })
      .setSubject(subject)
      .setAudience([...audience])
      .setExpirationTime(Math.floor(now / 1000) + seconds)
      .sign(privateKey)
  const answer = (jwt: string, spiffeId = postern) => jwtSvidAnswer([{ spiffeId, token: jwt, hint: '' }])

  test('are kept until half of their life is gone, by audience whatever its order', async () => {
    let now = Date.now()
    const { api, source } = await withSvid({ now: () => now })
    const [one, two] = [await token(['a', 'b'], 300, now), await token(['a', 'b'], 600, now)]
    api.jwtSvid = (request) => {
      expect(readJwtSvidRequest(request)).toEqual({ audience: ['a', 'b'], spiffeId: postern })
      return answer(one)
    }
    expect(await Promise.all([source.jwt(['a', 'b']), source.jwt(['b', 'a'])])).toEqual([one, one])
    now += 149_000
    expect(await source.jwt(['a', 'b'])).toBe(one)
    expect(api.opened.jwtSvid).toBe(1)
    now += 2_000
    api.jwtSvid = () => answer(two)
    expect(await source.jwt(['a', 'b'])).toBe(two)
    expect(api.opened.jwtSvid).toBe(2)
  })

  test('outlive an API that is gone, and not their own expiry', async () => {
    let now = Date.now()
    const { api, source } = await withSvid({ now: () => now })
    const jwt = await token(['a'], 300, now)
    api.jwtSvid = () => answer(jwt)
    await source.jwt(['a'])
    await api.stop()
    now += 200_000
    expect(await source.jwt(['a'])).toBe(jwt)
    now += 200_000
    await expect(source.jwt(['a'])).rejects.toThrow('unavailable')
  })

  test('do not outlive PermissionDenied', async () => {
    let now = Date.now()
    const { api, source } = await withSvid({ now: () => now })
    const jwt = await token(['a'], 300, now)
    api.jwtSvid = () => answer(jwt)
    await source.jwt(['a'])
    api.jwtSvid = () => {
      throw failure(7, 'no identity issued')
    }
    now += 200_000
    await expect(source.jwt(['a'])).rejects.toThrow('permission denied')
    await expect(source.jwt(['a'])).rejects.toThrow('permission denied')
  })

  test('are forgotten when the X.509 stream says PermissionDenied', async () => {
    const { api, source } = await withSvid()
    const jwt = await token(['a'], 300, Date.now())
    api.jwtSvid = () => answer(jwt)
    await source.jwt(['a'])
    api.x509 = (stream) => stream.emit('error', failure(7, 'no'))
    api.jwtSvid = () => {
      throw failure(7, 'no')
    }
    api.fail(7, 'no')
    await vi.waitFor(() => expect(() => source.svid()).toThrow())
    await expect(source.jwt(['a'])).rejects.toThrow('permission denied')
  })

  test.each<readonly [string, () => Promise<Uint8Array>, RegExp]>([
    ['no token', async () => jwtSvidAnswer([]), /there is no JWT-SVID/],
    ['an empty token', async () => answer(''), /an empty field/],
    ['an empty ID', async () => answer(await token(['a'], 300, Date.now()), ''), /an empty field/],
    ['garbage', async () => answer('a.b.c'), /./],
    [
      'another identity',
      async () => answer(await token(['a'], 300, Date.now()), 'spiffe://acme.example/b'),
      /is of spiffe:\/\/acme.example\/b/,
    ],
    [
      'another subject',
      async () => answer(await token(['a'], 300, Date.now(), 'spiffe://acme.example/b')),
      /another subject/,
    ],
    ['another audience', async () => answer(await token(['b'], 300, Date.now())), /lacks an audience/],
    ['an expired token', async () => answer(await token(['a'], -1, Date.now())), /has expired/],
  ])('with %s the answer is refused', async (_, make, reason) => {
    const { api, source } = await withSvid()
    const message = await make()
    api.jwtSvid = () => message
    await expect(source.jwt(['a'])).rejects.toThrow(reason)
  })

  test('need an audience', async () => {
    const { source } = await withSvid()
    await expect(source.jwt([])).rejects.toThrow('needs an audience')
  })
})
