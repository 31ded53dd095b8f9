// The table of metrics in docs/operations.md, from the registry.
import { posternMetrics } from '../../proxy/record/metrics.ts'
import { processMetrics } from '../../proxy/record/process-metrics.ts'

export const metricsMark = '<!-- metrics: made by npm run docs -->'

/** The page with the table after the mark replaced. */
export function withMetrics(page: string): string {
  const { registry } = posternMetrics({ version: '', node: '' })
  processMetrics(registry)()
  const rows = registry.describe().map(({ name, labels, type, help }) => {
    return `| \`${name}${labels.length === 0 ? '' : `{${labels.join(', ')}}`}\` | ${type} | ${help} |`
  })
  const table = `| metric | type | meaning |\n| --- | --- | --- |\n${rows.join('\n')}\n`
  const [before = '', after = ''] = page.split(`${metricsMark}\n`)
  return `${before}${metricsMark}\n\n${table}${after.replace(/^\n(\|.*\n)*/, '')}`
}
