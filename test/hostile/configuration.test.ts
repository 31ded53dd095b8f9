// Configurations that are wrong, or name what is not there: run and exec start nothing, end with 78, and say where.
import { existsSync } from 'node:fs'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { type Workplace, workplace } from '../support/postern.ts'

const good = `version: 1
trustDomain: acme.example
exec: { agent: spiffe://acme.example/agent }
records: { to: ./records.jsonl }
destinations:
  crm: { hosts: [api.crm.example] }
  other: { hosts: [api.other.example] }
credentials:
  key: { kind: env, variable: CRM_KEY, for: [crm] }
rules:
  - name: agent-reads
    allow: { agents: [spiffe://acme.example/agent], to: crm, methods: [GET] }
    use: key
`

let place: Workplace
beforeAll(async () => {
  place = await workplace({})
})
afterAll(() => place[Symbol.asyncDispose]())

const wrong: readonly (readonly [what: string, text: string, told: readonly string[]])[] = [
  ['no YAML', good.replace('    use: key', '  use: key'), ['postern.yaml:13:']],
  ['a tab for an indent', good.replace('    use: key', '\tuse: key'), ['postern.yaml:13:']],
  ['binary garbage', '\u0000\u0001\u0002', ['postern.yaml:1:']],
  ['nothing in it', '', ['postern.yaml:1:']],
  ['an unknown key', good.replace('methods:', 'verbs:'), ['postern.yaml:12:62:', 'unknown key']],
  ['a key that stands twice', `${good}version: 1\n`, ['postern.yaml:14:']],
  [
    'a key almost right',
    good.replace('hosts: [api.crm', 'host: [api.crm'),
    ['postern.yaml:6:10:', 'did you mean `hosts`?'],
  ],
  ['a reference to nowhere', good.replace('use: key', 'use: kee'), ['postern.yaml:13:10:', 'did you mean `key`?']],
  [
    'a credential used for a destination that it is not for',
    good.replace('to: crm', 'to: other'),
    ['postern.yaml:12:57:'],
  ],
  ['an expression that does not type', `${good}    when: chain.depth == "deep"\n`, ['postern.yaml:14:11:']],
  [
    'two mistakes',
    good.replace('GET', 'get').replace('version: 1', 'version: 2'),
    ['postern.yaml:1:10:', 'postern.yaml:12:'],
  ],
]

describe.each([
  ['run', ['run', '-c'], [], wrong],
  // The same reader, so a few are enough.
  ['exec', ['exec', '-c'], ['--', 'touch', 'started'], wrong.slice(3, 7)],
] as const)('postern %s', (_command, before, after, cases) => {
  it('with what is wrong ends with 78, and says in which line', { timeout: 60_000 }, async () => {
    const runs = cases.map(async ([what, text, told], number) => {
      const name = `${number}-postern.yaml`
      await writeFile(join(place.path, name), text)
      const run = place.start([...before, name, ...after], { CRM_KEY: 'canary-1d9c3e' })
      expect([what, await run.ended]).toEqual([what, 78])
      for (const each of told) expect(`${what}\n${run.errors}`).toContain(each)
      expect(run.errors).not.toMatch(/\n {4}at /)
      expect(run.errors).not.toContain('canary')
      expect(run.out).toBe('')
    })
    await Promise.all(runs)
    expect(existsSync(join(place.path, 'started'))).toBe(false)
    expect(existsSync(join(place.path, 'records.jsonl'))).toBe(false)
  })

  it.each([
    ['a configuration that is not there', 'missing.yaml', /missing\.yaml/],
    ['a certification authority that is not there', 'no-ca.yaml', /no-ca\.yaml:6:.*missing\.pem/],
  ])('with %s ends with 78', async (_what, name, told) => {
    const without = good.replace('[api.crm.example]', '[api.crm.example], ca: [missing.pem]')
    await writeFile(join(place.path, 'no-ca.yaml'), without)
    const run = place.start([...before, name, ...after])
    expect(await run.ended).toBe(78)
    expect(run.errors).toMatch(told)
    expect(existsSync(join(place.path, 'started'))).toBe(false)
  })
})
