// Asks the agent's door of a proxy: POST and DELETE of /v1/delegations at postern.internal.
import { Agent, type IncomingMessage, type RequestOptions, request } from 'node:http'
import { text } from 'node:stream/consumers'
import * as z from 'zod'
import { CommandError, exit } from '../exit.ts'
import type { Asked } from './proxy.ts'

/** Milliseconds without a byte after which the proxy counts as gone. */
const patience = 30_000

const delegated = z.looseObject({
  jti: z.string(),
  txn: z.string(),
  holder: z.string(),
  bound_to: z.string(),
  handle: z.string(),
  scopes: z.array(z.string()),
  depth: z.number(),
  expires_at: z.string(),
})

export type Delegated = z.infer<typeof delegated>

const problem = z.looseObject({
  title: z.string(),
  reason: z.string().optional(),
  next: z.string().optional(),
  request_id: z.string().optional(),
})

/** @throws CommandError with what the door says, and what to do next */
export async function askForDelegation(asked: Asked, wanted: object): Promise<Delegated> {
  const { status, body } = await ask(asked, 'POST', '/v1/delegations', JSON.stringify(wanted))
  const answer = readJson(body)
  if (status !== 201) throw refused(status, answer)
  const made = delegated.safeParse(answer)
  if (made.success) return made.data
  throw new CommandError(exit.unavailable, 'What answers as the proxy is none of ours: the answer is no delegation.')
}

/** Whatever becomes of it: it ends by itself soon, and with its process. */
export async function giveBack(asked: Asked, jti: string): Promise<void> {
  await ask(asked, 'DELETE', `/v1/delegations/${encodeURIComponent(jti)}`, '').catch(() => {})
}

function refused(status: number, answer: unknown): CommandError {
  const code = status >= 500 ? exit.unavailable : exit.refused
  const told = problem.safeParse(answer)
  if (!told.success) return new CommandError(code, `The proxy answered ${status}, and not in words of ours.`)
  const { title, reason = String(status), next, request_id: id } = told.data
  const quoted = id === undefined ? '' : `\nRequest ${id}; postern why ${id.slice(-8)} tells its operator more.`
  return new CommandError(code, `${title} (${reason})${next === undefined ? '' : `\n${next}`}${quoted}`)
}

async function ask(asked: Asked, method: string, path: string, body: string) {
  const headers = {
    host: 'postern.internal',
    ...(body === '' ? {} : { 'content-type': 'application/json', 'content-length': Buffer.byteLength(body) }),
    ...proof(asked),
  }
  const options: RequestOptions = {
    ...placeOf(asked),
    method,
    path: `http://postern.internal${path}`,
    headers,
    // An agent of its own: Node's usual one would go through the proxy of the environment to the proxy.
    agent: new Agent({ keepAlive: false }),
    timeout: patience,
  }
  const answer = await new Promise<IncomingMessage>((resolve, reject) => {
    const asking = request(options, resolve)
    asking.on('timeout', () => asking.destroy(new Error('no answer in time')))
    asking.on('error', (error) =>
      reject(new CommandError(exit.unavailable, `The proxy cannot be asked: ${error.message}.`)),
    )
    asking.end(body)
  })
  return { status: answer.statusCode ?? 0, body: await text(answer) }
}

function placeOf(asked: Asked): RequestOptions {
  if (asked.kind === 'unix') return { socketPath: asked.path }
  const { hostname, port } = asked.url
  return { host: hostname.replace(/^\[|\]$/g, ''), port: port === '' ? 80 : Number(port) }
}

/** Basic (RFC 7617), as every client makes it of a proxy URL. */
function proof(asked: Asked): Record<string, string> {
  if (asked.kind === 'unix' || (asked.url.username === '' && asked.url.password === '')) return {}
  const { username, password } = asked.url
  const pair = `${decodeURIComponent(username)}:${decodeURIComponent(password)}`
  return { 'proxy-authorization': `Basic ${Buffer.from(pair).toString('base64')}` }
}

function readJson(body: string): unknown {
  try {
    return JSON.parse(body)
  } catch {
    return undefined
  }
}
