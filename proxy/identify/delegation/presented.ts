// Which delegation a request presents: a handle in the proxy URL or in a field of its own, or a whole chain.
import type { Captured, Connection, HeaderList } from '../../exchange.ts'
import { Refusal } from '../../refusal.ts'
import type { Secret } from '../../secret.ts'

/** User name of a proxy URL whose password is a handle: `http://delegation:<handle>@127.0.0.1:15001`. */
export const DELEGATION_USER = 'delegation'

export interface Presented {
  readonly kind: 'handle' | 'chain'
  readonly value: string
}

/** Fields by which a request presents one, in lower case; they never leave. */
const fields: ReadonlyMap<string, Presented['kind']> = new Map([
  ['delegation-ref', 'handle'],
  ['delegation-chain', 'chain'],
])

/** What the proxy URL of a connection says. */
const inUrl = new WeakMap<Connection, Presented | undefined>()

/** @throws Refusal `chain_malformed` when there are two: rights of two chains are never added up */
export function presentedIn({ connection, headers }: Pick<Captured, 'connection' | 'headers'>): Presented | undefined {
  const field = inFields(headers)
  const url = ofConnection(connection)
  if (field === undefined) return url
  if (url !== undefined && (field.kind !== url.kind || field.value !== url.value)) throw two()
  return field
}

function inFields(headers: HeaderList): Presented | undefined {
  let found: Presented | undefined
  for (let at = 0; at < headers.length; at += 2) {
    const length = headers[at]?.length
    if (length !== 14 && length !== 16) continue
    const kind = fields.get(headers[at]?.toLowerCase() ?? '')
    if (kind === undefined) continue
    if (found !== undefined) throw two()
    found = { kind, value: headers[at + 1] ?? '' }
  }
  return found
}

function ofConnection(connection: Connection): Presented | undefined {
  if (connection.proxyAuthorization === undefined) return undefined
  if (inUrl.has(connection)) return inUrl.get(connection)
  const found = handleIn(connection.proxyAuthorization)
  inUrl.set(connection, found)
  return found
}

function handleIn(authorization: Secret): Presented | undefined {
  const basic = authorization.basic()
  if (basic?.username !== DELEGATION_USER) return undefined
  return { kind: 'handle', value: basic.password.judgedBy((value) => value) }
}

const two = () => new Refusal('chain_malformed', { detail: 'more than one delegation is presented' })
