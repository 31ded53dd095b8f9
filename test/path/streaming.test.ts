// Streams: each event is with the agent before the upstream sends the next; nothing waits for the end.
import { EventEmitter, once } from 'node:events'
import type { ServerResponse } from 'node:http'
import { constants, createBrotliCompress, createGzip, createZstdCompress } from 'node:zlib'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { type Credentialed, credentialed } from '../support/credentialed.ts'
import type { WireClient } from '../support/wire-client.ts'

const canary = 'canary-2c7e51f0a9d4'
const events = 200
const compressors = {
  gzip: () => createGzip({ flush: constants.Z_SYNC_FLUSH }),
  br: () => createBrotliCompress({ flush: constants.BROTLI_OPERATION_FLUSH }),
  zstd: () => createZstdCompress({ flush: constants.ZSTD_e_flush }),
} as const

let world: Credentialed
/** The agent has the event before. */
const arrived = new EventEmitter()

const event = (number: number) => `id: ${number}\ndata: {"text":"word ${number} of a long answer"}\n\n`

/** A head alone, and the body only when the agent has it. */
async function late(response: ServerResponse): Promise<void> {
  const taken = once(arrived, 'head')
  response.writeHead(200, { 'Content-Type': 'text/event-stream' })
  response.flushHeaders()
  await taken
  response.end(event(0))
}

async function stream(response: ServerResponse, coding: string | undefined): Promise<void> {
  const compress = compressors[coding as keyof typeof compressors]?.()
  compress?.pipe(response)
  response.writeHead(200, { 'Content-Type': 'text/event-stream', ...(coding && { 'Content-Encoding': coding }) })
  for (let number = 0; number < events; number++) {
    const taken = once(arrived, 'event')
    const out = compress ?? response
    out.write(event(number))
    await taken
  }
  ;(compress ?? response).end()
}

beforeAll(async () => {
  world = await credentialed((request, response) => {
    if (request.url === '/late') return void late(response)
    const [, coding] = /coding=(\w+)/.exec(request.url ?? '') ?? []
    return void stream(response, coding)
  }, canary)
})
afterAll(() => world[Symbol.asyncDispose]())

/** Takes the chunks of a body until this text has come. */
async function until(client: WireClient, text: string): Promise<string> {
  let got = ''
  while (!got.includes(text)) {
    const size = Number.parseInt((await client.through('\r\n')).toString(), 16)
    got += (await client.exactly(size + 2)).subarray(0, -2).toString()
  }
  return got
}

describe('server-sent events', () => {
  it('are announced to the agent before the first one comes', async () => {
    await using client = await world.open()
    client.send(`GET /late HTTP/1.1\r\nHost: ${world.authority}\r\n\r\n`)
    expect((await client.head()).status).toBe(200)
    arrived.emit('head')
    expect(await until(client, '\n\n')).toBe(event(0))
  })

  it.each(['none', 'gzip', 'br', 'zstd'])('reach the agent one by one, coded: %s', async (coding) => {
    await using client = await world.open()
    const query = coding === 'none' ? '' : `?coding=${coding}`
    client.send(`GET /stream${query} HTTP/1.1\r\nHost: ${world.authority}\r\nAccept-Encoding: gzip, br, zstd\r\n\r\n`)
    const head = await client.head()
    expect(head.field('content-type')).toBe('text/event-stream')
    const began = performance.now()
    for (let number = 0; number < events; number++) {
      expect(await until(client, '\n\n')).toBe(event(number))
      arrived.emit('event')
    }
    // An event that waited for a timer would cost some milliseconds each, one held by Nagle's algorithm 40.
    expect((performance.now() - began) / events).toBeLessThan(20)
    expect((await client.through('0\r\n\r\n')).toString()).toBe('0\r\n\r\n')
  })
})
