// postern policy explain: what each rule makes of one request.
import { Command, InvalidArgumentError } from 'commander'
import { type Ask, askSchema, questionOf } from '../../policy/ask.ts'
import type { Question } from '../../policy/engine.ts'
import { explain, renderExplanation } from '../../policy/explain.ts'
import { proofKinds } from '../../policy/settings.ts'
import { harmless } from '../../proxy/record/terminal-text.ts'
import { configPath } from '../config-path.ts'
import { CommandError, endWith, exit, usageExit } from '../exit.ts'
import { configOption, exitCodes, loadPolicy, messageOf, readers } from './common.ts'

const explainExamples = `
Examples:
  postern policy explain -c postern.yaml --agent spiffe://acme.example/researcher https://api.crm.example/v1/contacts/7
  postern policy explain -c postern.yaml --agent spiffe://acme.example/researcher --method POST \\
      --principal user:alice@acme.example --header 'Content-Type: application/json' \\
      --hop spiffe://acme.example/planner=crm.read,crm.write --hop spiffe://acme.example/researcher=crm.read \\
      https://api.crm.example/v1/contacts
  postern policy explain -c postern.yaml --agent spiffe://acme.example/reporter --method CONNECT https://db.example:5432/

Limits count as not yet used. ${exitCodes}`

interface ExplainOptions {
  readonly config?: string
  readonly agent: string
  readonly method: string
  readonly header: readonly string[]
  readonly principal?: string
  readonly proof: readonly string[]
  readonly hop: readonly string[]
  readonly at?: string
  readonly json?: true
}

export function explainCommand(): Command {
  return new Command('explain')
    .description('Show for one request what each rule made of it: every condition, expected and found.')
    .argument('<url>', 'where the request goes')
    .requiredOption('--agent <id>', 'SPIFFE ID of the caller')
    .option(...configOption)
    .option('-X, --method <method>', 'method', 'GET')
    .option('-H, --header <field>', "field, as 'Name: value'; can be repeated", collectField, [])
    .option('--principal <principal>', 'user: or agent: and an id (default: the caller itself)')
    .option('--proof <kind>', `what proves the caller: ${proofKinds.join(', ')}; can be repeated`, collect, [])
    .option('--hop <agent=scopes>', 'a hop of the chain, first agent first; can be repeated', collect, [])
    .option('--at <time>', 'when it is asked, such as 2026-01-01T12:00:00Z (default: now)')
    .option('--json', 'the explanation for a program')
    .addHelpText('after', explainExamples)
    .exitOverride(usageExit)
    .action((url: string, options: ExplainOptions) => endWith(() => explainOne(url, options)))
}

async function explainOne(url: string, options: ExplainOptions): Promise<void> {
  const ask = askOf(url, options)
  const policy = await loadPolicy(configPath(options.config, process.env))
  const explanation = explain(policy, ask)
  const text = () => renderExplanation(explanation).split('\n').map(harmless).join('\n')
  console.log(options.json === true ? JSON.stringify(explanation) : text())
}

function askOf(url: string, { agent, method, header, principal, proof, hop, at }: ExplainOptions) {
  const ask = askSchema.safeParse({
    agent,
    method,
    url,
    headers: headersOf(header),
    principal,
    proofs: proof,
    chain: hop.map(hopOf),
    at,
  })
  if (!ask.success) {
    const wrong = ask.error.issues.map(({ path, message }) => `${path.join('.')}: ${message}`)
    throw new CommandError(exit.usage, wrong.join('\n'))
  }
  return asQuestion(ask.data)
}

function asQuestion(ask: Ask): Question {
  try {
    return questionOf(ask, readers, Date.now())
  } catch (error) {
    throw new CommandError(exit.usage, messageOf(error))
  }
}

function headersOf(fields: readonly string[]): Ask['headers'] {
  const headers = new Map<string, string[]>()
  for (const field of fields) {
    const colon = field.indexOf(':')
    const name = field.slice(0, colon)
    headers.set(name, [...(headers.get(name) ?? []), field.slice(colon + 1).trim()])
  }
  return Object.fromEntries(headers)
}

function hopOf(text: string): Ask['chain'][number] {
  const equals = text.indexOf('=')
  if (equals === -1) return { agent: text, scopes: [] }
  return {
    agent: text.slice(0, equals),
    scopes: text
      .slice(equals + 1)
      .split(',')
      .filter((scope) => scope !== ''),
  }
}

const collect = (text: string, before: readonly string[]) => [...before, text]

function collectField(text: string, before: readonly string[]): readonly string[] {
  if (text.indexOf(':') < 1) throw new InvalidArgumentError("Write it as 'Name: value'.")
  return collect(text, before)
}
