// Globs over a value: `*` stands for any run of characters, also none. Linear in the value, whatever the glob.

/** Tells whether a value fits. */
export type Glob = (value: string) => boolean

/** @param text such as `v2.*`, `*-internal` or `*` */
export function compileGlob(text: string): Glob {
  return globOfParts(text.split('*'))
}

/** @param parts the literal text between the asterisks; one part alone means equality */
export function globOfParts(parts: readonly string[]): Glob {
  const first = parts[0] ?? ''
  const last = parts.at(-1) ?? ''
  if (parts.length === 1) return (value) => value === first
  const middle = parts.slice(1, -1).filter((part) => part !== '')
  if (middle.length === 0) {
    if (first === '' && last === '') return () => true
    const shortest = first.length + last.length
    return (value) => value.length >= shortest && value.startsWith(first) && value.endsWith(last)
  }
  // The leftmost place is always good enough for a middle part: what follows only needs room, so nothing is tried twice.
  return (value) => {
    if (!value.startsWith(first) || !value.endsWith(last)) return false
    const end = value.length - last.length
    let at = first.length
    for (const part of middle) {
      const found = value.indexOf(part, at)
      if (found === -1) return false
      at = found + part.length
      if (at > end) return false
    }
    return at <= end
  }
}
