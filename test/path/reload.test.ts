// Another configuration while the proxy runs: taken into use as a whole or not at all, and nothing under way is lost.
import { once } from 'node:events'
import { readFile, rename, stat, writeFile } from 'node:fs/promises'
import type { ServerResponse } from 'node:http'
import { request } from 'node:http'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it, vi } from 'vitest'
import { agentId, agentsListener } from '../support/gate.ts'
import { type Postern, type Workplace, workplace } from '../support/postern.ts'
import { recordsIn } from '../support/records.ts'
import { reasonOf } from '../support/through.ts'
import { type HttpsUpstream, httpsUpstream, httpUpstream, type Upstream } from '../support/upstream.ts'
import { WireClient } from '../support/wire-client.ts'

let login: HttpsUpstream
let tokens = 0
let upstream: Upstream
let held: ServerResponse | undefined
let seen: (string | undefined)[] = []
let place: Workplace
let run: Postern
let file: string

beforeAll(async () => {
  login = await httpsUpstream(['127.0.0.1'], (_request, response) => {
    tokens += 1
    response.setHeader('Content-Type', 'application/json')
    response.end(JSON.stringify({ access_token: `token-${tokens}`, token_type: 'Bearer', expires_in: 300 }))
  })
  upstream = await httpUpstream((message, response) => {
    seen.push(message.headers.authorization)
    if (message.url === '/v1/stream') held = response
    else response.end('contacts')
  })
})
afterAll(() => Promise.all([login.close(), upstream.close()]))

beforeEach(async () => {
  tokens = 0
  seen = []
  held = undefined
  place = await workplace({ 'login.pem': login.ca, 'postern.yaml': configuration() })
  file = join(place.path, 'postern.yaml')
  run = place.start(['run', '-c', 'postern.yaml'], { CLIENT_SECRET: 'canary-client-secret' })
  await run.told('ready')
})
afterEach(() => place[Symbol.asyncDispose]())

/** @param more rules */
function configuration(more = ''): string {
  return `version: 1
trustDomain: acme.example
records: { to: ./records.jsonl }
admin: { metrics: 127.0.0.1:0 }
${agentsListener}resolve: { localhost: [127.0.0.1] }
destinations:
  crm: { hosts: [localhost], protocol: http, ports: [${upstream.port}], addresses: [127.0.0.0/8] }
credentials:
  token:
    kind: oauth2-client-credentials
    tokenEndpoint: https://127.0.0.1:${login.port}/token
    ca: [login.pem]
    addresses: [127.0.0.0/8]
    client: { id: postern, auth: client_secret_post, secret: "\${env:CLIENT_SECRET}" }
    for: [crm]
rules:
${more}  - { name: agent-reads, allow: { agents: [${agentId}], to: crm, methods: [GET] }, use: token }
`
}

/** Replaces the file at once, as editors and mounted ConfigMaps do. */
async function replace(content: string): Promise<void> {
  await writeFile(`${file}.next`, content)
  await rename(`${file}.next`, file)
}

const noNotes = '  - { name: no-notes, deny: { paths: [/v1/notes] } }\n'
const authority = () => `localhost:${upstream.port}`
const get = (path: string) => [`GET http://${authority()}${path} HTTP/1.1`, `Host: ${authority()}`]
const open = async () => WireClient.open({ host: '127.0.0.1', port: await run.port() })

async function call(path: string) {
  await using client = await open()
  return await client.request(get(path))
}

async function metric(name: string): Promise<string | undefined> {
  const asked = request({ host: '127.0.0.1', port: await run.metricsPort(), path: '/metrics' }).end()
  const [answer] = await once(asked, 'response')
  return new RegExp(`^${name} (.*)$`, 'm').exec(await text(answer))?.[1]
}

describe('a configuration that was changed', () => {
  it.each(['by itself', 'at SIGHUP'])('is taken into use %s, for requests to come', async (how) => {
    expect((await call('/v1/notes')).status).toBe(200)
    // A connection that was there before is under the new rules too.
    await using kept = await open()
    expect((await kept.request(get('/v1/notes'))).status).toBe(200)
    if (how === 'by itself') await replace(configuration(noNotes))
    else {
      await writeFile(file, configuration(noNotes))
      run.child.kill('SIGHUP')
    }
    await run.told('the configuration is in use')
    for (const answer of [await call('/v1/notes'), await kept.request(get('/v1/notes'))]) {
      expect(answer.status).toBe(403)
      expect(reasonOf(answer)).toBe('denied_by_rule')
    }
    expect((await call('/v1/contacts')).status).toBe(200)
    expect(await metric('postern_config_reload_success_total')).toBe('1')
    // The credential was kept: its settings are as before.
    expect(tokens).toBe(1)
    const versions = await vi.waitFor(async () => {
      const records = await recordsIn(join(place.path, 'records.jsonl'))
      expect(records).toHaveLength(5)
      return records.map(({ decision }) => decision?.policy_version)
    })
    expect(new Set(versions.slice(0, 2)).size).toBe(1)
    expect(versions[2]).not.toBe(versions[0])
    expect(new Set(versions.slice(2)).size).toBe(1)
  })

  it('does not touch a stream that is under way and still allowed', async () => {
    await using client = await open()
    client.send([...get('/v1/stream'), '', ''].join('\r\n'))
    const response = await vi.waitFor(() => {
      if (held === undefined) throw new Error('not yet')
      return held
    })
    response.write('before,')
    await client.through('before,')
    await replace(configuration(noNotes))
    await run.told('the configuration is in use')
    response.end('after')
    expect((await client.through('0\r\n\r\n')).toString()).toContain('after')
    expect((await call('/v1/notes')).status).toBe(403)
  })

  it('that is wrong changes nothing, and says so in log and metric; the next good one is taken', async () => {
    expect((await call('/v1/contacts')).status).toBe(200)
    const good = configuration(noNotes)
    const wrong: readonly (readonly [string, string])[] = [
      [`${good}  - {`, 'postern.yaml:21:'],
      [good.replace('methods: [GET]', 'method: [GET]'), 'postern.yaml:20:'],
      [good.replace('use: token', 'use: tocken'), 'did you mean `token`'],
      ['', 'postern.yaml:1:'],
    ]
    for (const [count, [content, told]] of wrong.entries()) {
      await replace(content)
      const line = await run.told('the configuration is not in use; the one before stays', count + 1)
      expect(line.level).toBe('error')
      expect(line.problem).toContain(told)
      expect(await metric('postern_config_reload_failure_total')).toBe(String(count + 1))
      expect((await call('/v1/notes')).status).toBe(200)
    }
    expect(await metric('postern_config_reload_success_total')).toBe('0')
    await replace(good)
    await run.told('the configuration is in use')
    expect((await call('/v1/notes')).status).toBe(403)
    expect(tokens).toBe(1)
  })
})

describe('the file of the records', () => {
  it('is followed when it is rotated, at once with SIGHUP, and no record is lost', async () => {
    const records = join(place.path, 'records.jsonl')
    const ids: (string | undefined)[] = []
    const one = async () => ids.push((await call('/v1/contacts')).field('postern-request-id'))
    for (let count = 0; count < 20; count++) {
      await one()
      if (count === 10) {
        await vi.waitFor(async () => expect((await recordsIn(records)).length).toBe(11), 5_000)
        await rename(records, `${records}.1`)
      }
      if (count === 15) run.child.kill('SIGHUP')
    }
    await vi.waitFor(async () => expect((await stat(records)).size).toBeGreaterThan(0), 5_000)
    await one()
    run.child.kill('SIGTERM')
    expect(await run.ended).toBe(0)
    const [old, fresh] = [await recordsIn(`${records}.1`), await recordsIn(records)]
    expect(old.length).toBeGreaterThan(10)
    expect(fresh.length).toBeGreaterThan(0)
    expect([...old, ...fresh].map(({ id }) => id)).toEqual(ids)
    expect((await stat(records)).mode & 0o777).toBe(0o600)
    expect(await readFile(records, 'utf8')).toMatch(/\n$/)
  })
})
