// What the chart takes from the schema of its values: values.schema.json, values.yaml, and the table of its README.
import { stringify } from 'yaml'
import { isObject } from '../injector/equal.ts'
import { chartSchema } from './values.ts'

/** What of JSON Schema the values are made of. */
interface Node {
  readonly description?: string
  readonly default?: unknown
  readonly enum?: readonly unknown[]
  readonly anyOf?: readonly Node[]
  readonly properties?: Readonly<Record<string, Node>>
}

const root = chartSchema() as Node

/** deploy/helm/postern/values.schema.json. */
export function valuesSchema(): string {
  // Lists of scalars on one line, as the formatter of this repository has them.
  const text = JSON.stringify(root, null, 2).replaceAll(/\[\n\s+([^[\]{}]+?)\n\s+\]/g, (_, items: string) => {
    return `[${items.replaceAll(/,\n\s+/g, ', ')}]`
  })
  return `${text}\n`
}

const opening = `# Values of the chart, each with its default. Made from deploy/helm/values.ts by \`npm run docs\`; do not edit.
# README.md has them as a table, and everything else that \`config\` may say.
`

/** deploy/helm/postern/values.yaml. */
export function valuesFile(): string {
  return `${opening}\n${linesOf(root).join('\n')}\n`
}

function linesOf(node: Node): string[] {
  return Object.entries(node.properties ?? {}).flatMap(([key, part]) => {
    const fallback = defaultOf(key, part, node)
    const comment = part.description === undefined ? [] : [`# ${part.description}`]
    // `config` names the few that differ from what the injector does untold, or that the templates read.
    if (own(node) !== undefined && own(node)?.[key] === undefined) return []
    if (isGroup(part)) return [...comment, `${key}:`, ...linesOf(part).map((line) => `  ${line}`)]
    if (fallback === undefined) return []
    return [
      ...comment,
      ...stringify({ [key]: fallback }, { lineWidth: 0 })
        .trimEnd()
        .split('\n'),
    ]
  })
}

/** What a group says of its parts goes before what they say themselves. */
const defaultOf = (key: string, part: Node, of: Node): unknown => own(of)?.[key] ?? part.default

function own({ default: fallback }: Node): Readonly<Record<string, unknown>> | undefined {
  return isObject(fallback) && Object.keys(fallback).length > 0 ? fallback : undefined
}

const isGroup = ({ properties = {} }: Node) => Object.keys(properties).length > 0

const begin = '<!-- values: made by npm run docs -->'
const end = '<!-- end of values -->'

/** The same README with the table of today. */
export function withValues(readme: string): string {
  const [before, rest] = [readme.indexOf(begin), readme.indexOf(end)]
  if (before < 0 || rest < 0) throw new Error('the README of the chart has no place for the table of values')
  const table = `| value | default | meaning |\n| --- | --- | --- |\n${rowsOf(root, '').join('\n')}\n`
  return `${readme.slice(0, before)}${begin}\n\n${table}\n${readme.slice(rest)}`
}

function rowsOf(node: Node, prefix: string): string[] {
  return Object.entries(node.properties ?? {}).flatMap(([key, part]) => {
    const fallback = isGroup(part) ? undefined : defaultOf(key, part, node)
    const shown = fallback === undefined ? '' : `\`${JSON.stringify(fallback)}\``
    const choices = part.enum === undefined ? '' : `One of ${part.enum.map((one) => `\`${one}\``).join(', ')}. `
    const meaning = `${choices}${part.description ?? ''}`.replaceAll('|', '\\|')
    // `spiffe`, which may be a group, or `false`.
    const group = [part, ...(part.anyOf ?? [])].find(isGroup)
    const below = group === undefined ? [] : rowsOf(group, `${prefix}${key}.`)
    return [`| \`${prefix}${key}\` | ${shown} | ${meaning} |`, ...below]
  })
}
