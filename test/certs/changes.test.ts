// Changes reach every iterator, coalesced, and end with the signal.
import { expect, test } from 'vitest'
import { Changes } from '../../certs/changes.ts'

test('an iterator under an aborted signal ends at once', async () => {
  for await (const _ of new Changes().since(AbortSignal.abort())) expect.unreachable()
})

test('aborting ends an iterator that waits, and leaves nothing behind', async () => {
  const stop = new AbortController()
  const ended = (async () => {
    for await (const _ of new Changes().since(stop.signal)) expect.unreachable()
    return 'ended'
  })()
  stop.abort()
  expect(await ended).toBe('ended')
})

test('a change before the first look is not lost, several are told once', async () => {
  const changes = new Changes()
  const stop = new AbortController()
  const iterator = changes.since(stop.signal)[Symbol.asyncIterator]()
  changes.announce()
  changes.announce()
  expect((await iterator.next()).done).toBe(false)
  const next = iterator.next()
  changes.announce()
  expect((await next).done).toBe(false)
  stop.abort()
  expect((await iterator.next()).done).toBe(true)
})

test('each iterator is told', async () => {
  const changes = new Changes()
  const { signal } = new AbortController()
  const all = [1, 2, 3].map(() => changes.since(signal)[Symbol.asyncIterator]().next())
  changes.announce()
  expect((await Promise.all(all)).map(({ done }) => done)).toEqual([false, false, false])
})
