import { afterEach, describe, expect, it, vi } from 'vitest'
import { Lookups, mostLookups } from '../../../proxy/forward/lookups.ts'
import { Refusal } from '../../../proxy/refusal.ts'

/** A resolver whose answers come when the test says. */
function resolver() {
  const asked: string[] = []
  const answers = new Map<string, (addresses: readonly string[]) => void>()
  const resolve = (host: string) => {
    asked.push(host)
    return new Promise<readonly string[]>((settle) => answers.set(host, settle))
  }
  return { asked, resolve, answer: (host: string) => answers.get(host)?.([`address of ${host}`]) }
}

const reasonOf = (work: Promise<unknown>) =>
  work.then(
    () => 'resolved',
    (error) => (error instanceof Refusal ? error.reason : String(error)),
  )

afterEach(() => vi.useRealTimers())

describe('names of one destination', () => {
  it('are resolved a few at a time, in the order in which they were asked for', async () => {
    const { asked, resolve, answer } = resolver()
    const lookups = new Lookups(resolve, 10_000)
    const all = ['a', 'b', 'c', 'd'].map((host) => lookups.addressesOf(host))
    expect(asked).toEqual(['a', 'b'])
    expect(asked.length).toBe(mostLookups)
    answer('b')
    expect(await all[1]).toEqual(['address of b'])
    await vi.waitFor(() => expect(asked).toEqual(['a', 'b', 'c']))
    for (const host of ['a', 'c']) answer(host)
    await vi.waitFor(() => expect(asked).toEqual(['a', 'b', 'c', 'd']))
    answer('d')
    expect((await Promise.all(all)).length).toBe(4)
  })

  it('of which more are allowed at once, for whoever says so', () => {
    const { asked, resolve } = resolver()
    const lookups = new Lookups(resolve, 10_000, 3)
    for (const host of ['a', 'b', 'c', 'd']) void lookups.addressesOf(host)
    expect(asked).toEqual(['a', 'b', 'c'])
  })

  it('are resolved once for all who wait, and anew for whoever comes later', async () => {
    const { asked, resolve, answer } = resolver()
    const lookups = new Lookups(resolve, 10_000)
    const both = [lookups.addressesOf('a'), lookups.addressesOf('a')]
    answer('a')
    expect(await Promise.all(both)).toEqual([['address of a'], ['address of a']])
    void lookups.addressesOf('a')
    expect(asked).toEqual(['a', 'a'])
  })

  it('that are not resolved in time are refused; those that had no turn yet never ask', async () => {
    vi.useFakeTimers()
    const { asked, resolve, answer } = resolver()
    const lookups = new Lookups(resolve, 1_000)
    const waiting = ['a', 'b', 'c'].map((host) => reasonOf(lookups.addressesOf(host)))
    await vi.advanceTimersByTimeAsync(1_000)
    expect(await Promise.all(waiting)).toEqual(['upstream_timeout', 'upstream_timeout', 'upstream_timeout'])
    // The system still works on two of them, and no more may be given to it.
    const later = lookups.addressesOf('d')
    expect(asked).toEqual(['a', 'b'])
    answer('a')
    await vi.advanceTimersByTimeAsync(0)
    expect(asked).toEqual(['a', 'b', 'd'])
    answer('d')
    expect(await later).toEqual(['address of d'])
  })

  it('that cannot be resolved give their turn to the next', async () => {
    const failing = new Lookups((host) => Promise.reject(new Refusal('upstream_unresolved', { detail: host })), 1_000)
    const all = ['a', 'b', 'c', 'd'].map((host) => reasonOf(failing.addressesOf(host)))
    expect(new Set(await Promise.all(all))).toEqual(new Set(['upstream_unresolved']))
  })
})
