// Asks the agent's door of a proxy, as an agent would: plain requests on its own connections.
import { type WireAnswer, WireClient } from './wire-client.ts'

export interface MadeDelegation {
  readonly handle: string
  readonly chain: string
  readonly jti: string
  readonly txn: string
  readonly scopes: readonly string[]
  readonly depth: number
}

export const doorUrl = 'http://postern.internal/v1'

/** How a request presents a handle in a field of its own. */
export const reference = (handle: string) => `Delegation-Ref: ${handle}`

/** One request on a connection of its own. @param fields further header lines */
export async function call(
  port: number,
  url: string,
  { method = 'GET', fields = [], body }: { method?: string; fields?: readonly string[]; body?: object | string } = {},
): Promise<WireAnswer> {
  await using connection = await WireClient.open({ host: '127.0.0.1', port })
  const text = typeof body === 'object' ? JSON.stringify(body) : (body ?? '')
  const described = text === '' ? [] : ['Content-Type: application/json', `Content-Length: ${Buffer.byteLength(text)}`]
  return await connection.request(
    [`${method} ${url} HTTP/1.1`, `Host: ${new URL(url).host}`, ...fields, ...described],
    text,
  )
}

/** @throws with the refusal when it is not made */
export async function delegated(port: number, wanted: object, fields: readonly string[] = []): Promise<MadeDelegation> {
  const answer = await call(port, `${doorUrl}/delegations`, { method: 'POST', fields, body: wanted })
  if (answer.status !== 201) throw new Error(answer.text)
  return JSON.parse(answer.text)
}

/** Of a refusal, as the agent is told it. */
export const reasonIn = (answer: WireAnswer): string => JSON.parse(answer.text).reason
