// Configuration files: whatever stands there, it becomes a configuration whose rules compile, or errors that say where, and show no secret.
import { mkdtempSync, rmSync } from 'node:fs'
import { writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { parse, stringify } from 'yaml'
import { compile } from '../../../policy/compile.ts'
import { createEngine } from '../../../policy/rule-engine.ts'
import { configFrom, readConfig } from '../../../proxy/config/load.ts'
import { ConfigError } from '../../../proxy/config/problems.ts'
import { type Config, configForm } from '../../../proxy/config/schema.ts'
import { type Form, isRecord } from '../../../proxy/config/shape.ts'
import { question } from '../../policy/support.ts'
import { good, goodEnvironment } from '../../proxy/config/good.ts'
import { copyOf, mutatedValue } from '../json.ts'
import type { Random } from '../random.ts'
import { must, mustEqual, type Target, utf8 } from '../target.ts'

const folder = mkdtempSync(join(tmpdir(), 'postern-fuzz-config-'))
process.on('exit', () => rmSync(folder, { recursive: true, force: true }))
const file = join(folder, 'postern.yaml')

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

const whole: Readonly<Record<string, unknown>> = parse(good)
const always = ['version', 'trustDomain']
const sectionsOf = (value: object) => Object.keys(value).filter((key) => !always.includes(key))

/** The same configuration with these sections alone: small ones are read many times as fast. */
const only = (sections: readonly string[]): string =>
  stringify(Object.fromEntries(Object.entries(whole).filter(([key]) => [...always, ...sections].includes(key))))

export const target: Target = {
  name: 'config',
  longest: 4_096,
  seeds: [
    good,
    ...sectionsOf(whole).map((section) => only([section])),
    only(['destinations', 'credentials']),
    only(['destinations', 'credentials', 'rules']),
  ],
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
    try {
      const { rules, destinations } = await configOf(input)
      const engine = createEngine(compile({ rules, destinations: Object.values(destinations) }))
      const decided = engine.decide(question())
      must(decided.verdict === 'allow' || decided.verdict === 'deny', 'no decision')
    } catch (error) {
      if (!(error instanceof ConfigError)) throw error
      checkError(error, utf8(input))
    }
  },
}

/** One of so many is read from a file as well; the same comes of all others, without the disk. */
const fromFile = 64
let turn = 0

async function configOf(input: Uint8Array): Promise<Config> {
  if (turn++ % fromFile === 0) {
    await writeFile(file, input)
    return (await readConfig(file, goodEnvironment)).config
  }
  return (await configFrom(input, file, goodEnvironment)).config
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

/** What the inputs that are kept say, each read once. */
const said = new WeakMap<Uint8Array, { readonly value: unknown }>()

function saidIn(input: Uint8Array): unknown {
  const known = said.get(input)
  if (known !== undefined) return copyOf(known.value)
  let value: unknown
  try {
    value = parse(utf8(input), { maxAliasCount: 50, logLevel: 'silent' })
  } catch {
    value = parse(good)
  }
  said.set(input, { value })
  return copyOf(value)
}

function mutate(input: Uint8Array, random: Random): Uint8Array {
  const read = saidIn(input)
  if (isRecord(read) && random.oneIn(2))
    for (const section of sectionsOf(read)) if (random.oneIn(2)) Reflect.deleteProperty(read, section)
  const value = mutatedValue(read, random, { names, values })
  return Buffer.from(stringify(value, { aliasDuplicateObjects: random.oneIn(8) }))
}
