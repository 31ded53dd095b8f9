// Planner and researcher of the demo, one program: `fetch` as it comes. What it does, it is told on its standard input.
// It knows of Postern only that a part of one's right is handed on by starting the other through `postern delegate`.
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { createInterface } from 'node:readline'
import type { TeamReport } from './team-reports.ts'

const [, worker = '', name, ...handOn] = process.argv
const who = name === 'researcher' ? name : 'planner'
const crm = process.env.CRM_URL ?? ''
let researcher: ChildProcess | undefined

function tell(report: TeamReport): void {
  console.log(JSON.stringify(report))
}

async function call(path: string, init: RequestInit = {}): Promise<void> {
  try {
    const answer = await fetch(`${crm}${path}`, { ...init, signal: AbortSignal.timeout(10_000) })
    tell({ did: 'fetch', who, status: answer.status, body: await answer.text() })
  } catch (error) {
    tell({ did: 'fetch', who, body: '', failed: String(error) })
  }
}

/** Server-sent events, until they end. */
async function follow(): Promise<void> {
  try {
    const answer = await fetch(`${crm}/v1/changes`)
    for await (const chunk of answer.body?.pipeThrough(new TextDecoderStream()) ?? [])
      for (const [, event = ''] of chunk.matchAll(/^data: (.*)$/gm)) tell({ did: 'hear', who, event })
    tell({ did: 'end', who, at: Date.now() })
  } catch (error) {
    tell({ did: 'end', who, at: Date.now(), failed: String(error) })
  }
}

/** Starts the researcher with a part of what we hold ourselves. */
async function start(): Promise<void> {
  const [node = '', ...rest] = handOn
  researcher = spawn(node, [...rest, process.execPath, ...process.execArgv, worker, 'researcher'], {
    stdio: ['pipe', 'inherit', 'inherit'],
  })
}

async function lookAround(): Promise<void> {
  const variables = Object.entries(process.env).map(([variable, value = '']) => [variable, value] as const)
  tell({ did: 'look-around', who, variables: Object.fromEntries(variables) })
}

const steps: Readonly<Record<string, () => Promise<void>>> = {
  'look-around': lookAround,
  contacts: () => call('/v1/contacts'),
  add: () => call('/v1/contacts', { method: 'POST', body: '{"name":"Edsger Dijkstra"}' }),
  follow,
  start,
}

for await (const line of createInterface({ input: process.stdin })) {
  const [, forWhom, step = line] = /^(researcher) (.*)$/.exec(line) ?? []
  // What is under way goes on beside what comes next.
  if (forWhom === undefined) void steps[step]?.()
  else researcher?.stdin?.write(`${step}\n`)
}
if (researcher !== undefined && researcher.exitCode === null) {
  researcher.stdin?.end()
  await once(researcher, 'exit')
}
process.exit(researcher?.exitCode ?? 0)
