// Copies of records to a collector, which is a real HTTP server here.

import { once } from 'node:events'
import { createServer, type IncomingHttpHeaders, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { json } from 'node:stream/consumers'
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest'
import { OtlpCopy, type OtlpEvents, type OtlpLimits, otlpLimits } from '../../../proxy/record/otlp.ts'
import { signedLines } from './audit/trails.ts'

interface LogRecord {
  readonly timeUnixNano: string
  readonly severityText: string
  readonly eventName: string
  readonly body: { readonly stringValue: string }
  readonly attributes: readonly { readonly key: string; readonly value: { readonly stringValue: string } }[]
}

let server: ReturnType<typeof createServer>
let endpoint: string
/** What was taken, and what was asked at all. */
let taken: LogRecord[]
let headers: IncomingHttpHeaders[]
let answer: (response: ServerResponse) => void
let told: string[]
let copy: OtlpCopy | undefined

beforeEach(async () => {
  taken = []
  headers = []
  told = []
  answer = (response) => response.writeHead(200, { 'content-type': 'application/json' }).end('{}')
  server = createServer(async (request, response) => {
    headers.push(request.headers)
    const message = (await json(request)) as { resourceLogs: { scopeLogs: { logRecords: LogRecord[] }[] }[] }
    answer(response)
    if (response.statusCode === 200)
      taken.push(...message.resourceLogs.flatMap(({ scopeLogs }) => scopeLogs.flatMap(({ logRecords }) => logRecords)))
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  endpoint = `http://127.0.0.1:${(server.address() as AddressInfo).port}/v1/logs`
})

afterEach(async () => {
  await copy?.close()
  copy = undefined
  server.closeAllConnections()
  if (server.listening) await new Promise((resolve) => server.close(resolve))
})

const events: OtlpEvents = {
  failed: ({ message }) => told.push(`failed: ${message}`),
  recovered: (dropped) => told.push(`recovered: ${dropped}`),
  dropped: (count) => told.push(`dropped: ${count}`),
}

function open(limits: Partial<OtlpLimits> = {}): OtlpCopy {
  const quick = { ...otlpLimits, linger: 5, firstPause: 10, longestPause: 20, patience: 1_000, ...limits }
  copy = new OtlpCopy({
    endpoint,
    headers: { authorization: 'Bearer canary' },
    version: '1.2.3',
    events,
    limits: quick,
  })
  return copy
}

const lines = signedLines(5)
const bodies = () => taken.map(({ body }) => body.stringValue)

describe('a collector that takes nothing', () => {
  test('for a while gets everything afterwards, in order and once; one alarm is told', async () => {
    answer = (response) => response.writeHead(503).end()
    open().take(lines[0] ?? '')
    await vi.waitFor(() => expect(headers.length).toBeGreaterThan(2))
    for (const line of lines.slice(1)) copy?.take(line)
    answer = (response) => response.writeHead(200).end('{}')
    await vi.waitFor(() => expect(bodies()).toEqual(lines))
    expect(told).toEqual([`failed: ${endpoint} answered 503`, 'recovered: 0'])
  })

  test('because it is gone costs nothing but the copies beyond the bound, which are counted', async () => {
    await new Promise((resolve) => server.close(resolve))
    const small = open({ backlog: 1_000 })
    for (let round = 0; round < 20; round += 1) small.take(lines[1] ?? '')
    expect(told.filter((line) => line === 'dropped: 1').length).toBeGreaterThan(10)
    await vi.waitFor(() => expect(told).toContainEqual(expect.stringMatching(/^failed: /)))
    const kept = 20 - told.filter((line) => line === 'dropped: 1').length
    // The end does not wait for a collector that is not there.
    await small.close()
    expect(told.at(-1)).toBe(`dropped: ${kept}`)
  })

  test('because it does not understand is not asked again with the same', async () => {
    answer = (response) => response.writeHead(400).end()
    open().take(lines[0] ?? '')
    await vi.waitFor(() => expect(told).toEqual([`failed: ${endpoint} answered 400`, 'dropped: 1']))
    answer = (response) => response.writeHead(200).end('{}')
    copy?.take(lines[1] ?? '')
    await vi.waitFor(() => expect(bodies()).toEqual([lines[1]]))
    expect([told.at(-1), headers.length]).toEqual(['recovered: 1', 2])
  })

  test('because it never answers is asked again after a while', async () => {
    let asked = 0
    answer = (response) => {
      asked += 1
      if (asked > 1) response.writeHead(200).end('{}')
    }
    server.removeAllListeners('request').on('request', (request, response) => {
      request.resume().on('end', () => answer(response))
    })
    open({ patience: 100 }).take(lines[0] ?? '')
    await vi.waitFor(() => expect(told).toEqual([expect.stringMatching(/^failed: .*timeout/), 'recovered: 0']), 3_000)
  })

  test('because it sends elsewhere is not followed: a header with a secret goes to nobody else', async () => {
    answer = (response) => response.writeHead(307, { location: '/elsewhere' }).end()
    open().take(lines[0] ?? '')
    await vi.waitFor(() => expect(told[0]).toMatch(/^failed: /))
    expect(taken).toEqual([])
  })
})

test('the collector gets each line byte for byte, with what it is searched by', async () => {
  const all = open()
  for (const line of lines) all.take(line)
  await vi.waitFor(() => expect(bodies()).toEqual(lines))
  expect(headers).toMatchObject([{ authorization: 'Bearer canary', 'content-type': 'application/json' }])
  expect(taken[0]).toMatchObject({
    timeUnixNano: '1700000000001000000',
    severityText: 'ERROR',
    eventName: 'postern.gap',
  })
  expect(taken[0]?.attributes).toContainEqual({ key: 'log.record.uid', value: { stringValue: 'record-1' } })
})

test('what is left goes out at the end, in as many messages as it takes', async () => {
  const all = open({ linger: 60_000, batch: 2 })
  for (const line of lines.slice(0, 1)) all.take(line)
  await all.close()
  expect(bodies()).toEqual(lines.slice(0, 1))
})
