// The tables as text for the terminal and as Markdown for bench/RESULTS.md.
import type { Table } from './scenarios/scenario.ts'

/** Columns lined up, figures to the right. */
export function asText({ title, columns, rows, notes }: Table): string {
  const widths = columns.map((name, index) => Math.max(name.length, ...rows.map((row) => row[index]?.length ?? 0)))
  const line = (cells: readonly string[]): string =>
    cells
      .map((cell, index) => (index === 0 ? cell.padEnd(widths[0] ?? 0) : cell.padStart(widths[index] ?? 0)))
      .join('  ')
  return [title, line(columns), ...rows.map(line), ...notes.map((note) => `  ${note}`)].join('\n')
}

export function asMarkdown({ title, columns, rows, notes }: Table): string {
  const line = (cells: readonly string[]): string => `| ${cells.join(' | ')} |`
  return [
    `## ${title}`,
    '',
    line(columns),
    line(columns.map((_, index) => (index === 0 ? '---' : '---:'))),
    ...rows.map(line),
    ...notes.flatMap((note) => ['', note]),
  ].join('\n')
}

/** The whole of bench/RESULTS.md. */
export function resultsPage(date: string, machine: string, notes: readonly string[], tables: readonly Table[]): string {
  const intro = [
    '# Results',
    '',
    `Written by \`npm run bench\` on ${date}; ${machine}.`,
    ...notes.flatMap((note) => ['', note]),
    '',
    'Only ratios within one run mean something; machines differ. Each subject takes CONNECT, shows the agent a P-256 certificate over TLS 1.3, and speaks TLS 1.3 to the same upstream. `direct` has nothing in between, `byte pump` takes TLS off and on and reads nothing, `undici` is node:http in front of undici and nothing else, `http-proxy` is `proxy.web` behind node:https. `postern` has its whole pipeline on: caller attested by the kernel, 100 rules, credential injected, answers scanned for it, a record of each request in a file.',
  ]
  return `${[...intro, ...tables.flatMap((table) => ['', asMarkdown(table)])].join('\n')}\n`
}
