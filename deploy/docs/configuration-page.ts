// docs/configuration.md, from the schema of the configuration; credentials and rules have pages of their own.
import { jsonSchema } from '../../proxy/config/schema.ts'
import { sectionExamples } from './configuration-examples.ts'

/** What of JSON Schema the sections are made of. */
interface Node {
  readonly type?: string
  readonly description?: string
  readonly properties?: Readonly<Record<string, Node>>
  readonly required?: readonly string[]
  readonly items?: Node
  readonly additionalProperties?: Node | false
  readonly oneOf?: readonly Node[]
  readonly anyOf?: readonly Node[]
  readonly enum?: readonly string[]
  readonly const?: unknown
  readonly default?: unknown
  readonly format?: string
}

const opening = `# Configuration

Made from the schema by \`npm run docs\`; do not edit. The same for editors: [postern.schema.json](postern.schema.json).

One YAML file, read as a whole: \`postern check\` says what it means, or everything that is wrong with it, each with its line, what was expected, and the nearest valid name. A key that is not known is an error. Paths are relative to the folder of the file.

**Secrets** never stand in it. Where one is meant, write a reference: \`\${env:NAME}\` is a variable of the proxy, \`\${file:/path}\` a file. Anywhere else these are plain text.

**Reload**: \`postern run\` reads the file again when it changes, and on SIGHUP. What is wrong changes nothing and is told in log, metric and status. Requests under way end as they began; \`listen\`, \`identity\`, \`admin\` and \`records\` count from the next start.

A small one, whole; larger ones are in [deploy/examples](../deploy/examples/README.md):

\`\`\`yaml
version: 1
trustDomain: acme.example

destinations:
  crm: { hosts: [api.crm.example] }

credentials:
  crm-token: { kind: file, path: /run/secrets/crm-token, for: [crm] }

rules:
  - name: researcher-reads-contacts
    allow: { agents: [spiffe://acme.example/agents/researcher], to: crm, methods: [GET], paths: [/v1/contacts/**] }
    use: crm-token
\`\`\`
`

/** Sections that a page of their own describes. */
const elsewhere: Readonly<Record<string, string>> = {
  credentials: '[Credentials](credentials.md) has the kinds and their keys.',
  rules: '[Policy](policy.md) has the keys of a rule, [placements](placements.md) what `inject` may say.',
}

const root = jsonSchema() as Node

export function configurationPage(): string {
  const entries = Object.entries(root.properties ?? {})
  const scalars = entries.filter(([, node]) => node.type === 'string' || node.const !== undefined)
  const sections = entries.filter(([, node]) => node.type !== 'string' && node.const === undefined)
  return [
    opening,
    table(scalars.map(([name, node]) => row(name, node, root.required?.includes(name) === true))),
    ...sections.map(([name, node]) => section(name, node)),
  ].join('\n')
}

function section(name: string, node: Node): string {
  const text = elsewhere[name]
  const example = sectionExamples[name]
  const head = [
    `## ${name}\n\n${node.description ?? ''}\n`,
    ...(example === undefined ? [] : [`\`\`\`yaml\n${example}\`\`\`\n`]),
  ].join('\n')
  if (text !== undefined) return `${head}\n${text}\n`
  const forms = node.oneOf ?? inside(node).oneOf ?? [node]
  return [head, ...forms.map((form) => table(rowsOf(form, leading(node))))].join('\n')
}

/** How the keys of an entry begin: a list has entries without names, a map has some. */
function leading(node: Node): string {
  if (node.type === 'array') return ''
  return typeof node.additionalProperties === 'object' ? '*name*.' : ''
}

function rowsOf(node: Node, prefix: string): string[] {
  const inner = inside(node)
  const { properties, required = [] } = inner
  // `resolve`, whose keys are hosts.
  if (properties === undefined) return [`| *host* |  | ${kind(inner)} |`]
  return Object.entries(properties).flatMap(([key, below]) => {
    const own = row(`${prefix}${key}`, below, required.includes(key))
    return below.properties === undefined ? [own] : [own, ...rowsOf(below, `${prefix}${key}.`)]
  })
}

function inside(node: Node): Node {
  if (node.items !== undefined && node.properties === undefined) return node.items
  if (typeof node.additionalProperties === 'object' && node.properties === undefined) return node.additionalProperties
  return node
}

function row(name: string, node: Node, required: boolean): string {
  const [start = '', key = name] = name.startsWith('*name*.') ? ['*name*.', name.slice(7)] : ['', name]
  const fallback = node.properties === undefined ? shown(node.default) : ''
  const meaning = [kind(node), node.description ?? ''].filter((part) => part !== '').join(' ')
  return `| ${start}\`${key}\` | ${required && fallback === '' ? 'required' : fallback} | ${meaning.replaceAll('|', '\\|')} |`
}

function shown(value: unknown): string {
  if (value === undefined || (typeof value === 'object' && value !== null && Object.keys(value).length === 0)) return ''
  return `\`${typeof value === 'string' ? value : JSON.stringify(value)}\``
}

/** What may stand there, where the description alone does not tell. */
function kind(node: Node): string {
  const choices = node.enum ?? (node.type === 'array' ? node.items?.enum : undefined)
  const several = node.type === 'array'
  if (choices !== undefined)
    return `${several ? 'A list of' : 'One of'} ${choices.map((one) => `\`${one}\``).join(', ')}.`
  if (node.const !== undefined) return `\`${String(node.const)}\`.`
  if (node.format === 'secret-reference') return 'A reference to a secret.'
  if (node.format === 'path') return 'A path.'
  if (several) return 'A list.'
  if (typeof node.additionalProperties === 'object') return 'A map.'
  return ''
}

const table = (rows: readonly string[]) => `| key | default | meaning |\n| --- | --- | --- |\n${rows.join('\n')}\n`

/** docs/postern.schema.json. */
export function schemaFile(): string {
  return `${JSON.stringify(root, null, 2)}\n`
}
