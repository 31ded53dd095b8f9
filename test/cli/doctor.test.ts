// The command line of postern doctor, and what it sees below postern exec; the wall itself is tried in test/pod.
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { checks } from '../../cli/doctor/checks.ts'
import { type Workplace, workplace } from '../support/postern.ts'
import { type HttpsUpstream, httpsUpstream } from '../support/upstream.ts'

const program = fileURLToPath(new URL('../../cli/postern.js', import.meta.url))
/** Root may look everywhere, and is nobody's agent. */
const user = process.getuid?.() === 0 ? { uid: 65_534, gid: 65_534 } : undefined
const canary = 'canary-doctor-7f3a91c2'

describe('postern doctor', () => {
  let place: Workplace
  let api: HttpsUpstream
  beforeAll(async () => {
    api = await httpsUpstream(['api.example.test'], (request, response) => {
      response.statusCode = request.headers.authorization === `Bearer ${canary}` ? 200 : 401
      response.end('contacts')
    })
    const configuration = `version: 1
trustDomain: acme.example
exec: { agent: spiffe://acme.example/agent }
resolve: { api.example.test: [127.0.0.1] }
records: { to: ./records.jsonl }
destinations:
  api: { hosts: [api.example.test], ports: [${api.port}], addresses: [127.0.0.0/8], ca: [ca.pem] }
credentials:
  key: { kind: env, variable: API_KEY, for: [api] }
rules:
  - name: agent-reads
    allow: { agents: [spiffe://acme.example/agent], to: api, methods: [GET], paths: [/v1/**] }
    use: key
`
    place = await workplace({ 'postern.yaml': configuration, 'ca.pem': api.ca }, user)
  })
  afterAll(async () => {
    await place[Symbol.asyncDispose]()
    await api.close()
  })

  async function ran(args: readonly string[], environment?: Readonly<Record<string, string>>) {
    const run = place.start(args, environment)
    return { code: await run.ended, out: run.out, errors: run.errors }
  }
  const doctor = (...args: readonly string[]) => ran(['doctor', ...args])
  const lines = async (of: Promise<{ out: string; errors: string }>) => {
    const { out, errors } = await of
    expect(out, errors).toMatch(/^\{/)
    const told: { name: string; state: string; saw: string; todo?: string }[] = JSON.parse(out).checks
    return Object.fromEntries(told.map((line) => [line.name, line]))
  }

  it.each([
    [['--only', 'everything'], 'There is no check everything'],
    [['--url', 'https://ada:pw@api.example.test/'], 'without a user and a password'],
    [['--metrics', '15920'], 'Not a host and a port'],
  ])('%j is wrong usage', async (args, said) => {
    const { code, errors } = await doctor(...args)
    expect(errors).toContain(said)
    expect(code).toBe(64)
  })

  it('says what there is to be looked at, to people and to programs', async () => {
    const { out, code } = await doctor('--list')
    expect(
      out
        .trim()
        .split('\n')
        .map((line) => line.split(' ')[0]),
    ).toEqual(checks.map(({ name }) => name))
    expect(JSON.parse((await doctor('--list', '--json', '--only', 'svid')).out)).toEqual([
      { name: 'svid', proves: expect.any(String) },
    ])
    expect(code).toBe(0)
  })

  it('says that it cannot be somebody else, or read what was named', async () => {
    expect(await doctor('--as', '4711')).toMatchObject({
      code: 77,
      errors: expect.stringContaining('--as 4711 takes the right'),
    })
    expect(await doctor('-c', 'missing.yaml')).toMatchObject({
      code: expect.toSatisfy((code) => [66, 78].includes(code)),
    })
    expect(await doctor('--records', 'missing.jsonl')).toMatchObject({ code: 66 })
    await writeFile(join(place.path, 'broken.yaml'), 'version: 2\n')
    expect(await doctor('-c', 'broken.yaml')).toMatchObject({ code: 78 })
  })

  it('says that nothing could be looked at where neither rules nor variables lead to a proxy', async () => {
    const { code, out, errors } = await doctor(
      '-c',
      'postern.yaml',
      '--only',
      'proxy,escape-tcp,call,secrets-environment',
    )
    expect(out).toContain('0 green, 0 red, 4 skipped.')
    expect(errors).toContain('Nothing could be looked at from here.')
    expect(code).toBe(69)
  })

  describe('below postern exec', () => {
    const below = (more: readonly string[], environment: Readonly<Record<string, string>> = {}) =>
      ran(['exec', '--', process.execPath, program, 'doctor', '--json', ...more], { API_KEY: canary, ...environment })
    const call = () => ['--url', `https://api.example.test:${api.port}/v1/contacts`]

    it('is green where the command is trusted with the way, and with nothing else', async () => {
      const only = 'proxy,trust-variables,runtime-node,call,call-recorded,call-injected'
      const found = await lines(below([...call(), '--only', only]))
      for (const name of only.split(',')) expect(found[name]).toMatchObject({ name, state: 'green' })
      expect(found.proxy?.saw).toContain('spiffe://acme.example/agent')
      expect(JSON.stringify(found)).not.toContain(canary)
    })

    it('is red where a rule does not allow the call, and where there is a secret', async () => {
      await writeFile(join(place.path, 'notes'), `glpat-${'x7Kq2mN9pR4sT6vW8yZ1'}\n`)
      const denied = `https://api.example.test:${api.port}/v2/contacts`
      const only = 'proxy,call,secrets-environment,secrets-files'
      const more = ['--url', denied, '--files', join(place.path, 'notes'), '--only', only]
      const found = await lines(below(more, { MODEL_KEY: `sk-${'x7Kq2mN9pR4sT6vW8yZ1aB3cD5'}` }))
      expect(found.proxy?.state).toBe('green')
      expect(found.call).toMatchObject({ state: 'red', saw: expect.stringContaining('no_rule') })
      expect(found['secrets-environment']?.saw).toMatch(/^MODEL_KEY \(key of OpenAI or Anthropic\)/)
      expect(found['secrets-files']?.saw).toContain('notes:1 (GitLab token)')
      expect(JSON.stringify(found)).not.toContain('x7Kq2mN9')
    })
  })
})
