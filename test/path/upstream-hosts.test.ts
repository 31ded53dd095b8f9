// What is remembered of upstream hosts is told by the metrics, for each destination.
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { agentId, agentsListener, openGate, type TestGate } from '../support/gate.ts'
import { WireClient } from '../support/wire-client.ts'

const upstream = createServer((_, response) => response.end('hello'))
let port: number
let gate: TestGate

beforeAll(async () => {
  await new Promise<void>((resolve) => upstream.listen(0, '127.0.0.1', resolve))
  port = (upstream.address() as AddressInfo).port
  const there = `protocol: http, ports: [${port}], addresses: [127.0.0.0/8]`
  gate = await openGate(`${agentsListener}admin: { metrics: "127.0.0.1:0" }
resolve: { a.example: [127.0.0.1], b.example: [127.0.0.1], c.example: [127.0.0.1] }
destinations:
  both: { hosts: [a.example, b.example], ${there} }
  other: { hosts: [c.example], ${there} }
  unused: { hosts: [d.example], ${there} }
rules:
  - { name: all, allow: { agents: [${agentId}], to: [both, other, unused] } }
`)
})
afterAll(async () => {
  await gate[Symbol.asyncDispose]()
  upstream.closeAllConnections()
  await new Promise((resolve) => upstream.close(resolve))
})

async function told(): Promise<string[]> {
  const text = await (await fetch(`http://127.0.0.1:${gate.gate.metricsPort}/metrics`)).text()
  return text.split('\n').filter((line) => line.startsWith('postern_upstream_hosts_remembered{'))
}

it('a host counts once however often it is asked, and a destination that was never used not at all', async () => {
  expect(await told()).toEqual([])
  await using client = await WireClient.open({ host: '127.0.0.1', port: gate.port() })
  for (const host of ['a', 'b', 'a', 'c', 'a']) {
    const authority = `${host}.example:${port}`
    const answer = await client.request([`GET http://${authority}/ HTTP/1.1`, `Host: ${authority}`])
    expect(answer.text).toBe('hello')
  }
  expect(await told()).toEqual([
    'postern_upstream_hosts_remembered{destination="both"} 2',
    'postern_upstream_hosts_remembered{destination="other"} 1',
  ])
})
