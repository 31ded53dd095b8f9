// Configuration files: whatever stands there, it becomes a configuration whose rules compile, or errors that say where, and show no secret.
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { parse, stringify } from 'yaml'
import { compile } from '../../../policy/compile.ts'
import { createEngine } from '../../../policy/rule-engine.ts'
import { loadConfig } from '../../../proxy/config/load.ts'
import { ConfigError } from '../../../proxy/config/problems.ts'
import { configForm } from '../../../proxy/config/schema.ts'
import type { Form } from '../../../proxy/config/shape.ts'
import { question } from '../../policy/support.ts'
import { mutatedValue } from '../json.ts'
import type { Random } from '../random.ts'
import { must, mustEqual, type Target, utf8 } from '../target.ts'

const folder = mkdtempSync(join(tmpdir(), 'postern-fuzz-config-'))
process.on('exit', () => rmSync(folder, { recursive: true, force: true }))
const file = join(folder, 'postern.yaml')
const environment = { CRM_SECRET: 'canary-0000-secret' }

const good = `version: 1
trustDomain: acme.example
identity: { source: embedded }
listen:
  - { name: agents, address: 127.0.0.1:15001, accept: http-proxy, callers: [kernel], agent: spiffe://acme.example/local }
  - { name: mesh, address: 0.0.0.0:15002, accept: https-proxy, callers: [x509-svid] }
admin: { socket: run/admin.sock, metrics: 127.0.0.1:15020 }
destinations:
  crm: { hosts: [api.crm.example] }
  search: { hosts: ["*.search.example"], addresses: [10.20.0.0/16] }
credentials:
  crm-token:
    kind: oauth2-client-credentials
    tokenEndpoint: https://login.acme.example/token
    client: { id: agents, auth: client_secret_basic, secret: "\${env:CRM_SECRET}" }
    scopes: [contacts.read]
    for: [crm]
rules:
  - name: nobody-deletes
    deny: { methods: [DELETE] }
  - name: researcher-reads-contacts
    allow: { agents: [spiffe://acme.example/ns/agents/sa/researcher], to: crm, methods: [GET], paths: [/v1/contacts/**] }
    when: chain.depth <= 2 && principal.kind == "user"
    use: crm-token
    inject: bearer
    limit: 60/minute per agent
records: { to: ./records.jsonl }
`

const names = [...new Set(keysIn(configForm()))]

function keysIn(form: Form): string[] {
  const { properties = {}, additionalProperties, items, anyOf = [], oneOf = [], prefixItems = [] } = form
  const inner = [...Object.values(properties), additionalProperties, items, ...anyOf, ...oneOf, ...prefixItems]
  return [...Object.keys(properties), ...inner.flatMap((each) => (typeof each === 'object' ? keysIn(each) : []))]
}

const values = [
  ...[
    '${env:CRM_SECRET}',
    '${file:x}',
    '${env:',
    'crm',
    'search',
    'crm-token',
    '*.a',
    '*',
    '10s',
    '5/minute per agent',
    'https-proxy',
    'redirected',
  ],
  ...[
    'bearer',
    '/v1/**',
    'spiffe://acme.example/a/*',
    'deny',
    'opaque',
    'https://a.example/b',
    '127.0.0.0/8',
    '::/0',
    'GET',
    'principal.kind == "user"',
  ],
  ...[
    'request.path.startsWith("/a")',
    'env',
    'file',
    'exec',
    'oauth2-token-exchange',
    'kernel',
    'x509-svid',
    'delegation',
    'shadow',
    0,
    1,
    65_536,
    true,
    [],
    {},
  ],
  ...[
    { header: 'X-Api-Key' },
    { query: 'key' },
    { cookie: 'sid' },
    { hosts: ['a.example'], protocol: 'http' },
    { kind: 'env', variable: 'A', for: ['crm'] },
  ],
  ...[
    { name: 'r', allow: { to: 'search' } },
    { name: 'b', per: 'agent', requests: 5 },
  ],
]

export const target: Target = {
  name: 'config',
  longest: 4_096,
  seeds: [good],
  dictionary: [
    ...[
      '\n',
      ': ',
      '- ',
      '[',
      ']',
      '{',
      '}',
      '"',
      "'",
      '*a',
      '&a ',
      '<<: *a',
      '!!int ',
      '---\n',
      '...\n',
      '|\n',
      '>-\n',
      '# ',
      '%YAML 1.1\n',
      '\t',
      '\ufeff',
    ],
    ...['${env:CRM_SECRET}', '${file:', ...names.map((name) => `${name}: `)],
  ],
  mutate,
  async run(input) {
    writeFileSync(file, input)
    try {
      const { rules, destinations } = await loadConfig(file, environment)
      const engine = createEngine(compile({ rules, destinations: Object.values(destinations) }))
      const decided = engine.decide(question())
      must(decided.verdict === 'allow' || decided.verdict === 'deny', 'no decision')
    } catch (error) {
      if (!(error instanceof ConfigError)) throw error
      checkError(error, utf8(input))
    }
  },
}

function checkError(error: ConfigError, text: string): void {
  must(error.problems.length > 0, 'an error without a problem')
  const lines = text.split('\n')
  for (const { line, column, message } of error.problems) {
    must(message !== '', 'a problem without a message')
    must(line >= 1 && line <= lines.length, `line ${line} of ${lines.length}`)
    must(column >= 1 && column <= (lines[line - 1] ?? '').length + 1, `column ${column} of line ${line}`)
  }
  mustEqual(`${error.render()} ${error.message}`.includes('canary'), text.includes('canary'), 'an error shows a secret')
}

function mutate(input: Uint8Array, random: Random): Uint8Array {
  let value: unknown
  try {
    value = parse(utf8(input), { maxAliasCount: 50, logLevel: 'silent' })
  } catch {
    value = parse(good)
  }
  return Buffer.from(
    stringify(mutatedValue(value, random, { names, values }), { aliasDuplicateObjects: random.oneIn(8) }),
  )
}
