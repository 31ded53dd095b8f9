// The call that is made of a configuration when none is named.
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { firstCall } from '../../../cli/doctor/first-call.ts'
import { loadConfig } from '../../../proxy/config/load.ts'

let folder = ''
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'postern-first-call-'))
})
afterAll(() => rm(folder, { recursive: true }))

async function callOf(rules: string, uid?: number) {
  const file = join(folder, 'postern.yaml')
  await writeFile(
    file,
    `version: 1
trustDomain: acme.example
listen:
  - { name: pod, address: "127.0.0.1:15001", accept: redirected, callers: [kernel], uids: { 1000: spiffe://acme.example/one, 1001: spiffe://acme.example/two } }
destinations:
  wild: { hosts: ["*.wild.example"] }
  plain: { hosts: [plain.example], protocol: http, ports: [8080] }
  api: { hosts: [api.example] }
  raw: { hosts: [raw.example], protocol: opaque, ports: [22] }
credentials:
  key: { kind: env, variable: API_KEY, for: [api] }
rules:
${rules}
`,
  )
  return firstCall(await loadConfig(file, {}), uid)?.href
}
const one = 'agents: [spiffe://acme.example/one]'

describe('the first call', () => {
  it('is that of a rule with a credential, else of any', async () => {
    const rules = `  - { allow: { ${one}, to: plain, paths: [/a] } }
  - { allow: { ${one}, to: api, methods: [GET], paths: [/v1/**] }, use: key }`
    expect(await callOf(rules)).toBe('https://api.example/v1/postern-doctor')
    expect(await callOf(rules.split('\n')[0] ?? '')).toBe('http://plain.example:8080/a')
  })

  it('is one that this user may make', async () => {
    const rules = `  - { allow: { ${one}, to: plain } }
  - { allow: { agents: [spiffe://acme.example/*], to: api } }`
    expect(await callOf(rules, 1_000)).toBe('http://plain.example:8080/')
    expect(await callOf(rules, 1_001)).toBe('https://api.example/')
  })

  it.each([
    ['only writes', `  - { allow: { ${one}, to: api, methods: [POST] } }`],
    ['has a condition', `  - { allow: { ${one}, to: api }, when: chain.depth == 1 }`],
    ['is in shadow', `  - { allow: { ${one}, to: api }, mode: shadow }`],
    ['names no host in full', `  - { allow: { ${one}, to: wild } }`],
    ['is for what is no HTTP', `  - { allow: { ${one}, to: raw } }`],
    ['denies', '  - { deny: { to: api } }'],
  ])('is none of a rule that %s', async (_what, rules) => {
    expect(await callOf(rules)).toBeUndefined()
  })
})
