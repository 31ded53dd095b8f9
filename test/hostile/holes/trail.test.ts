// Holes of revocation and audit: what goes on after it was taken back, and records that say what did not happen.

import { readFile, stat, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import { verifyFiles } from '../../../proxy/record/audit/verify.ts'
import { freePort } from '../../support/free-port.ts'
import { agentId } from '../../support/gate.ts'
import { reasonOf } from '../../support/through.ts'
import { canaries, openWorld, type World } from './world.ts'

let world: World
let closedPort = 0

beforeAll(async () => {
  closedPort = await freePort()
  world = await openWorld({
    destinations: () =>
      `  gone: { hosts: [gone.example], ports: [${closedPort}], addresses: [127.0.0.0/8], ca: [ca.pem] }\n`,
    names: ', gone.example: [127.0.0.1]',
    rules: `  - { name: calls-the-gone, allow: { agents: [${agentId}], to: gone } }\n`,
  })
})
afterAll(() => world[Symbol.asyncDispose]())
afterEach(() => {
  world.seen.length = 0
})

describe('H22: the record says 101 before the upstream was called', () => {
  const socket = (host: string) => [
    'GET /socket HTTP/1.1',
    `Host: ${host}`,
    'Connection: Upgrade',
    'Upgrade: websocket',
    'Sec-WebSocket-Version: 13',
    'Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==',
  ]

  it('a WebSocket whose upstream cannot be reached is refused, to the agent and in the record', async () => {
    await using client = await world.plain()
    expect((await client.tunnel(`gone.example:${closedPort}`)).status).toBe(200)
    await client.secure({ ca: world.gate.gate.caPem, servername: 'gone.example' })
    const answer = await client.request(socket(`gone.example:${closedPort}`))
    expect([answer.status, reasonOf(answer)]).toEqual([502, 'upstream_unreachable'])
    const record = await world.gate.record(answer.field('postern-request-id'))
    expect(record).toMatchObject({ outcome: 'failed', refusal: { reason: 'upstream_unreachable' } })
    expect(record.response?.status).not.toBe(101)
  })

  it('one that the upstream declines is recorded with what it said', async () => {
    await using client = await world.open('free.example')
    const answer = await client.request(socket(world.authority('free.example')))
    expect(answer.status).toBe(200)
    const record = await world.gate.record(answer.field('postern-request-id'))
    expect(record).toMatchObject({ outcome: 'allowed', response: { status: 200 } })
  })

  it('there is a record of each request, with a credential, without one, and refused', async () => {
    for (const [host, path, status] of [
      ['api.example', '/a', 200],
      ['free.example', '/b', 200],
      ['other.example', '/c', 200],
    ] as const) {
      await using client = await world.open(host)
      const answer = await client.request([`GET ${path} HTTP/1.1`, `Host: ${world.authority(host)}`])
      expect(answer.status).toBe(status)
      expect(await world.gate.record(answer.field('postern-request-id'))).toMatchObject({
        request: { path },
        response: { status },
      })
    }
  })
})

describe('H23: the agent can change the records of what it did', () => {
  it('they are for their owner alone, and a line that is taken out, altered or moved is found', async () => {
    for (let count = 0; count < 5; count++) {
      await using client = await world.open('free.example')
      await client.request([`GET /${count} HTTP/1.1`, `Host: ${world.authority('free.example')}`])
    }
    await world.gate.records(5)
    const file = join(world.gate.folder, 'records.jsonl')
    expect((await stat(file)).mode & 0o077).toBe(0)
    const lines = (await readFile(file, 'utf8')).trimEnd().split('\n')
    const verified = async (changed: readonly string[]) => {
      const copy = join(world.gate.folder, 'copy')
      await writeFile(copy, changed.map((line) => `${line}\n`).join(''))
      return (await verifyFiles([copy], {})).findings.map(({ kind }) => kind)
    }
    expect((await verified(lines)).filter((kind) => /removed|altered|moved/.test(kind))).toEqual([])
    expect(await verified(lines.toSpliced(2, 1))).toContain('removed')
    expect(await verified(lines.with(2, (lines[2] ?? '').replace('"v":', '"x":1,"v":')))).toContain('altered')
    expect((await verified(lines.toSpliced(1, 1).toSpliced(3, 0, lines[1] ?? ''))).length).toBeGreaterThan(0)
  })
})

describe('H25: a large body leaves before the credential is in place', () => {
  it.each([1 << 20, (1 << 20) + 1, 3 << 20])(
    'a body of %d bytes arrives whole, behind a head with the credential',
    async (size) => {
      await using client = await world.open()
      const answer = await client.request(
        ['POST /upload HTTP/1.1', `Host: ${world.authority()}`, `Content-Length: ${size}`],
        Buffer.alloc(size, 'a'),
      )
      expect(answer.status).toBe(200)
      expect(world.seen.map(({ line, body, headers }) => [line, body.length, headers.authorization])).toEqual([
        ['POST /upload', size, `Bearer ${canaries.api}`],
      ])
    },
  )
})
