// kill -9 at random moments under load: no request that left is missing in the records, and they verify, up to a torn tail that is named.
import { randomInt } from 'node:crypto'
import { Agent, request } from 'node:http'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { verifyFiles } from '../../proxy/record/audit/verify.ts'
import { readFile } from '../../proxy/record/reader.ts'
import { agentId, agentsListener } from '../support/gate.ts'
import { type Workplace, workplace } from '../support/postern.ts'
import { httpUpstream, type Upstream } from '../support/upstream.ts'

/** POSTERN_KILLS=100 for the long run. */
const kills = Number(process.env.POSTERN_KILLS ?? 10)
const concurrency = 16

let upstream: Upstream
let place: Workplace
/** Paths of the requests that left. */
const left = new Set<string>()

beforeAll(async () => {
  upstream = await httpUpstream((message, response) => {
    left.add(message.url ?? '')
    response.end('hello')
  })
  place = await workplace({
    'postern.yaml': `version: 1
trustDomain: acme.example
identity: { source: embedded }
records: { to: ./records.jsonl, durability: intent, checkpoint: { records: 50 } }
${agentsListener}resolve: { localhost: [127.0.0.1] }
destinations:
  api: { hosts: [localhost], protocol: http, ports: [${upstream.port}], addresses: [127.0.0.0/8] }
rules:
  - { name: all, allow: { agents: [${agentId}], to: api } }
`,
  })
})

afterAll(async () => {
  await upstream.close()
  await place[Symbol.asyncDispose]()
})

/** Asks until the proxy is gone. */
async function load(port: number, round: number): Promise<void> {
  const agent = new Agent({ keepAlive: true })
  let number = 0
  const one = (path: string) =>
    new Promise<boolean>((resolve) => {
      const asked = request({
        agent,
        host: '127.0.0.1',
        port,
        path: `http://localhost:${upstream.port}${path}`,
        headers: { host: `localhost:${upstream.port}` },
      })
      asked.on('error', () => resolve(false))
      asked.on('response', (response) => {
        response.resume()
        response.on('close', () => resolve(true))
        response.on('error', () => {})
      })
      asked.end()
    })
  const worker = async () => {
    do number += 1
    while (await one(`/${round}/${number}`))
  }
  await Promise.all(Array.from({ length: concurrency }, worker))
  agent.destroy()
}

/** Of all records, torn lines passed over. */
async function paths(file: string): Promise<ReadonlySet<string>> {
  const known = new Set<string>()
  for await (const batch of readFile(file, { unreadable: () => {} }))
    for (const { request: asked } of batch) if (asked !== undefined) known.add(asked.path)
  return known
}

test(
  `${kills} times killed, the records are whole`,
  async () => {
    const file = join(place.path, 'records.jsonl')
    let torn = 0
    for (let round = 0; round < kills; round += 1) {
      const proxy = place.start(['run'])
      const port = await proxy.port()
      const loaded = load(port, round)
      const before = left.size
      // Some requests must have passed; then any moment will do.
      await expect.poll(() => left.size - before, { timeout: 10_000, interval: 2 }).toBeGreaterThan(randomInt(1, 60))
      await new Promise((resolve) => setTimeout(resolve, randomInt(0, 40)))
      proxy.child.kill('SIGKILL')
      await proxy.ended
      await loaded

      const report = await verifyFiles([file], { fromStart: true })
      expect(report.findings).toEqual([])
      torn += report.notes.some(({ message }) => message.startsWith('the last line')) ? 1 : 0
      const known = await paths(file)
      expect([...left].filter((path) => !known.has(path))).toEqual([])
    }
    const { trails, signers, records } = await verifyFiles([file], {})
    expect(trails).toHaveLength(1)
    expect(records).toBeGreaterThan(left.size)
    expect(signers.every(({ spiffe_id }) => spiffe_id === 'spiffe://acme.example/postern')).toBe(true)
    console.log(
      `${kills} kills, ${left.size} requests, ${records} records, ${torn} torn tails, ${signers.length} signers`,
    )
  },
  30_000 + kills * 6_000,
)
