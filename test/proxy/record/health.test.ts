import { once } from 'node:events'
import { request } from 'node:http'
import { connect } from 'node:net'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { type HealthServer, healthServer } from '../../../proxy/record/health.ts'
import { Readiness } from '../../../proxy/record/readiness.ts'
import { Registry } from '../../../proxy/record/registry.ts'

let server: HealthServer
let readiness: Readiness

beforeEach(async () => {
  readiness = new Readiness(['identity', 'policy'])
  const registry = new Registry()
  registry.counter('a_total', 'A.').add(1)
  server = await healthServer({
    address: { host: '127.0.0.1', port: 0 },
    hosts: ['postern.ops.svc'],
    readiness,
    registry,
  })
})

afterEach(() => server.close())

function ask(
  path: string,
  { method = 'GET', headers = {} }: { method?: string; headers?: Record<string, string> } = {},
) {
  return new Promise<{ status: number | undefined; type: string | undefined; body: string }>((resolve, reject) => {
    request({ port: server.port, host: '127.0.0.1', path, method, headers }, async (response) => {
      const body = (await response.setEncoding('utf8').toArray()).join('')
      resolve({ status: response.statusCode, type: response.headers['content-type'], body })
    })
      .on('error', reject)
      .end()
  })
}

describe('what must not be answered', () => {
  test.each(['POST', 'PUT', 'DELETE', 'OPTIONS', 'TRACE'])('%s changes nothing and is refused', async (method) => {
    expect((await ask('/metrics', { method })).status).toBe(405)
  })

  test('a page of another origin', async () => {
    expect((await ask('/metrics', { headers: { origin: 'https://evil.example' } })).status).toBe(403)
  })

  test.each(['evil.example', 'evil.example:15020', 'localhost.evil.example', '[::1', '2130706433'])(
    'the name %s, which somebody may have bound to this address',
    async (host) => {
      expect((await ask('/metrics', { headers: { host } })).status).toBe(421)
    },
  )

  test.each(['/', '/config', '/metrics/', '/__proto__', '/constructor', '/livez%00'])('%s', async (path) => {
    expect((await ask(path)).status).toBe(404)
  })
})

test.each(['127.0.0.1', '127.0.0.1:9', '[::1]', '[::1]:9', 'localhost', 'LOCALHOST:80', 'postern.ops.svc:15020'])(
  'it answers under the name %s',
  async (host) => {
    expect((await ask('/livez', { headers: { host } })).status).toBe(200)
  },
)

test('it is not ready until every part is up, and says what is missing', async () => {
  readiness.ready('policy')
  readiness.notReady('identity', 'no SVID yet')
  const { status, body, type } = await ask('/readyz')
  expect([status, type]).toEqual([503, 'application/json'])
  expect(JSON.parse(body)).toEqual({ ready: false, reasons: [{ check: 'identity', why: 'no SVID yet' }] })
  readiness.ready('identity')
  expect(await ask('/readyz?verbose')).toMatchObject({ status: 200, body: '{"ready":true,"reasons":[]}\n' })
})

test('it is alive while it is not ready', async () => {
  expect(await ask('/livez')).toMatchObject({ status: 200, body: '{"live":true}\n' })
})

test('metrics come as Prometheus reads them, and HEAD without a body', async () => {
  expect(await ask('/metrics')).toEqual({
    status: 200,
    type: 'text/plain; version=0.0.4; charset=utf-8',
    body: '# HELP a_total A.\n# TYPE a_total counter\na_total 1\n',
  })
  expect(await ask('/metrics', { method: 'HEAD' })).toMatchObject({ status: 200, body: '' })
})

test('200 connections that say nothing do not keep a probe out', async () => {
  const idle = Array.from({ length: 200 }, () => connect(server.port, '127.0.0.1'))
  await Promise.all(idle.map((socket) => once(socket, 'connect')))
  expect((await ask('/livez')).status).toBe(200)
  for (const socket of idle) socket.destroy()
})
