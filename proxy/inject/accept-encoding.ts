// Keeps of an Accept-Encoding what the scanner of answers can read.

const readable = new Set(['gzip', 'x-gzip', 'deflate', 'br', 'zstd', 'identity'])
const mostKnown = 256
const known = new Map<string, string>()

/**
 * The field's value with nothing in it that the proxy could not look into; `*` counts as such. A client sends the same
 * value again and again, so answers are remembered.
 *
 * @returns `identity` when nothing is left
 */
export function readableEncodings(value: string): string {
  const present = known.get(value)
  if (present !== undefined) return present
  const kept = value
    .split(',')
    .map((item) => item.trim())
    .filter((item) => readable.has((item.split(';')[0] ?? '').trim().toLowerCase()))
  const result = kept.length === 0 ? 'identity' : kept.join(', ')
  if (known.size < mostKnown) known.set(value, result)
  return result
}
