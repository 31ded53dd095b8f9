// docs/limits.md is made from the code, and what its rows name is there.
import { readFileSync } from 'node:fs'
import { expect, it } from 'vitest'
import { limitsPage, sections } from '../../deploy/docs/limits-page.ts'
import { posternMetrics } from '../../proxy/record/metrics.ts'
import { reasons } from '../../proxy/refusal.ts'

const root = new URL('../../', import.meta.url)
const page = readFileSync(new URL('docs/limits.md', root), 'utf8')
const rows = sections.flatMap((section) => section.rows)
const metrics = new Set(
  posternMetrics({ version: '', node: '' })
    .registry.describe()
    .map(({ name }) => name),
)

it('docs/limits.md is what npm run docs makes of the code', () => {
  expect(page).toBe(limitsPage())
})

it('no limit stands there twice', () => {
  const names = rows.map(({ limit }) => limit)
  expect(names.filter((name, at) => names.indexOf(name) !== at)).toEqual([])
})

it.each(rows)('"$limit" names a metric, reasons and a test that there are', ({ how, metric, test }) => {
  if (metric !== undefined) expect(metrics).toContain(metric)
  for (const [, reason = '', status] of how.matchAll(/`([a-z]+_[a-z_]+)`(?: \((\d+)\))?/g)) {
    const row = Object.entries(reasons).find(([name]) => name === reason)?.[1]
    expect(row, reason).toBeDefined()
    if (status !== undefined) expect([reason, row?.status]).toEqual([reason, Number(status)])
  }
  expect(readFileSync(new URL(test[0], root), 'utf8')).toContain(test[1])
})
