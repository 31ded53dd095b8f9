// Token servers that lie, or say nothing: a named refusal and a record, nothing of their answer with the agent, and other destinations go on.
import type { ServerResponse } from 'node:http'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { agentId, agentsListener, openGate, type TestGate } from '../support/gate.ts'
import { reasonOf, through } from '../support/through.ts'
import { type HttpsUpstream, httpsUpstream } from '../support/upstream.ts'

/** Stands in every answer of a lying server. */
const lie = 'lie-3f9ac27e'

const json = (response: ServerResponse, value: unknown, status = 200) =>
  response.writeHead(status, { 'Content-Type': 'application/json' }).end(JSON.stringify(value))
const sound = { access_token: lie, token_type: 'Bearer', expires_in: 300 }

const lies: Readonly<Record<string, (response: ServerResponse) => unknown>> = {
  'a page of HTML': (response) =>
    response.writeHead(200, { 'Content-Type': 'text/html' }).end(`<h1>${lie}</h1>${JSON.stringify(sound)}`),
  'JSON under the name of HTML': (response) =>
    response.writeHead(200, { 'Content-Type': 'text/html' }).end(JSON.stringify(sound)),
  'half of a JSON object': (response) =>
    response.writeHead(200, { 'Content-Type': 'application/json' }).end(JSON.stringify(sound).slice(0, -5)),
  'a list': (response) => json(response, [sound]),
  'no token': (response) => json(response, { ...sound, access_token: undefined, note: lie }),
  'a token that is no text': (response) => json(response, { ...sound, access_token: { value: lie } }),
  'a token with a line end in it': (response) => json(response, { ...sound, access_token: `${lie}\r\nX-Evil: ${lie}` }),
  'no type': (response) => json(response, { ...sound, token_type: undefined }),
  'a token of another type': (response) => json(response, { ...sound, token_type: 'mac' }),
  'a token that has expired': (response) => json(response, { ...sound, expires_in: 0 }),
  'a life below zero': (response) => json(response, { ...sound, expires_in: -1 }),
  'a life in words': (response) => json(response, { ...sound, expires_in: `soon ${lie}` }),
  'a wider scope than was asked for': (response) => json(response, { ...sound, scope: `read ${lie}` }),
  'an error with a story': (response) =>
    json(response, { error: 'invalid_client', error_description: lie, error_uri: `https://${lie}.example/` }, 401),
  'an error with a code that is none': (response) => json(response, { error: `\u001b[31m${lie}` }, 400),
  'a redirect': (response) => response.writeHead(307, { Location: `https://${lie}.example/` }).end(lie),
  '10 MB': (response) => {
    response.writeHead(200, { 'Content-Type': 'application/json' })
    response.end(JSON.stringify({ ...sound, padding: lie.repeat(900_000) }))
  },
  'nothing, for ever': () => undefined,
  'a drop now and then': (response) => {
    response.writeHead(200, { 'Content-Type': 'application/json' })
    const timer = setInterval(() => response.write(' '), 50)
    response.on('close', () => clearInterval(timer))
  },
  'the end of the connection': (response) => response.socket?.destroy(),
}
const names = Object.keys(lies)
const hostOf = (what: string) => `lie-${names.indexOf(what)}.example`

let login: HttpsUpstream
let upstream: HttpsUpstream
let gate: TestGate
let asked = 0
const seen: (string | undefined)[] = []

beforeAll(async () => {
  login = await httpsUpstream(['127.0.0.1'], (request, response) => {
    asked += 1
    request.resume()
    const [, number] = /^\/token\/(\d+)$/.exec(request.url ?? '') ?? []
    if (number === undefined) json(response, { access_token: 'sound-token', token_type: 'Bearer' })
    else lies[names[Number(number)] ?? '']?.(response)
  })
  upstream = await httpsUpstream(['honest.example'], (request, response) => {
    seen.push(request.headers.authorization)
    response.end('hello')
  })
  const credential = (path: string, destination: string) => `
    kind: oauth2-client-credentials
    tokenEndpoint: https://127.0.0.1:${login.port}${path}
    ca: [login.pem]
    addresses: [127.0.0.0/8]
    timeout: 500ms
    client: { id: postern, auth: client_secret_post, secret: "\${env:CLIENT_SECRET}" }
    scopes: [read]
    for: [${destination}]`
  const hosts = [...names.map(hostOf), 'honest.example']
  const nameOf = (host: string) => host.replace('.example', '')
  const pathOf = (host: string) => (host === 'honest.example' ? '/token' : `/token/${hosts.indexOf(host)}`)
  gate = await openGate(
    [
      `${agentsListener}resolve: { ${hosts.map((host) => `${host}: [127.0.0.1]`).join(', ')} }`,
      'destinations:',
      ...hosts.map(
        (host) =>
          `  ${nameOf(host)}: { hosts: [${host}], ports: [${upstream.port}], addresses: [127.0.0.0/8], ca: [ca.pem] }`,
      ),
      'credentials:',
      ...hosts.map((host) => `  token-${nameOf(host)}:${credential(pathOf(host), nameOf(host))}`),
      'rules:',
      ...hosts.map(
        (host) => `  - { allow: { agents: [${agentId}], to: ${nameOf(host)} }, use: token-${nameOf(host)} }`,
      ),
      '',
    ].join('\n'),
    { files: { 'ca.pem': upstream.ca, 'login.pem': login.ca }, environment: { CLIENT_SECRET: 'canary-client-secret' } },
  )
})
afterAll(async () => {
  await gate[Symbol.asyncDispose]()
  await Promise.all([upstream.close(), login.close()])
})

async function get(host: string) {
  await using client = await through({ port: gate.port(), ca: gate.gate.caPem }, host, upstream.port)
  return await client.request(['GET / HTTP/1.1', `Host: ${host}:${upstream.port}`])
}

describe('a token server that answers with', () => {
  it.each(names)('%s causes credential_unavailable, and nothing of it reaches the agent', async (what) => {
    const answer = await get(hostOf(what))
    expect(answer.status).toBe(503)
    expect(reasonOf(answer)).toBe('credential_unavailable')
    expect(Number(answer.field('retry-after'))).toBeGreaterThanOrEqual(1)
    expect(seen).toEqual([])
    const record = await gate.record(answer.field('postern-request-id'))
    expect(record).toMatchObject({
      outcome: 'failed',
      destination: { host: hostOf(what) },
      refusal: { reason: 'credential_unavailable', detail: expect.stringContaining(`127.0.0.1:${login.port}`) },
      response: { status: 503, ended: 'refused' },
    })
    for (const told of [answer.text, answer.fields.join(), JSON.stringify(record), gate.log()]) {
      expect(told).not.toContain(lie)
      expect(told).not.toContain('canary-client-secret')
    }
    // The agent learns neither where the token server is nor what it said.
    expect(answer.text + answer.fields.join()).not.toContain(String(login.port))
    // It is left alone for a while.
    const before = asked
    expect((await get(hostOf(what))).status).toBe(503)
    expect(asked).toBe(before)
  })

  it('a sound token, without a word on its life, is believed, and the others hold nothing up', async () => {
    const answer = await get('honest.example')
    expect(answer.text).toBe('hello')
    expect(seen).toEqual(['Bearer sound-token'])
    const { credential } = await gate.record(answer.field('postern-request-id'))
    const ttl = credential?.expires_in_s
    // Kept for the time of the configuration, five minutes.
    expect(ttl).toBeGreaterThan(280)
    expect(ttl).toBeLessThanOrEqual(300)
  })
})
