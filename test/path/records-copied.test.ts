// A collector gets each record as it stands in the file; one that is gone holds nothing up.
import { once } from 'node:events'
import { readFile } from 'node:fs/promises'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { json } from 'node:stream/consumers'
import { expect, test, vi } from 'vitest'
import { agentId, agentsListener, openGate } from '../support/gate.ts'
import { reasonOf } from '../support/through.ts'
import { WireClient } from '../support/wire-client.ts'

const configuration = (
  endpoint: string,
) => `${agentsListener}records: { to: ./records.jsonl, otlp: { endpoint: "${endpoint}", headers: { x-collector-key: "\${env:COLLECTOR_KEY}" } } }
destinations: { api: { hosts: [api.example] } }
rules: [{ name: never, deny: { agents: [${agentId}] } }]
`
const environment = { COLLECTOR_KEY: 'canary-5d1c09aa27' }

async function ask(port: number): Promise<unknown> {
  await using client = await WireClient.open({ host: '127.0.0.1', port })
  return reasonOf(await client.request(['GET http://api.example/ HTTP/1.1', 'Host: api.example']))
}

test('a collector that is gone is told of, and every request goes its way', async () => {
  await using gate = await openGate(configuration('http://127.0.0.1:1/v1/logs'), { environment })
  expect(await ask(gate.port())).toBe('denied_by_rule')
  await vi.waitFor(() => expect(gate.log()).toContain('the collector does not take records'), 5_000)
  expect(gate.log()).not.toContain(environment.COLLECTOR_KEY)
  expect(await ask(gate.port())).toBe('denied_by_rule')
  expect(await gate.records(2)).toMatchObject([{ seq: 1 }, { seq: 2 }])
})

test('a collector gets the lines of the file, byte for byte, with the header that a secret is in', async () => {
  const lines: string[] = []
  const keys = new Set<unknown>()
  const server = createServer(async (request, response) => {
    keys.add(request.headers['x-collector-key'])
    const { resourceLogs } = (await json(request)) as {
      resourceLogs: { scopeLogs: { logRecords: { body: { stringValue: string } }[] }[] }[]
    }
    for (const { scopeLogs } of resourceLogs)
      for (const { logRecords } of scopeLogs) lines.push(...logRecords.map(({ body }) => body.stringValue))
    response.end('{}')
  }).listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  const gate = await openGate(configuration(`http://127.0.0.1:${port}/v1/logs`), { environment })
  try {
    await ask(gate.port())
    await gate.records(1)
    await gate.gate.close('test')
    expect(lines).toHaveLength(2)
    expect(`${lines.join('\n')}\n`).toBe(await readFile(join(gate.folder, 'records.jsonl'), 'utf8'))
    expect([...keys]).toEqual([environment.COLLECTOR_KEY])
  } finally {
    await gate[Symbol.asyncDispose]()
    server.close()
  }
})
