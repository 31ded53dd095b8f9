// docs/records.md, from the schema of a record.
import * as z from 'zod'
import { auditRecord } from '../../proxy/record/schema.ts'

/** What of JSON Schema the schema of records becomes. */
interface Node {
  readonly type?: string
  readonly description?: string
  readonly properties?: Readonly<Record<string, Node>>
  readonly required?: readonly string[]
  readonly items?: Node
  readonly enum?: readonly string[]
  readonly const?: unknown
}

export interface Field {
  readonly name: string
  readonly type: string
  readonly always: boolean
  readonly description: string | undefined
}

const opening = `# Records

Made from \`proxy/record/schema.ts\` by \`npm run docs\`; do not edit.

One line of JSON for each request, for each tunnel, and for each connection that ended before a request; written when it has ended, whatever the outcome. Where \`records.durability\` is \`intent\`, a line of kind \`intent\` comes before it. Handoffs, stops and checkpoints have lines of their own.

Each line ends with its number and the hash of the line before: the SHA-256 over the bytes as they stand in the file, without the line end, in base64url. \`postern audit verify\` finds what was altered, removed, moved or cut off ([how](operations.md#proof)).

Never in a record: values of the query, of headers, of cookies, of credentials, anything of a body. Fingerprints are keyed. The path is recorded as sent.

The fields and their order are stable within a version (\`v\`); new fields may be added within one. A field that has nothing to say is absent. For people there are \`postern logs\` and \`postern why\`; for programs, for example:

\`\`\`sh
jq -c 'select(.outcome == "refused") | [.time, .caller.spiffe_id, .destination.host, .refusal.reason]' records.jsonl
jq -r 'select(.credential.fingerprint == "3c0f5a7d9e1b2c4f") | .id' records.jsonl       # who used this secret
\`\`\`

| field | type | always | meaning |
| --- | --- | --- | --- |
`

export function recordsPage(): string {
  const rows = recordFields().map(({ name, type, always, description }) => {
    return `| \`${name}\` | ${type} | ${always ? 'yes' : ''} | ${description ?? ''} |`
  })
  return `${opening}${rows.join('\n')}\n`
}

/** Every field, a group before what is in it, in the order of the line. */
export function recordFields(): Field[] {
  const { properties = {}, required = [] }: Node = z.toJSONSchema(auditRecord, { io: 'output' }) as Node
  return fieldsOf(properties, required, '')
}

function fieldsOf(properties: Readonly<Record<string, Node>>, required: readonly string[], prefix: string): Field[] {
  return Object.entries(properties).flatMap(([key, node]) => {
    const name = `${prefix}${key}`
    const inner = node.type === 'array' ? node.items : node
    const { description } = node
    return [
      { name, type: typeOf(node), always: required.includes(key), description },
      ...fieldsOf(inner?.properties ?? {}, inner?.required ?? [], node.type === 'array' ? `${name}[].` : `${name}.`),
    ]
  })
}

function typeOf(node: Node): string {
  if (node.const !== undefined) return `\`${JSON.stringify(node.const)}\``
  // The closed list of reasons has a page of its own.
  if (node.enum !== undefined && node.enum.length > 10) return '[reason](reasons.md)'
  if (node.enum !== undefined) return node.enum.map((value) => `\`${value}\``).join(', ')
  if (node.type === 'array') return `list of ${node.items === undefined ? 'anything' : typeOf(node.items)}`
  return node.type ?? 'anything'
}
