// Which fields of an upstream's answer pass to the agent, read in one go from what undici found on the wire.
import type { HeaderList } from '../exchange.ts'
import { Refusal } from '../refusal.ts'

/** Name, value, name, value, …, as undici gives them. */
export type RawFields = readonly (Buffer | string)[]

type Kind = 'passes' | 'ends' | 'connection' | 'coding'

/**
 * Fields of an answer that end here (RFC 9110 §7.6.1), Alt-Svc, which would lead the agent past the proxy (RFC 7838), and
 * the one by which the proxy tells its own id of the request.
 */
const ending = [
  'Keep-Alive',
  'Proxy-Connection',
  'Proxy-Authenticate',
  'Proxy-Authentication-Info',
  'TE',
  'Trailer',
  'Upgrade',
  'Alt-Svc',
  'Postern-Request-Id',
]

/** Only so that the usual ones are known without a conversion to lower case. */
const usual = ['Cache-Control', 'Content-Length', 'Content-Type', 'Date', 'ETag', 'Server', 'Set-Cookie', 'Vary']

const kinds = new Map<string, Kind>()
const name = (kind: Kind, names: readonly string[]) => {
  for (const each of names) kinds.set(each, kind).set(each.toLowerCase(), kind)
}
name('ends', ending)
name('passes', usual)
name('connection', ['Connection'])
name('coding', ['Transfer-Encoding'])

/**
 * The fields that pass, in order and with their case.
 * @throws Refusal `upstream_protocol` for a Transfer-Encoding besides chunked: undici takes off `chunked` alone, and
 *   anything else would reach the agent as if it were the plain body (RFC 9112 §6.1)
 */
export function passingFields(raw: RawFields): HeaderList {
  const kept: string[] = []
  let connection: string | undefined
  let coded = false
  for (let at = 0; at < raw.length; at += 2) {
    const name = text(raw[at])
    switch (kinds.get(name) ?? kinds.get(name.toLowerCase())) {
      case 'ends':
        break
      case 'connection':
        connection = named(connection, text(raw[at + 1]))
        break
      case 'coding':
        if (
          coded ||
          text(raw[at + 1])
            .trim()
            .toLowerCase() !== 'chunked'
        )
          throw new Refusal('upstream_protocol', { detail: 'a Transfer-Encoding besides chunked' })
        coded = true
        break
      default:
        kept.push(name, text(raw[at + 1]))
    }
  }
  return connection === undefined ? kept : without(kept, connection)
}

/** Those of the answer to an upgrade, where Upgrade and Connection stay. */
export function passingUpgrade(raw: RawFields): HeaderList {
  const kept: string[] = []
  for (let at = 0; at < raw.length; at += 2) {
    const name = text(raw[at])
    const lower = name.toLowerCase()
    if (lower !== 'alt-svc' && lower !== 'postern-request-id') kept.push(name, text(raw[at + 1]))
  }
  return kept
}

/** What Connection names besides what is taken out anyway. */
function named(before: string | undefined, value: string): string | undefined {
  if (value === 'keep-alive' || value === 'close') return before
  return before === undefined ? value : `${before},${value}`
}

function without(fields: readonly string[], connection: string): HeaderList {
  const names = new Set(connection.split(',').map((name) => name.trim().toLowerCase()))
  return fields.filter((_, at) => !names.has(fields[at - (at % 2)]?.toLowerCase() ?? ''))
}

function text(field: Buffer | string | undefined): string {
  return typeof field === 'string' ? field : (field?.toString('latin1') ?? '')
}
