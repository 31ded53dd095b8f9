// The parameters of a query, decoded as a form (WHATWG URL §5.1), each key with all its values.

export type Query = ReadonlyMap<string, readonly string[]>

/** A query with more pairs than this counts as unreadable. */
export const maxPairs = 1_000

/**
 * @param text '' or '?…'
 * @returns undefined when it cannot be read: invalid percent-encoding, bytes that are not UTF-8, too many pairs
 */
export function parseQuery(text: string): Query | undefined {
  const query = new Map<string, string[]>()
  if (text.length < 2) return query
  const pairs = text.slice(1).split('&', maxPairs + 1)
  if (pairs.length > maxPairs) return undefined
  for (const pair of pairs) {
    if (pair === '') continue
    const equals = pair.indexOf('=')
    const key = decode(equals === -1 ? pair : pair.slice(0, equals))
    const value = equals === -1 ? '' : decode(pair.slice(equals + 1))
    if (key === undefined || value === undefined) return undefined
    const values = query.get(key)
    if (values === undefined) query.set(key, [value])
    else values.push(value)
  }
  return query
}

function decode(text: string): string | undefined {
  const spaced = text.includes('+') ? text.replaceAll('+', ' ') : text
  if (!spaced.includes('%')) return spaced
  try {
    return decodeURIComponent(spaced)
  } catch {
    return undefined
  }
}
