// docs/kubernetes.md says what the injector does.
import { readFileSync } from 'node:fs'
import { describe, expect, it } from 'vitest'
import { injectorMetrics } from '../../../deploy/injector/metrics.ts'
import { known, prefix, skipReasons } from '../../../deploy/injector/options.ts'
import { refusalReasons } from '../../../deploy/injector/refusal.ts'
import { largestReview, mostHeld } from '../../../deploy/injector/server.ts'
import { injectorSettingsSchema } from '../../../deploy/injector/settings.ts'

const page = readFileSync(new URL('../../../docs/kubernetes.md', import.meta.url), 'utf8')
const rows = page.split('\n').filter((line) => line.startsWith('| '))
const named = (pattern: RegExp) => new Set(rows.flatMap((row) => [...row.matchAll(pattern)].map(([, name]) => name)))

describe('docs/kubernetes.md', () => {
  it('names every reason of refusal, and no other', () => {
    const table = rows.slice(rows.indexOf('| reason | rewritten | when |') + 2)
    const cells = table
      .slice(
        0,
        table.findIndex((row) => row.startsWith('| limit')),
      )
      .map((row) => row.split('|')[1] ?? '')
    const told = cells.flatMap((cell) => [...cell.matchAll(/`([a-z_]+)`/g)].map(([, name]) => name))
    expect(told.sort()).toEqual(Object.keys(refusalReasons).sort())
  })

  it('names every key of a namespace and of a pod', () => {
    const keys = named(/`postern\.dev\/([a-z-]+)`/g)
    expect([...keys].sort()).toEqual([...new Set([...known.namespace, ...known.pod])].sort())
    expect(prefix).toBe('postern.dev/')
  })

  it('names every metric with its labels, and every reason to skip', () => {
    for (const { name, labels } of injectorMetrics().registry.describe())
      expect(page).toContain(`\`${name}${labels.length === 0 ? '' : `{${labels.join(', ')}}`}\``)
    for (const reason of skipReasons) expect(page).toContain(`\`${reason}\``)
  })

  it('names every setting', () => {
    const table = page.slice(page.indexOf('## Settings of the injector'), page.indexOf('## When a pod does not come'))
    const defaults = injectorSettingsSchema.parse({})
    const { certificate, resources, ports, proxy, token } = defaults
    const keys = [defaults, certificate, { cpuLimit: '', ...resources }, ports, proxy, token].flatMap(Object.keys)
    expect(keys.filter((key) => !new RegExp(`\\b${key}\\b`).test(table))).toEqual([])
  })

  it('says the numbers of the code', () => {
    const { ports, trustDirectory, proxy, metrics } = injectorSettingsSchema.parse({})
    expect(page).toContain(`| Bytes of a review | ${largestReview.toLocaleString('en')} |`)
    expect(page).toContain(`| Bytes of all reviews at once | ${mostHeld.toLocaleString('en')} |`)
    for (const text of [
      `127.0.0.1:${ports.explicit}`,
      `0.0.0.0:${ports.metrics}`,
      trustDirectory,
      metrics,
      String(proxy.uid),
    ])
      expect(page).toContain(text)
  })
})
