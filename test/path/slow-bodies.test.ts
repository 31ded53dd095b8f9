// An agent that stops in the middle of a body is not waited for without end. The minute passes by hand; all else is real.
import { once } from 'node:events'
import type { IncomingMessage } from 'node:http'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it, vi } from 'vitest'
import { bodyPatience } from '../../proxy/capture/body.ts'
import { type Credentialed, credentialed } from '../support/credentialed.ts'
import { reasonOf } from '../support/through.ts'

let world: Credentialed
const arrived: IncomingMessage[] = []

beforeAll(async () => {
  world = await credentialed((request) => void arrived.push(request.on('error', () => {})), 'canary-2b7e151628ae')
})
afterAll(() => world[Symbol.asyncDispose]())

beforeEach(() => void vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] }))
afterEach(() => void vi.useRealTimers())

describe('a body', () => {
  it.each([
    ['whose length is known', 'Content-Length: 100', (text: string) => text],
    ['in chunks', 'Transfer-Encoding: chunked', (text: string) => `${text.length.toString(16)}\r\n${text}\r\n`],
  ])('of which no byte comes for so long is given up, and the agent is told: %s', async (_, framing, piece) => {
    await using client = await world.open()
    client.send(`POST /slow HTTP/1.1\r\nHost: ${world.authority}\r\n${framing}\r\n\r\n${piece('one')}`)
    while (arrived.length === 0) await new Promise((resolve) => setImmediate(resolve))
    const request = arrived.pop()
    if (request === undefined) throw new Error('nothing has reached the upstream')
    expect(String((await once(request, 'data'))[0])).toBe('one')
    const aborted = new Promise((resolve) => request.once('close', resolve))
    // Each byte begins the time anew.
    for (const text of ['2', '3', '4']) {
      vi.advanceTimersByTime(bodyPatience - 1)
      const heard = once(request, 'data')
      client.send(piece(text))
      expect(String((await heard)[0])).toBe(text)
    }
    vi.advanceTimersByTime(bodyPatience)
    const answer = await client.answer()
    expect([answer.status, reasonOf(answer)]).toEqual([408, 'request_timeout'])
    // Where the body would go on there is no next request to be read.
    expect(await client.some()).toBeUndefined()
    await aborted
    expect(request.complete).toBe(false)
    const record = await world.gate.record(answer.field('postern-request-id'))
    expect(record).toMatchObject({ outcome: 'refused', refusal: { reason: 'request_timeout' } })
  })
})
