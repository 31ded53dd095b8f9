import { spawn } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'

const researcher = 'spiffe://acme.example/researcher'

const configuration = `version: 1
trustDomain: acme.example
destinations:
  crm: { hosts: [api.crm.example] }
  db: { hosts: [db.example], protocol: opaque, ports: [5432] }
rules:
  - name: nobody-deletes
    deny: { methods: [DELETE] }
  - name: read
    allow: { agents: [${researcher}], to: crm, methods: [GET], paths: [/v1/**] }
    when: principal.kind == "user"
    limit: 2/minute per agent
  - name: database
    allow: { agents: [${researcher}], to: db }
  - name: proven
    allow: { agents: [${researcher}], to: crm, paths: [/proven] }
    proof: [jwt-svid, kernel]
`

const goodCases = `# Cases of the test.
cases:
  - name: the researcher reads
    ask: { agent: ${researcher}, principal: user:alice, url: https://api.crm.example/v1/contacts/7 }
    expect: { verdict: allow, rule: read }
  - name: twice, not three times
    ask: { agent: ${researcher}, principal: user:alice, url: https://api.crm.example/v1/contacts/7 }
    repeat: { times: 3 }
    expect: { verdict: deny, reason: limit_exceeded }
`

const failingCases = `cases:
  - name: the researcher reads
    ask: { agent: ${researcher}, principal: user:alice, url: https://api.crm.example/v1/contacts/7 }
    expect: { verdict: allow }

  - name: the researcher deletes
    ask: { agent: ${researcher}, method: DELETE, url: https://api.crm.example/v1/contacts/7 }
    expect: { verdict: allow, rule: read }
`

let folder: string
const file = (name: string) => join(folder, name)

beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'postern-policy-'))
  const write = (name: string, content: string) => writeFileSync(file(name), content)
  write('postern.yaml', configuration)
  write('broken.yaml', configuration.replace('when: principal.kind', 'when: principle.kind'))
  write('good.cases.yaml', goodCases)
  write('failing.yaml', failingCases)
  write('no-yaml.yaml', 'cases: [}\n')
  write('wrong.yaml', goodCases.replace('verdict: allow', 'verdict: maybe').replace('repeat:', 'repaet:'))
  write('no-agent.yaml', goodCases.replace(researcher, 'researcher'))
  write('dots.yaml', goodCases.replace('/v1/contacts/7', '/v1/../contacts'))
})

afterAll(() => rmSync(folder, { recursive: true, force: true }))

async function policy(...args: string[]) {
  const command = new URL('../../cli/policy.ts', import.meta.url).href
  const program = `const { policyCommand } = await import(${JSON.stringify(command)})
    await policyCommand().parseAsync(process.argv.slice(1), { from: 'user' })`
  const child = spawn(process.execPath, ['--input-type=module', '--eval', program, '--', ...args], {
    stdio: ['ignore', 'pipe', 'pipe'],
    cwd: folder,
    env: { PATH: process.env.PATH, HOME: folder },
  })
  const ended = new Promise<number | null>((resolve) => child.once('exit', resolve))
  const [code, out, err] = await Promise.all([ended, text(child.stdout), text(child.stderr)])
  return { code, out, err }
}

describe('postern policy test', () => {
  it('ends with 65 and names line and column where a file is no YAML', async () => {
    const { code, err } = await policy('test', 'no-yaml.yaml')
    expect(err).toMatch(/^no-yaml\.yaml:1:9: /)
    expect(code).toBe(65)
  })

  it('ends with 65 and names every mistake where a file holds no cases', async () => {
    const { code, err } = await policy('test', 'wrong.yaml')
    expect(err).toMatch(/^wrong\.yaml:5:\d+: cases: 0: expect: verdict: .*allow.*deny/m)
    expect(err).toMatch(/^wrong\.yaml:6:\d+: cases: 1: .*repaet/m)
    expect(code).toBe(65)
  })

  it.each([
    ['no-agent.yaml', 'the researcher reads: not a SPIFFE ID'],
    ['dots.yaml', 'the researcher reads: ambiguous_target: a dot segment'],
  ])('ends with 65 where a case asks what cannot be asked: %s', async (name, message) => {
    const { code, err } = await policy('test', name)
    expect(err).toContain(`${name}:3: ${message}`)
    expect(code).toBe(65)
  })

  it('ends with 66 where a file is missing', async () => {
    expect(await policy('test', 'missing.yaml')).toMatchObject({
      code: 66,
      err: expect.stringContaining('missing.yaml'),
    })
    expect(await policy('test', '-c', 'missing.yaml')).toMatchObject({
      code: 66,
      err: expect.stringContaining('missing.yaml'),
    })
  })

  it('ends with 78 and says what is wrong where the configuration is', async () => {
    const { code, err } = await policy('test', '-c', 'broken.yaml')
    expect(err).toContain('broken.yaml:11:')
    expect(err).toContain('unknown variable: principle at character 1')
    expect(code).toBe(78)
  })

  it('ends with 1 where a case fails, and tells where it stands and how the answer differs', async () => {
    const { code, out } = await policy('test', 'failing.yaml', 'good.cases.yaml')
    expect(out.split('\n')).toEqual([
      'pass  the researcher reads',
      'FAIL  the researcher deletes  (failing.yaml:6)',
      '      verdict: expected allow, found deny',
      '      rule: expected read, found nobody-deletes',
      'pass  the researcher reads',
      'pass  twice, not three times',
      '3 passed, 1 failed',
      '',
    ])
    expect(code).toBe(1)
  })

  it('prints the same for a program', async () => {
    const { code, out } = await policy('test', 'failing.yaml', '--json')
    expect(JSON.parse(out)).toEqual({
      version: expect.stringMatching(/^[0-9a-f]{12}$/),
      passed: 1,
      failed: 1,
      cases: [
        { file: 'failing.yaml', line: 2, name: 'the researcher reads', passed: true, differences: [] },
        {
          file: 'failing.yaml',
          line: 6,
          name: 'the researcher deletes',
          passed: false,
          differences: [
            { key: 'verdict', expected: 'allow', actual: 'deny' },
            { key: 'rule', expected: 'read', actual: 'nobody-deletes' },
          ],
        },
      ],
    })
    expect(code).toBe(1)
  })

  it('runs the cases beside the configuration where no file is named', async () => {
    expect(await policy('test')).toEqual({
      code: 0,
      out: 'pass  the researcher reads\npass  twice, not three times\n2 passed, 0 failed\n',
      err: '',
    })
  })

  it('shows examples and exit codes when asked for help', async () => {
    const { code, out } = await policy('test', '--help')
    expect(out).toContain('postern policy test -c postern.yaml crm.cases.yaml')
    expect(out).toContain('Exit codes: 0, 1 a case failed')
    expect(code).toBe(0)
  })
})

describe('postern policy explain', () => {
  it.each<[string, string[], string]>([
    ['no agent', ['https://api.crm.example/'], "required option '--agent <id>' not specified"],
    ['an agent that is no SPIFFE ID', ['--agent', 'x', 'https://api.crm.example/'], 'not a SPIFFE ID'],
    ['a URL without scheme', ['--agent', researcher, 'api.crm.example'], 'bad_request'],
    [
      'a URL that the proxy would refuse',
      ['--agent', researcher, 'https://api.crm.example/a/../b'],
      'ambiguous_target: a dot segment',
    ],
    [
      'a header without name',
      ['--agent', researcher, '-H', ': x', 'https://api.crm.example/'],
      "Write it as 'Name: value'.",
    ],
    ['an unknown proof', ['--agent', researcher, '--proof', 'password', 'https://api.crm.example/'], 'proofs.0'],
    [
      'a principal without kind',
      ['--agent', researcher, '--principal', 'alice', 'https://api.crm.example/'],
      'principal: user: or agent:',
    ],
  ])('ends with 64 for %s', async (_what, args, message) => {
    const { code, err } = await policy('explain', ...args)
    expect(err).toContain(message)
    expect(code).toBe(64)
  })

  it('shows each rule with what it expected and what it found', async () => {
    const { code, out } = await policy('explain', '--agent', researcher, 'https://api.crm.example/v1/contacts?x=1')
    expect(out).toContain(
      'DENY    no_rule\nwhy     nearest rule read: when: expected principal.kind == "user", found false',
    )
    expect(out).toContain('nobody-deletes: deny, not matched\n  - methods  expected DELETE  found GET\n')
    expect(out).toMatch(/\n {2}\+ paths {4}expected \/v1\/\*\* +found \/v1\/contacts\n/)
    expect(code).toBe(0)
  })

  it('takes principal, proofs, chain, headers and time, and prints for a program', async () => {
    const { code, out } = await policy(
      ...['explain', '--json', '--agent', researcher, '--principal', 'user:alice', '--proof', 'kernel'],
      ...['--hop', 'spiffe://acme.example/planner=a,b', '--hop', `${researcher}=a`, '-H', 'X-A: 1', '-H', 'X-A: 2'],
      ...['--at', '2026-01-01T12:00:00Z', 'https://api.crm.example/v1/contacts'],
    )
    const explanation = JSON.parse(out)
    expect(explanation.verdict).toMatchObject({ verdict: 'allow', rule: 'read', destination: 'crm' })
    expect(explanation.rules.map(({ rule }: { rule: string }) => rule)).toEqual([
      'nobody-deletes',
      'read',
      'database',
      'proven',
    ])
    expect(code).toBe(0)
  })

  it('says which proofs a rule demands and which are given', async () => {
    const ask = (...proofs: string[]) =>
      policy(
        ...['explain', '--agent', researcher, ...proofs.flatMap((proof) => ['--proof', proof])],
        'https://api.crm.example/proven',
      )
    const { out } = await ask('kernel')
    expect(out).toContain('nearest rule proven: proof: expected jwt-svid and kernel, found kernel')
    expect(out).toMatch(/\n {2}- proof +expected jwt-svid and kernel +found kernel\n/)
    expect((await ask('jwt-svid', 'kernel')).out).toMatch(/^ALLOW {3}proven\n/)
  })

  it('explains a tunnel to an opaque destination', async () => {
    const { out } = await policy('explain', '--agent', researcher, '--method', 'CONNECT', 'https://db.example:5432/')
    expect(out).toMatch(/^ALLOW {3}database\nto {6}db, no credential\n/)
  })
})
