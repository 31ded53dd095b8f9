// docs/configuration.md and docs/postern.schema.json are in step with the code.
import { readFileSync } from 'node:fs'
import { expect, test } from 'vitest'
import { configurationPage, schemaFile } from '../../deploy/docs/configuration-page.ts'
import { configSchema } from '../../proxy/config/schema.ts'

const page = (name: string) => readFileSync(new URL(`../../docs/${name}`, import.meta.url), 'utf8')

test('docs/configuration.md is as `npm run docs` makes it', () => {
  expect(page('configuration.md')).toBe(configurationPage())
})

test('docs/postern.schema.json is as `npm run docs` makes it, and as `postern check --schema` prints it', () => {
  expect(page('postern.schema.json')).toBe(schemaFile())
})

test('every section is described', () => {
  for (const key of Object.keys(configSchema.shape)) {
    expect(page('configuration.md')).toMatch(new RegExp(`^(## ${key}|\\| \`${key}\` \\|.*)$`, 'm'))
  }
})
