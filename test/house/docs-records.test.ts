// docs/records.md and docs/operations.md are in step with the code.
import { readFileSync } from 'node:fs'
import { expect, test } from 'vitest'
import { withMetrics } from '../../deploy/docs/metrics-table.ts'
import { recordFields, recordsPage } from '../../deploy/docs/records-page.ts'

const page = (name: string) => readFileSync(new URL(`../../docs/${name}`, import.meta.url), 'utf8')

test('docs/records.md is as `npm run docs` makes it', () => {
  expect(page('records.md')).toBe(recordsPage())
})

test('the metrics of docs/operations.md are as `npm run docs` makes them', () => {
  expect(page('operations.md')).toBe(withMetrics(page('operations.md')))
})

test('every field has a stable name and one description', () => {
  for (const { name, description } of recordFields()) {
    expect(name).toMatch(/^[a-z_]+((\[\])?\.[a-z_]+)*$/)
    expect(description, name).toMatch(/^[A-Z`].*\.$/)
  }
})
