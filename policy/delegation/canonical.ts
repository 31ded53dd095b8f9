// The canonical form of JSON (JCS, RFC 8785): the same value has the same bytes, whoever writes it.
import type { JsonObject, JsonValue } from './strict-json.ts'

/**
 * Strings as ECMAScript writes them (RFC 8785 §3.2.2.2), numbers likewise (§3.2.2.3), members sorted by UTF-16 code
 * units (§3.2.3).
 * @throws RangeError of what JSON cannot hold: numbers that are not finite, lone surrogates
 */
export function canonical(value: JsonValue): string {
  if (typeof value === 'string') return quoted(value)
  if (typeof value === 'number') {
    if (!Number.isFinite(value)) throw new RangeError('a number is not finite')
    return String(value)
  }
  if (value === null || typeof value === 'boolean') return String(value)
  if (isList(value)) return `[${value.map(canonical).join(',')}]`
  const members = Object.keys(value)
    .sort()
    .map((name) => `${quoted(name)}:${canonicalMember(value, name)}`)
  return `{${members.join(',')}}`
}

function canonicalMember(object: JsonObject, name: string): string {
  const value = object[name]
  if (value === undefined) throw new RangeError('a member has no value')
  return canonical(value)
}

function quoted(text: string): string {
  if (!text.isWellFormed()) throw new RangeError('a string has a lone surrogate')
  return JSON.stringify(text)
}

function isList(value: readonly JsonValue[] | JsonObject): value is readonly JsonValue[] {
  return Array.isArray(value)
}
