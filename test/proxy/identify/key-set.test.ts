// When the keys of a cluster are read, how often, and what becomes of callers while they cannot be.
import { describe, expect, it } from 'vitest'
import { freshFor, KeySet, keptFor, pause } from '../../../proxy/identify/key-set.ts'
import { publicJwk } from '../../support/jwt.ts'
import { makeKey } from '../../support/pki.ts'

const key = makeKey('p256')
const setOf = (...ids: readonly string[]) => JSON.stringify({ keys: ids.map((kid) => publicJwk(key, kid)) })

function setUp(first: string | Error) {
  const world = { now: 1_800_000_000_000, answer: first, reads: 0, problems: [] as string[] }
  const keys = new KeySet({
    now: () => world.now,
    onProblem: ({ message }) => world.problems.push(message),
    read: async () => {
      world.reads += 1
      if (world.answer instanceof Error) throw world.answer
      return world.answer
    },
  })
  const ids = async (kid: string) => (await keys.keysFor(kid))?.map((each) => each.kid)
  return { world, ids }
}

describe('a key set', () => {
  it('is not read before it is needed, and once for all who wait for it', async () => {
    const { world, ids } = setUp(setOf('a'))
    expect(world.reads).toBe(0)
    expect(await Promise.all([ids('a'), ids('a'), ids('b')])).toEqual([['a'], ['a'], ['a']])
    expect(world.reads).toBe(1)
    await ids('a')
    expect(world.reads).toBe(1)
  })

  it('is read again for a key that is not in it, but not more often than the pause allows', async () => {
    const { world, ids } = setUp(setOf('a'))
    await ids('a')
    world.answer = setOf('a', 'b')
    for (let turn = 0; turn < 100; turn++) await ids(`invented-${turn}`)
    expect(world.reads).toBe(1)
    world.now += pause
    expect(await ids('b')).toEqual(['a', 'b'])
    expect(world.reads).toBe(2)
  })

  it('is read again when it is old, so that a withdrawn key ends', async () => {
    const { world, ids } = setUp(setOf('a', 'b'))
    await ids('a')
    world.answer = setOf('b')
    world.now += freshFor - 1
    expect(await ids('a')).toEqual(['a', 'b'])
    world.now += 1
    expect(await ids('a')).toEqual(['b'])
  })

  it('that is empty is believed', async () => {
    const { world, ids } = setUp(setOf('a'))
    await ids('a')
    world.answer = setOf()
    world.now += freshFor
    expect(await ids('a')).toEqual([])
  })

  it('that cannot be read any more serves for an hour, then nobody', async () => {
    const { world, ids } = setUp(setOf('a'))
    await ids('a')
    world.answer = new Error('gone')
    world.now += keptFor - 1
    expect(await ids('a')).toEqual(['a'])
    expect(world.problems).toEqual(['the key set: gone'])
    world.now += 1
    expect(await ids('a')).toBeUndefined()
    world.answer = setOf('c')
    world.now += pause
    expect(await ids('c')).toEqual(['c'])
  })

  it('that could never be read is not asked for by each caller', async () => {
    const { world, ids } = setUp(new Error('refused'))
    for (let turn = 0; turn < 50; turn++) expect(await ids('a')).toBeUndefined()
    expect(world.reads).toBe(1)
  })

  it('is old when the clock was set back, and serves again once it is read', async () => {
    const { world, ids } = setUp(setOf('a'))
    await ids('a')
    world.now -= 86_400_000
    expect(await ids('a')).toEqual(['a'])
    expect(world.reads).toBe(2)
  })

  it.each([
    ['no JSON', '<html>', 'the key set: it is not JSON'],
    ['a list', '[]', 'the key set: it has no list of keys'],
    ['null', 'null', 'the key set: it has no list of keys'],
    ['keys that are no list', '{"keys":{}}', 'the key set: it has no list of keys'],
    ['too many keys', JSON.stringify({ keys: Array(101).fill({}) }), 'the key set: it has more than 100 keys'],
  ])('of %s is no set, and the one before stays', async (_, text, problem) => {
    const { world, ids } = setUp(setOf('a'))
    await ids('a')
    world.answer = text
    world.now += freshFor
    expect(await ids('a')).toEqual(['a'])
    expect(world.problems).toEqual([problem])
  })

  it('is taken without what cannot be a public key for signatures', async () => {
    const good = publicJwk(key, 'good')
    const bad = [
      null,
      7,
      'x',
      [],
      {},
      { ...good, kid: '' },
      { ...good, kid: 7 },
      { ...good, use: 'enc' },
      { ...good, d: 'AA' },
    ]
    const { ids } = setUp(JSON.stringify({ keys: [...bad, { kty: 'oct', kid: 'mac', k: 'AA' }, good] }))
    expect(await ids('good')).toEqual(['good'])
  })
})
