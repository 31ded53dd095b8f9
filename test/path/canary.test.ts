// Secrets of every kind of source in every place where they can be put: the API gets them, and nothing that the agent, or whoever reads logs, records and metrics, can see holds them in any form.
import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { chown, writeFile } from 'node:fs/promises'
import type { ServerResponse } from 'node:http'
import { request } from 'node:http'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import { gzipSync } from 'node:zlib'
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest'
import { nativeCalls } from '../../proxy/identify/kernel/native.ts'
import { canariesIn } from '../support/canaries.ts'
import { type Workplace, workplace } from '../support/postern.ts'
import { recordsIn } from '../support/records.ts'
import { type HttpsUpstream, httpsUpstream } from '../support/upstream.ts'

/** Root may look everywhere, so as root all of it runs as somebody else. */
const user = process.getuid?.() === 0 ? { uid: 65534, gid: 65534 } : undefined

const fresh = (what: string) => `canary-${what}-${randomBytes(12).toString('hex')}`
/** Credentials, by kind of source. */
const credentials = {
  env: fresh('env'),
  file: fresh('file'),
  exec: fresh('exec'),
  'client-credentials': fresh('token'),
  'token-exchange': fresh('exchanged'),
  'refresh-token': fresh('refreshed'),
}
/** What the sources themselves are asked with; nobody but the token server gets these. */
const behind = {
  secret: fresh('client-secret'),
  subject: fresh('subject'),
  refresh: fresh('refresh'),
  next: fresh('next'),
}
const canaries = { ...credentials, ...behind }

/** How each is put in, by destination: the source, the rule's `inject`, and where the API finds it. */
const uses: Readonly<Record<string, { source: keyof typeof credentials; inject: string }>> = {
  env: { source: 'env', inject: 'bearer' },
  file: { source: 'file', inject: 'bearer' },
  exec: { source: 'exec', inject: 'bearer' },
  'client-credentials': { source: 'client-credentials', inject: 'bearer' },
  'token-exchange': { source: 'token-exchange', inject: 'bearer' },
  'refresh-token': { source: 'refresh-token', inject: 'bearer' },
  basic: { source: 'env', inject: 'basic' },
  header: { source: 'file', inject: '{ header: X-Special, prefix: "Token " }' },
  query: { source: 'exec', inject: '{ query: key }' },
  cookie: { source: 'client-credentials', inject: '{ cookie: sid }' },
  placeholder: { source: 'env', inject: '{ placeholder: { env: SPECIAL_KEY } }' },
}
const names = Object.keys(uses)

let login: HttpsUpstream
let api: HttpsUpstream
let place: Workplace
/** Everything that reached the API, by destination. */
const seen = new Map<string, string>()
/** Everything that reached the token server. */
let asked = ''

/** What an API that talks too much says of a request, in every form. */
function echo(response: ServerResponse, url: string, said: string): void {
  const bytes = Buffer.from(said)
  response.setHeader('X-Echo', said.replace(/[^\x20-\x7e]/g, ' '))
  response.setHeader('Set-Cookie', `debug=${encodeURIComponent(said)}`)
  if (url.startsWith('/refused')) response.statusCode = 401
  const percent = [...bytes].map((byte) => `%${byte.toString(16)}`).join('')
  const escaped = [...said].map((character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`).join('')
  const base64 = [0, 1, 2].map((skip) => Buffer.concat([Buffer.alloc(skip), bytes]).toString('base64'))
  const page = [said, bytes.toString('hex'), percent, escaped, ...base64, bytes.toString('base64url')].join('\n\n')
  if (url.startsWith('/coded')) {
    response.setHeader('Content-Encoding', 'gzip')
    response.end(gzipSync(page))
  } else if (url.startsWith('/in-pieces')) {
    const trickle = (at: number) => {
      if (at >= page.length) response.end()
      else response.write(page.slice(at, at + 97), () => trickle(at + 97))
    }
    trickle(0)
  } else response.end(page)
}

beforeAll(async () => {
  login = await httpsUpstream(['127.0.0.1'], async (message, response) => {
    let form = ''
    for await (const chunk of message) form += chunk
    asked += `${message.headers.authorization} ${form}\n`
    const grant = new URLSearchParams(form).get('grant_type') ?? ''
    response.setHeader('Content-Type', 'application/json')
    if (message.url === '/down') {
      response.statusCode = 500
      return response.end(JSON.stringify({ error: 'server_error', error_description: form }))
    }
    const [source, more] = grant.includes('token-exchange')
      ? (['token-exchange', { issued_token_type: 'urn:ietf:params:oauth:token-type:access_token' }] as const)
      : grant === 'refresh_token'
        ? (['refresh-token', { refresh_token: behind.next }] as const)
        : (['client-credentials', {}] as const)
    return response.end(
      JSON.stringify({ access_token: credentials[source], token_type: 'Bearer', expires_in: 300, ...more }),
    )
  })
  api = await httpsUpstream(['*.acme.example'], (message, response) => {
    message.resume()
    const name = (message.headers.host ?? '').split('.')[0] ?? ''
    const said = `${message.method} ${message.url} ${JSON.stringify(message.rawHeaders)}`
    seen.set(name, `${seen.get(name) ?? ''}${said}\n`)
    echo(response, message.url ?? '', said)
  })
  const server = (path: string) =>
    `tokenEndpoint: "https://127.0.0.1:${login.port}${path}", ca: [login.pem], addresses: [127.0.0.0/8]`
  const client = 'client: { id: postern, auth: client_secret_post, secret: "${env:CANARY_CLIENT_SECRET}" }'
  const of = (source: string) => `for: [${names.filter((name) => uses[name]?.source === source).join(', ')}]`
  const all = [...names, 'broken']
  place = await workplace(
    {
      'ca.pem': api.ca,
      'login.pem': login.ca,
      'secret-file': `${credentials.file}\n`,
      'refresh-token': behind.refresh,
      'exec-answer.json': JSON.stringify({ secret: credentials.exec, expiresIn: 300 }),
      'agent.mjs': agent,
    },
    user,
  )
  await writeFile(
    join(place.path, 'postern.yaml'),
    `version: 1
trustDomain: acme.example
exec: { agent: spiffe://acme.example/agent }
records: { to: ./records.jsonl }
admin: { metrics: 127.0.0.1:0 }
listen:
  - { name: agents, address: "127.0.0.1:0", accept: http-proxy, callers: [kernel], uids: { "${process.getuid?.() ?? 0}": spiffe://acme.example/agent } }
resolve: { ${all.map((name) => `${name}.acme.example: [127.0.0.1]`).join(', ')} }
destinations:
${all.map((name) => `  ${name}: { hosts: [${name}.acme.example], ports: [${api.port}], addresses: [127.0.0.0/8], ca: [ca.pem] }`).join('\n')}
credentials:
  env: { kind: env, variable: CANARY_ENV, username: robot, ${of('env')} }
  file: { kind: file, path: secret-file, ${of('file')} }
  exec: { kind: exec, command: [cat, ${place.path}/exec-answer.json], ${of('exec')} }
  client-credentials: { kind: oauth2-client-credentials, ${server('/token')}, ${client}, ${of('client-credentials')} }
  token-exchange: { kind: oauth2-token-exchange, ${server('/token')}, ${client}, subject: { from: secret, token: "\${env:CANARY_SUBJECT}" }, ${of('token-exchange')} }
  refresh-token: { kind: oauth2-refresh-token, ${server('/token')}, ${client}, refreshTokenFile: refresh-token, ${of('refresh-token')} }
  broken: { kind: oauth2-client-credentials, ${server('/down')}, ${client}, for: [broken] }
rules:
  - { name: nobody-deletes, deny: { methods: [DELETE] } }
${names.map((name) => `  - { name: use-${name}, allow: { agents: [spiffe://acme.example/agent], to: ${name} }, use: ${uses[name]?.source}, inject: ${uses[name]?.inject} }`).join('\n')}
  - { name: use-broken, allow: { agents: [spiffe://acme.example/agent], to: broken }, use: broken }
`,
  )
  if (user !== undefined) await chown(join(place.path, 'postern.yaml'), user.uid, user.gid)
})
afterAll(async () => {
  await place[Symbol.asyncDispose]()
  await Promise.all([api.close(), login.close()])
})

const environment = {
  CANARY_ENV: credentials.env,
  CANARY_CLIENT_SECRET: behind.secret,
  CANARY_SUBJECT: behind.subject,
}

/** An agent that tells everything that it can find out. */
const agent = `
import { connect } from 'node:net'
import { readdirSync, readFileSync } from 'node:fs'
const [port, ...names] = process.argv.slice(2)
const read = (path) => { try { return readFileSync(path, 'latin1') } catch (error) { return error.code } }
console.log(JSON.stringify(process.env), read('/proc/self/environ'))
for (const pid of readdirSync('/proc').filter((name) => /^\\d+$/.test(name)))
  for (const file of ['cmdline', 'environ', 'maps', 'mountinfo']) console.log(pid, file, read('/proc/' + pid + '/' + file))
for (const path of [process.env.SSL_CERT_FILE, process.env.NODE_EXTRA_CA_CERTS, process.env.SYSTEM_WGETRC]) console.log(read(path))
const tell = async (url, options) => {
  try {
    const answer = await fetch(url, options)
    console.log(url, answer.status, JSON.stringify([...answer.headers]), await answer.text())
  } catch (error) {
    console.log(url, String(error), String(error.cause))
  }
}
for (const name of names) {
  const origin = 'https://' + name + '.acme.example:' + port
  const headers = name === 'placeholder' ? { authorization: 'Bearer ' + process.env.SPECIAL_KEY } : {}
  for (const path of ['/plain?a=b', '/coded', '/in-pieces', '/refused']) await tell(origin + path, { headers })
  await tell(origin + '/plain', { headers, method: 'POST', body: 'hello' })
  await tell(origin + '/plain', { headers, method: 'OPTIONS' })
  await tell(origin + '/plain', { headers, method: 'DELETE' })
}
await tell('https://broken.acme.example:' + port)
await tell('https://unknown.example/')
await tell('http://169.254.169.254/latest')
await tell('https://env.acme.example:' + port + '/stolen', { headers: { authorization: 'Bearer ' + process.env.SPECIAL_KEY } })
// Past all clients: the bare port of the proxy.
const proxy = new URL(process.env.HTTPS_PROXY)
for (const bytes of ['GET / HTTP/1.1\\r\\nHost: x\\r\\n\\r\\n', 'NONSENSE\\r\\n\\r\\n', 'TRACE https://env.acme.example:' + port + '/ HTTP/1.1\\r\\nHost: env.acme.example:' + port + '\\r\\nProxy-Authorization: Basic ' + btoa(proxy.username + ':' + proxy.password) + '\\r\\nConnection: close\\r\\n\\r\\n', 'CONNECT env.acme.example:' + port + ' HTTP/1.1\\r\\n\\r\\n'])
  await new Promise((resolve) => {
    const socket = connect(Number(proxy.port), proxy.hostname, () => socket.write(bytes))
    socket.on('data', (chunk) => console.log(chunk.toString('latin1')))
    socket.on('end', () => socket.end())
    socket.on('close', resolve)
    socket.on('error', resolve)
  })
`

describe('secrets of every source, in every place', () => {
  it('are with the API, and nowhere in what an agent under postern exec can find out', {
    timeout: 60_000,
  }, async () => {
    const argv = [
      'exec',
      '-c',
      'postern.yaml',
      '--verbose',
      '--',
      process.execPath,
      'agent.mjs',
      String(api.port),
      ...names,
    ]
    const run = place.start(argv, { ...environment, SPECIAL_KEY: 'looks-like-a-key' })
    expect(await run.ended).toBe(0)

    // First, that it was worth looking: each went to the API, in its place, and the API gave it back.
    for (const name of names) {
      const source = uses[name]?.source ?? 'env'
      const found = canariesIn(seen.get(name) ?? '', { [source]: credentials[source] })
      expect([name, found.length > 0]).toEqual([name, true])
      expect(run.out).toContain(`https://${name}.acme.example:${api.port}/coded 200`)
    }
    expect(run.out).toMatch(/\*{20}/)
    expect(canariesIn(asked, behind)).toEqual(
      expect.arrayContaining(['secret (plain)', 'subject (plain)', 'refresh (plain)']),
    )
    expect(readFileSync(join(place.path, 'refresh-token'), 'utf8').trim()).toBe(behind.next)
    const records = await recordsIn(join(place.path, 'records.jsonl'))
    expect(records.length).toBeGreaterThan(7 * names.length)
    expect(run.out).toContain('"reason":"credential_unavailable"')
    expect(run.out).toContain('"reason":"denied_by_rule"')

    expect(canariesIn(run.out, canaries)).toEqual([])
    expect(canariesIn(run.errors, canaries)).toEqual([])
    expect(canariesIn(JSON.stringify(records), canaries)).toEqual([])
    expect(canariesIn(readFileSync(join(place.path, 'records.jsonl'), 'utf8'), canaries)).toEqual([])
  })

  const left = nativeCalls() === undefined ? ' (its environment is left out: this Node cannot reach into it)' : ''

  it(`are nowhere in what a service tells: logs at their most talkative, metrics, records, ps${left}`, async () => {
    const run = place.start(['run', '-c', 'postern.yaml', '--log-level', 'debug'], environment)
    const port = await run.port()
    const before = (await recordsIn(join(place.path, 'records.jsonl'))).length
    // Absolute-form over this port, which nobody may use in clear but to be refused, and a reload that fails.
    for (const name of [...names, 'broken']) {
      const asking = request({
        port,
        path: `http://${name}.acme.example:${api.port}/`,
        headers: { host: `${name}.acme.example:${api.port}` },
      }).end()
      const [answer] = await once(asking, 'response')
      expect(canariesIn(await text(answer), canaries)).toEqual([])
    }
    const good = readFileSync(join(place.path, 'postern.yaml'), 'utf8')
    await writeFile(join(place.path, 'postern.yaml'), `${good}  - { nonsense: "\${env:CANARY_ENV}" }\n`)
    run.child.kill('SIGHUP')
    await run.told('the configuration is not in use; the one before stays')
    await writeFile(join(place.path, 'postern.yaml'), good)

    const asking = request({ port: await run.metricsPort(), path: '/metrics' }).end()
    const [answer] = await once(asking, 'response')
    expect(canariesIn(await text(answer), canaries)).toEqual([])
    if (existsSync(`/proc/${run.child.pid}`)) {
      expect(canariesIn(readFileSync(`/proc/${run.child.pid}/cmdline`, 'latin1'), canaries)).toEqual([])
      // To its own user it is closed.
      if (left === '' && process.getuid?.() === 0)
        expect(canariesIn(readFileSync(`/proc/${run.child.pid}/environ`, 'latin1'), canaries)).toEqual([])
    }
    await vi.waitFor(async () =>
      expect((await recordsIn(join(place.path, 'records.jsonl'))).length).toBeGreaterThan(before + names.length),
    )
    run.child.kill('SIGTERM')
    expect(await run.ended).toBe(0)
    expect(canariesIn(run.errors + run.out, canaries)).toEqual([])
    expect(canariesIn(readFileSync(join(place.path, 'records.jsonl'), 'utf8'), canaries)).toEqual([])
    // Nothing was left behind either, but for the files that hold them by design.
    const kept = readdirSync(place.path).filter(
      (name) => !['secret-file', 'refresh-token', 'exec-answer.json'].includes(name),
    )
    for (const name of kept)
      expect([name, canariesIn(readFileSync(join(place.path, name), 'latin1'), canaries)]).toEqual([name, []])
  })
})
