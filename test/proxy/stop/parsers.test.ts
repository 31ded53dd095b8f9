// Whatever is sent as an order, written as a line or served as a feed: it is read as meant, or refused with a word.
import { createPublicKey } from 'node:crypto'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { stoppedSchema } from '../../../policy/stop/stop.ts'
import { digestOf, type FeedTerms, readFeed } from '../../../proxy/stop/feed-document.ts'
import { faultsOf, orderSchema, stopOf } from '../../../proxy/stop/order.ts'
import { liveOf, parseLines, toLine } from '../../../proxy/stop/stop-lines.ts'
import { signJwt } from '../../support/jwt.ts'
import { makeKey } from '../../support/pki.ts'

const key = makeKey('p256')
const now = 1_800_000_000_000

const word = fc.stringMatching(/^[a-z]{1,8}$/)
const what = fc.oneof(
  fc.array(word, { minLength: 1, maxLength: 3 }).map((path) => ({ kind: 'agent', id: `spiffe://x/${path.join('/')}` })),
  word.map((id) => ({ kind: 'user', id })),
  word.map((jti) => ({ kind: 'delegation', jti })),
  fc.constant({ kind: 'all' }),
)

describe('an order', () => {
  it('of any JSON is one, or says what is wrong with it', () => {
    const hostile = fc.oneof(
      fc.jsonValue(),
      fc.record({ what: fc.oneof(what, fc.jsonValue()), reason: fc.jsonValue() }),
    )
    fc.assert(
      fc.property(hostile, (value) => {
        const read = orderSchema.safeParse(value)
        if (!read.success) expect(faultsOf(read.error)).not.toBe('')
        else expect(stoppedSchema.safeParse(read.data.what).success).toBe(true)
      }),
      { numRuns: 500 },
    )
  })

  it.each([
    ['1ms', 1],
    ['90s', 90_000],
    ['3650d', 3_650 * 86_400_000],
  ])('for %s ends then', (text, milliseconds) => {
    const order = orderSchema.parse({ what: { kind: 'all' }, reason: 'x', for: text })
    expect(stopOf(order, 's1', now, 'uid 0').until).toBe(now + milliseconds)
  })

  it.each(['0s', '3651d', '999999999d', '-1s', '1', '', '1h '])('for %j is refused', (text) => {
    expect(orderSchema.safeParse({ what: { kind: 'all' }, reason: 'x', for: text }).success).toBe(false)
  })

  it('with members of the prototype is closed all the same', () => {
    const value: unknown = JSON.parse('{"what":{"kind":"all","__proto__":{"x":1}},"reason":"x"}')
    expect(orderSchema.safeParse(value).success).toBe(false)
  })
})

describe('a line', () => {
  it('comes back as it was written', () => {
    fc.assert(
      fc.property(fc.array(what, { maxLength: 5 }), fc.string({ minLength: 1, maxLength: 40 }), (whats, reason) => {
        const orders = whats.flatMap((each, at) => {
          const order = orderSchema.safeParse({ what: each, reason })
          return order.success ? [stopOf(order.data, `s${at}`, now, 'uid 0')] : []
        })
        const text = orders.map((order) => toLine({ order })).join('')
        expect(liveOf(parseLines(text, (fault) => expect(fault).toBe('')))).toEqual(orders)
      }),
    )
  })

  it('of anything else is passed over with a word, and nothing is thrown', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary' }), (text) => {
        expect(parseLines(text, () => {})).toEqual([])
      }),
      { numRuns: 1_000 },
    )
  })
})

describe('a feed', () => {
  const terms: FeedTerms = {
    issuer: 'https://stops.example',
    algorithms: ['ES256'],
    key: async () => createPublicKey(key.privateKey),
  }
  const claims = { iss: terms.issuer, iat: now / 1_000, exp: now / 1_000 + 60, seq: 1, entries: [] as object[] }
  const header = { alg: 'ES256', typ: 'stop-feed+jwt' }

  it('of which any byte was changed is refused', async () => {
    const feed = signJwt(header, { ...claims, entries: [{ kind: 'user', id: 'zoe', reason: 'x' }] }, key.privateKey)
    expect((await readFeed(feed, terms, now)).digest).toBe(digestOf(feed))
    // The last character of a signature has bits that mean nothing.
    await fc.assert(
      fc.asyncProperty(fc.nat(feed.length - 2), fc.constantFrom(...'AZaz09-_.'), async (at, other) => {
        fc.pre(feed[at] !== other)
        await expect(readFeed(`${feed.slice(0, at)}${other}${feed.slice(at + 1)}`, terms, now)).rejects.toThrow(Error)
      }),
      { numRuns: 300 },
    )
  })

  it('with any payload, signed as it should be, is read or refused with a word', async () => {
    const payload = fc.oneof(
      fc.jsonValue(),
      fc.record({ iss: fc.constant(terms.issuer), iat: fc.jsonValue(), exp: fc.jsonValue(), seq: fc.jsonValue() }),
      fc.record({
        ...Object.fromEntries(Object.entries(claims).map(([name, value]) => [name, fc.constant(value)])),
        entries: fc.array(fc.oneof(what, fc.jsonValue())),
      }),
    )
    await fc.assert(
      fc.asyncProperty(payload, async (value) => {
        const read = await readFeed(signJwt(header, JSON.stringify(value), key.privateKey), terms, now).catch(
          ({ message }: Error) => message,
        )
        if (typeof read === 'string') expect(read).toMatch(/^(its|it) /)
        else for (const { what: each } of read.stops) expect(stoppedSchema.safeParse(each).success).toBe(true)
      }),
      { numRuns: 300 },
    )
  })

  it('keeps the id of an entry that stays, and gives others to others', async () => {
    const ids = async (...entries: object[]) =>
      (await readFeed(signJwt(header, { ...claims, entries }, key.privateKey), terms, now)).stops.map(({ id }) => id)
    const zoe = { kind: 'user', id: 'zoe', reason: 'x' }
    const [first] = await ids(zoe)
    expect(await ids({ kind: 'all', reason: 'x' }, { ...zoe, reason: 'y' })).toContain(first)
    expect(await ids({ ...zoe, kind: 'txn' })).not.toContain(first)
    expect(await ids({ ...zoe, exp: 2_000_000_000 })).not.toContain(first)
    expect((await ids(zoe, zoe)).length).toBe(1)
  })
})
