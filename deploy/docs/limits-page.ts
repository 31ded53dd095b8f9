// docs/limits.md, from what each room says of its limits.
import { certificateBounds } from '../../certs/bounds.ts'
import { policyBounds } from '../../policy/bounds.ts'
import { pipelineBounds } from '../../proxy/bounds.ts'
import { captureBounds } from '../../proxy/capture/bounds.ts'
import { configurationBounds } from '../../proxy/config/bounds.ts'
import { dnsBounds } from '../../proxy/dns/bounds.ts'
import { upstreamBounds } from '../../proxy/forward/bounds.ts'
import { identityBounds } from '../../proxy/identify/bounds.ts'
import { credentialBounds } from '../../proxy/obtain/bounds.ts'
import { recordBounds } from '../../proxy/record/bounds.ts'
import { echoBounds } from '../../proxy/redact/bounds.ts'
import { shortestSecret } from '../../proxy/redact/encodings.ts'
import { stopBounds } from '../../proxy/stop/bounds.ts'

export interface Bound {
  readonly limit: string
  readonly value: number | string
  readonly unit: 'bytes' | 'count' | 'ms' | 'text'
  readonly does: 'reject' | 'close' | 'shed'
  /** What that means there; a reason of refusal with its status in round brackets. */
  readonly how: string
  /** Where an operator sees that it is reached, or that it comes near; undefined for a command, which says so itself. */
  readonly metric: string | undefined
  /** A test that reaches it: its file, and words that stand in it for that case. */
  readonly test: readonly [file: string, title: string]
}

interface Section {
  readonly title: string
  readonly rows: readonly Bound[]
  readonly note?: string
}

export const sections: readonly Section[] = [
  {
    title: 'From agents',
    rows: captureBounds,
    note: 'Health and admin have servers of their own: 8,192 for a head, 5 s for a request, 32 connections to the admin socket; beyond, close. They share the thread, which is why nobody has more than a turn of it.',
  },
  {
    title: 'Of one caller',
    rows: pipelineBounds,
    note: 'How often a caller may ask is for [`limit`](policy.md) of a rule to say; without one there is no rate, and the turns see to it that others do not wait.',
  },
  { title: 'DNS', rows: dnsBounds },
  { title: "Callers' certificates, bundles and tokens", rows: [...certificateBounds, ...identityBounds] },
  { title: 'Policy', rows: policyBounds },
  {
    title: 'Credentials',
    rows: credentialBounds,
    note: 'Leases kept for each credential: 4,096; the one longest unused goes first and is obtained again when it is needed. A source has 30 s, a token server `timeout` of its credential. How often a source that fails is asked: [credentials](credentials.md#how-long-and-what-happens-when).',
  },
  { title: 'Upstreams', rows: upstreamBounds },
  {
    title: 'Looking for secrets in answers',
    rows: echoBounds,
    note: `Only in answers to requests that carried a credential. Secrets shorter than ${shortestSecret} characters are not looked for: they would be found in any text.`,
  },
  { title: 'Records and metrics', rows: recordBounds },
  { title: 'Stops', rows: stopBounds },
  { title: 'Configuration', rows: configurationBounds },
]

const opening = `# Limits

What is too large, too slow or too much, and what happens then. Made by \`npm run docs\` from what stands beside the code; do not edit. Sizes are bytes unless said otherwise.

- **reject**: the request is refused with the reason named; the connection goes on where HTTP allows it.
- **close**: the connection or the answer is ended; where there is somebody to tell, with the reason named.
- **shed**: the surplus alone is dropped or put off; the rest goes on.

Each names the [metric](operations.md) that shows it and the test that reaches it. \`npm run test:abuse\` attacks a running proxy, and measures what another caller feels of it.
`

export function limitsPage(): string {
  const tables = sections.map(({ title, rows, note }) => {
    const lines = rows.map(({ limit, value, unit, does, how, metric, test }) => {
      const happens = how === '' ? does : `${does}, ${how}`
      const shown = metric === undefined ? 'the command itself' : `\`${metric}\``
      return `| ${limit} | ${number(value, unit)} | ${happens} | ${shown} | \`${test[0]}\` |`
    })
    const table = `| limit | number | what happens | seen in | test |\n| --- | --- | --- | --- | --- |\n${lines.join('\n')}\n`
    return `\n## ${title}\n\n${table}${note === undefined ? '' : `\n${note}\n`}`
  })
  return opening + tables.join('')
}

function number(value: number | string, unit: Bound['unit']): string {
  if (typeof value === 'string') return value
  if (unit !== 'ms') return value.toLocaleString('en')
  return value < 1_000 ? `${value} ms` : `${value / 1_000} s`
}
