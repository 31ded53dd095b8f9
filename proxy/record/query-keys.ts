// The names of a query's parameters, and nothing of their values.

export const mostKeys = 32
const longestKey = 64

/**
 * A part is named only when a value stands behind its name: `?token` and `?dG9rZW4=` may be a value themselves, and become `*`.
 * @param query '' or '?…', as sent
 * @returns undefined without a query; at most 32 names, as sent, a long one cut
 */
export function queryKeys(query: string): string[] | undefined {
  if (query.length < 2) return undefined
  const keys: string[] = []
  for (let from = 1; from <= query.length && keys.length < mostKeys; ) {
    const next = query.indexOf('&', from)
    const to = next === -1 ? query.length : next
    if (to > from) keys.push(keyOf(query, from, to))
    from = to + 1
  }
  return keys
}

function keyOf(query: string, from: number, to: number): string {
  const equals = query.indexOf('=', from)
  if (equals === -1 || equals >= to) return '*'
  for (let at = equals + 1; at < to; at += 1) {
    if (query.charCodeAt(at) !== 0x3d) return query.slice(from, Math.min(equals, from + longestKey))
  }
  return '*'
}
