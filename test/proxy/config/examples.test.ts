// The examples load, warn of nothing, and say to their cases what the cases expect.
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { describe, expect, it } from 'vitest'
import { parse } from 'yaml'
import { readers } from '../../../cli/policy/common.ts'
import { caseFileSchema, runCase } from '../../../policy/case.ts'
import { compile } from '../../../policy/compile.ts'
import { readConfig } from '../../../proxy/config/load.ts'
import { warningsOf } from '../../../proxy/config/warnings.ts'
import { makeAuthority } from '../../support/pki.ts'
import { folderWith } from './folder.ts'

const examples = fileURLToPath(new URL('../../../deploy/examples/', import.meta.url))
const names = readdirSync(examples, { withFileTypes: true }).flatMap((entry) =>
  entry.isDirectory() ? [entry.name] : [],
)
const read = (name: string, file: string) => readFileSync(join(examples, name, file), 'utf8')

const casesOf = (name: string) => caseFileSchema.parse(parse(read(name, 'postern.cases.yaml'))).cases

/** What stands beside the configuration where it is used. */
function filesFor(text: string): Record<string, string> {
  const secrets = [...text.matchAll(/(?:\$\{file:|path: )([\w./-]+)/g)].map(([, path = '']) => [path, 'a secret'])
  const authorities = [...text.matchAll(/[\w./-]+-ca\.pem/g)].map(([path]) => [path, makeAuthority().pem])
  return { ...Object.fromEntries([...secrets, ...authorities]), 'postern.yaml': text }
}

const environment = { OPENAI_API_KEY: 'a secret', GITHUB_TOKEN: 'a secret' }
const load = (name: string) =>
  readConfig(join(folderWith(filesFor(read(name, 'postern.yaml'))), 'postern.yaml'), environment)

it('there are some, and each is in the list', () => {
  expect(names.length).toBeGreaterThanOrEqual(3)
  for (const name of names)
    expect(readFileSync(join(examples, 'README.md'), 'utf8')).toContain(`(${name}/postern.yaml)`)
})

describe.each(names)('%s', (name) => {
  it('loads, and leaves nothing worth a second look', async () => {
    const { config, source } = await load(name)
    expect(config.rules.length).toBeGreaterThan(0)
    expect(source.problems(warningsOf(config, environment))).toEqual([])
  })

  it('says to its cases what they expect', async () => {
    const { config } = await load(name)
    const policy = compile({ rules: config.rules, destinations: Object.values(config.destinations) })
    expect(
      casesOf(name).flatMap((each) => runCase(policy, each, readers).map((difference) => [each.name, difference])),
    ).toEqual([])
  })

  it('has a case for each rule that has an effect on requests', async () => {
    const { config } = await load(name)
    const used = new Set(casesOf(name).map(({ expect: { rule } }) => rule))
    const tunnels = (to: string) => config.destinations[to]?.protocol === 'opaque'
    const shown = config.rules.filter(({ mode, allow }) => mode !== 'shadow' && ![allow?.to ?? []].flat().some(tunnels))
    expect(shown.map((rule) => rule.name).filter((rule) => !used.has(rule))).toEqual([])
  })
})
