// Opaque stand-ins for credentials: what they are made of, and where they stand in a request.
import { createHmac } from 'node:crypto'
import type { Captured, Finding } from '../exchange.ts'
import { Refusal } from '../refusal.ts'
import type { Shape } from './shapes.ts'

/** In every stand-in, and in nothing else, so that one search finds any. */
const marker = 'pstrnStandIn'

/** The only place where a stand-in is worth anything. */
export type Surface = { readonly header: string } | { readonly query: string }

/** As in findings: `header:authorization`, `query:key`. */
export function surfaceName(surface: Surface): string {
  return 'header' in surface ? `header:${surface.header.toLowerCase()}` : `query:${surface.query}`
}

/**
 * The stand-in for a credential at one destination and one surface. The same as long as the key is, so that it stays
 * when the configuration is loaded again and when the credential behind it changes.
 *
 * @param key at least 32 random bytes
 */
export function standInFor(
  key: Uint8Array,
  credential: string,
  destination: string,
  surface: Surface,
  { prefix, length }: Shape,
): string {
  const bound = JSON.stringify([credential, destination, surfaceName(surface)])
  const digest = BigInt(`0x${createHmac('sha256', key).update(bound).digest('hex')}`).toString(36)
  return prefix + marker + digest.slice(-(length - marker.length))
}

/** Base64 of the marker, as it stands in any base64 text: at each of the three alignments, the characters at the edges left out. */
const markerInBase64 = [0, 1, 2].map((before) => {
  const text = Buffer.from('\0'.repeat(before) + marker).toString('base64')
  return text.slice(before === 0 ? 0 : before + 1, Math.floor(((before + marker.length) * 8) / 6))
})
/** No stand-in is shorter, so shorter texts need no search. */
const shortest = 36

/**
 * Where stand-ins are in the head of a request, each as in `Finding.where`, once for each occurrence; undefined when there
 * is none. Looks at path, query, and names and values of header fields; in base64 too, as Basic has it. Bodies are not
 * looked at: a stand-in is worth nothing to whoever reads it there.
 */
export function findStandIns({ target, headers }: Pick<Captured, 'target' | 'headers'>): readonly string[] | undefined {
  let found: string[] | undefined
  const add = (where: string, times: number) => {
    for (let time = 0; time < times; time++) found = [...(found ?? []), where]
  }
  if (target.path.length >= shortest) add('path', occurrences(withoutEscapes(target.path)))
  if (target.query.length >= shortest) {
    for (const part of target.query.slice(1).split('&')) {
      const equals = part.indexOf('=')
      add(`query:${equals === -1 ? '' : part.slice(0, equals)}`, occurrences(withoutEscapes(part)))
    }
  }
  for (let at = 0; at < headers.length; at++) {
    const text = headers[at] ?? ''
    if (text.length < shortest) continue
    const times = occurrences(text)
    if (times > 0) add(`header:${(headers[at - (at % 2)] ?? '').toLowerCase()}`, times)
  }
  return found
}

/**
 * For requests in which no stand-in has a place.
 * @throws Refusal `stand_in_misused`
 */
export function refuseStandIns(exchange: Pick<Captured, 'target' | 'headers'>): void {
  const places = findStandIns(exchange)
  if (places !== undefined) throw misused(places, 'it does not belong into this request')
}

export function misused(places: readonly string[], detail: string): Refusal {
  const findings = places.map((where): Finding => ({ kind: 'stand_in_misused', where, note: detail }))
  return new Refusal('stand_in_misused', { detail: `${places.join(', ')}: ${detail}`, findings })
}

/** Whether a text is, or has in it, a stand-in: worth nothing to whoever reads it. */
export const holdsStandIn = (text: string): boolean => occurrences(text) > 0

function occurrences(text: string): number {
  let count = 0
  for (let at = text.indexOf(marker); at !== -1; at = text.indexOf(marker, at + marker.length)) count++
  for (const encoded of markerInBase64) if (text.includes(encoded)) count++
  return count
}

function withoutEscapes(text: string): string {
  if (!text.includes('%')) return text
  return text.replace(/%([0-9A-Fa-f]{2})/g, (_, digits: string) => String.fromCharCode(Number.parseInt(digits, 16)))
}
