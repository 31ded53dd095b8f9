// A key in the query of the URL.
import { Refusal } from '../refusal.ts'
import type { Secret } from '../secret.ts'
import { agentCredential, type Fingerprint } from './agent-credentials.ts'
import type { Draft } from './draft.ts'
import { unwritable } from './field-value.ts'
import type { Writer } from './writer.ts'

/** @param key of unreserved characters */
export function query(key: string, fingerprint: Fingerprint): Writer {
  return {
    kind: 'query',
    write({ secret }, draft) {
      const mark = draft.path.indexOf('?')
      const path = mark === -1 ? draft.path : draft.path.slice(0, mark)
      const kept = mark === -1 ? [] : others(draft.path.slice(mark + 1), key, draft, fingerprint)
      draft.path = `${path}?${[...kept, `${key}=${writtenInQuery(secret)}`].join('&')}`
      return [secret]
    },
  }
}

/** The other parts of a query, as they were sent. */
function others(text: string, key: string, { findings }: Draft, fingerprint: Fingerprint): string[] {
  if (text === '') return []
  return text.split('&').filter((part) => {
    // Some servers end a part at a semicolon too, and would see a second key there.
    if (part.includes(';') && part.split(';').some((piece, at) => at > 0 && keyOf(piece) === key))
      throw new Refusal('placement_conflict', { detail: `${key} stands behind a semicolon in the query` })
    if (keyOf(part) !== key) return true
    const equals = part.indexOf('=')
    const value = equals === -1 ? '' : unescaped(part.slice(equals + 1))
    findings.push(agentCredential('agent_credential_removed', `query:${key}`, value, fingerprint))
    return false
  })
}

function keyOf(part: string): string {
  const equals = part.indexOf('=')
  return unescaped(equals === -1 ? part : part.slice(0, equals))
}

/** What a server reads (WHATWG URL, application/x-www-form-urlencoded). */
function unescaped(text: string): string {
  if (!text.includes('%') && !text.includes('+')) return text
  return Buffer.from(
    text
      .replaceAll('+', ' ')
      .replace(/%([0-9A-Fa-f]{2})/g, (_, digits: string) => String.fromCharCode(Number.parseInt(digits, 16))),
    'latin1',
  ).toString('utf8')
}

/** Everything but unreserved characters as percent escapes (RFC 3986 §2.3). */
export function writtenInQuery(secret: Secret): string {
  const value = secret.reveal()
  if (value === '' || /[\0-\x1f\x7f]/.test(value) || !value.isWellFormed()) throw unwritable(secret, 'a query')
  return encodeURIComponent(value).replace(/[!'()*]/g, (found) => `%${found.charCodeAt(0).toString(16).toUpperCase()}`)
}
