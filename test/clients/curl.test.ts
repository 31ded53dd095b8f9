// curl, as a user runs it.
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { certificatePem } from '../../certs/pem.ts'
import { parseSpiffeId } from '../../certs/spiffe-id.ts'
import { execute } from '../support/execute.ts'
import { openGate, type TestGate } from '../support/gate.ts'
import { missing } from '../support/programs.ts'
import { type HttpsUpstream, httpsUpstream } from '../support/upstream.ts'
import { canary, clientsWorld, type World } from './world.ts'

const left = missing('curl', ['curl', '--version'])
const why = left === undefined ? '' : ` (left out: ${left})`

describe.skipIf(left !== undefined)(`curl through postern exec${why}`, () => {
  let world: World
  beforeAll(async () => {
    world = await clientsWorld()
  })
  afterAll(() => world[Symbol.asyncDispose]())

  test('reaches an HTTPS API by CONNECT, with a credential that it never had', async () => {
    const { code, out } = await world.run(['curl', '-sS', `${world.api}/v1/contacts?q=a`])
    expect(out).toBe('{"hello":"from the API","bytes":0}')
    expect(code).toBe(0)
    expect(world.seen()).toMatchObject([
      { method: 'GET', url: '/v1/contacts?q=a', headers: { authorization: `Bearer ${canary}` } },
    ])
  })

  test('reaches an API in clear by absolute-form', async () => {
    const { code, out } = await world.run(['curl', '-sS', '-d', 'name=Ada', `${world.plain}/v1/contacts`])
    expect(out).toBe('{"hello":"from the API","bytes":8}')
    expect(code).toBe(0)
    expect(world.seen()).toMatchObject([
      { method: 'POST', url: '/v1/contacts', body: 'name=Ada', headers: { authorization: `Bearer ${canary}` } },
    ])
  })

  test('sends several requests over one connection, also after a refused one', async () => {
    const show = ['-w', ' %{http_code} %{num_connects}\\n', '-o', '/dev/null']
    const urls = [`${world.api}/v1/a`, `${world.api}/forbidden`, `${world.api}/v1/b`]
    const { code, out } = await world.run(['curl', '-sS', ...urls.flatMap((url) => [...show, url])])
    expect(out).toBe(' 200 1\n 403 0\n 200 0\n')
    expect(code).toBe(0)
    expect(world.seen().map(({ url }) => url)).toEqual(['/v1/a', '/v1/b'])
  })

  test('is told why not, also in the middle of an upload that it waits to send', async () => {
    await writeFile(join(world.path, 'upload'), Buffer.alloc(4 << 20))
    const show = ['-w', '\\n%{http_code}', '-o', 'problem.json']
    const argv = ['curl', '-sS', ...show, '-T', 'upload', `${world.api}/forbidden`]
    const { out, errors } = await world.run(argv)
    expect(errors).not.toMatch(/curl: /)
    expect(out).toBe('\n403')
    expect(world.seen()).toEqual([])
  })

  test('shows why a CONNECT was refused, where it shows heads', async () => {
    const { code, out } = await world.run(['curl', '-sS', '-D', '-', 'https://elsewhere.example/'])
    expect(out).toMatch(/^HTTP\/1\.1 403 Forbidden\r\n(?:.*\r\n)*Postern-Reason: no_rule\r\n/)
    expect(code).toBe(56)
  })
})

describe.skipIf(left !== undefined)(`curl with an X509-SVID, over an HTTPS proxy${why}`, () => {
  let upstream: HttpsUpstream
  let gate: TestGate
  const seen: (string | undefined)[] = []

  beforeAll(async () => {
    upstream = await httpsUpstream(['api.example'], (request, response) => {
      seen.push(request.headers.authorization)
      response.end('contacts')
    })
    gate = await openGate(
      `identity: { source: embedded }
listen:
  - { name: mesh, address: "127.0.0.1:0", accept: https-proxy, callers: [x509-svid] }
resolve: { api.example: [127.0.0.1] }
destinations:
  api: { hosts: [api.example], ports: [${upstream.port}], addresses: [127.0.0.0/8], ca: [ca.pem] }
credentials:
  key: { kind: env, variable: API_KEY, for: [api] }
rules:
  - { name: researcher-reads, allow: { agents: [spiffe://acme.example/researcher], to: api, methods: [GET] }, use: key }
`,
      { files: { 'ca.pem': upstream.ca }, environment: { API_KEY: canary } },
    )
  })
  afterAll(async () => {
    await gate[Symbol.asyncDispose]()
    await upstream.close()
  })

  /** curl with the SVID of this workload, or with none. */
  async function curl(workload: string | undefined) {
    const authority = gate.gate.authority
    if (authority === undefined) throw new Error('no authority')
    const [root] = authority.bundle().x509Authorities
    await writeFile(join(gate.folder, 'root.pem'), certificatePem(root ?? new Uint8Array()))
    await writeFile(join(gate.folder, 'leaf-ca.pem'), gate.gate.caPem)
    const shown: string[] = []
    if (workload !== undefined) {
      const { chain, key } = authority.issue(parseSpiffeId(`spiffe://acme.example/${workload}`))
      await writeFile(join(gate.folder, 'svid.pem'), chain.map(certificatePem).join(''))
      await writeFile(join(gate.folder, 'svid.key'), key.export({ type: 'pkcs8', format: 'pem' }))
      shown.push('--proxy-cert', 'svid.pem', '--proxy-key', 'svid.key')
    }
    // An SVID has no DNS name, so curl cannot check the name of the proxy; its root it does check.
    const proxy = [
      '--proxy',
      `https://127.0.0.1:${gate.port('mesh')}`,
      '--proxy-insecure',
      '--proxy-cacert',
      'root.pem',
    ]
    const argv = ['-sS', '-i', ...proxy, ...shown, '--cacert', 'leaf-ca.pem', `https://api.example:${upstream.port}/v1`]
    return execute('curl', argv, { cwd: gate.folder })
  }

  test('is known by it, and its request gets the credential', async () => {
    const { code, out } = await curl('researcher')
    expect(code).toBe(0)
    expect(out).toMatch(/\r\n\r\ncontacts$/)
    expect(seen.splice(0)).toEqual([`Bearer ${canary}`])
    const records = await gate.records(1)
    expect(records.at(-1)).toMatchObject({
      caller: { spiffe_id: 'spiffe://acme.example/researcher', proofs: ['x509-svid'] },
      decision: { verdict: 'allow', rule: 'researcher-reads' },
    })
  })

  test('as another workload gets nothing', async () => {
    const { code, out } = await curl('stranger')
    expect(code).toBe(56)
    expect(out).toMatch(/^HTTP\/1\.1 403 /)
    expect(seen).toEqual([])
    const records = await gate.records(2)
    expect(records.at(-1)).toMatchObject({
      kind: 'connection',
      caller: { spiffe_id: 'spiffe://acme.example/stranger' },
      refusal: { reason: 'no_rule' },
    })
  })

  test('without one is nobody', async () => {
    const { code, out } = await curl(undefined)
    expect(code).toBe(56)
    expect(out).toMatch(/^HTTP\/1\.1 403 /)
    expect(seen).toEqual([])
    const records = await gate.records(3)
    expect(records.at(-1)).toMatchObject({ kind: 'connection', refusal: { reason: 'svid_missing' } })
  })
})
