// Scopes of a delegation: `crm.contacts.read`, `crm.*`, or an opaque name, and which of them covers which.

const segment = '[a-z][a-z0-9_-]*'
const literal = new RegExp(`^${segment}(?:\\.${segment})+$`)
const wildcard = new RegExp(`^${segment}(?:\\.${segment})*\\.\\*$`)
/** A scope-token of RFC 6749 §3.3, without `*`, which is left to wildcards. */
const opaque = /^[\x21\x23-\x29\x2b-\x5b\x5d-\x7e]+$/
const longest = 256

/** Whether it is a scope at all. The patterns have no `m` flag: a newline at the end is no end. */
export function isScope(text: string): boolean {
  return text.length <= longest && (opaque.test(text) || wildcard.test(text))
}

/**
 * Whether who holds one scope may do what the other names. A wildcard covers what lies below it, and narrower
 * wildcards; neither its own stem (`crm`) nor an opaque name that merely begins alike (`crm.Read`).
 */
export function covers(held: string, wanted: string): boolean {
  if (held === wanted) return true
  if (!held.endsWith('.*') || !wanted.startsWith(held.slice(0, -1))) return false
  return wildcard.test(held) && (literal.test(wanted) || wildcard.test(wanted))
}

/** Whether one of those held covers it. */
export function isCovered(wanted: string, held: readonly string[]): boolean {
  for (const scope of held) if (covers(scope, wanted)) return true
  return false
}

/** The widest scopes that both lists cover; may be empty. */
export function meetScopes(one: readonly string[], other: readonly string[]): readonly string[] {
  const both = [...one.filter((scope) => isCovered(scope, other)), ...other.filter((scope) => isCovered(scope, one))]
  return [...new Set(both)]
}
