// Tells names that carry something out from names that hosts have. Matters only below a `*.suffix`, where the caller makes names up.

/** Labels that a caller may put in front of the suffix. */
export const mostLabels = 4
/** Characters that it may put there, dots included. */
export const longestPrefix = 60
/** Characters of one label beyond which it must read like words. */
const longLabel = 24
/** Bits a character; base32 of random bytes has more than words do. */
const mostEntropy = 3.8
/** Share of digits; hex has more than words do. */
const mostDigits = 0.2
/** Names of one minute, below all suffixes together, that were not asked for in it before: even short ones carry something. */
export const mostNewNames = 60

const minute = 60_000

/** @param prefix what stands before the suffix, without the dot between */
export function looksLikeTunnel(prefix: string): boolean {
  if (prefix.length > longestPrefix) return true
  const labels = prefix.split('.')
  return labels.length > mostLabels || labels.some((label) => label.length > longLabel && looksEncoded(label))
}

function looksEncoded(label: string): boolean {
  return digits(label) / label.length > mostDigits || entropy(label) > mostEntropy
}

const digits = (label: string): number => label.replace(/\D/g, '').length

/** Of Shannon, in bits a character. */
function entropy(text: string): number {
  const counts = new Map<string, number>()
  for (const character of text) counts.set(character, (counts.get(character) ?? 0) + 1)
  let bits = 0
  for (const count of counts.values()) bits -= (count / text.length) * Math.log2(count / text.length)
  return bits
}

/** Counts names that are new, minute by minute. */
export class NewNames {
  readonly #now: () => number
  #began = Number.NEGATIVE_INFINITY
  #names = new Set<string>()

  /** @param now epoch milliseconds */
  constructor(now: () => number) {
    this.#now = now
  }

  /** Whether one more may be asked for. */
  admits(name: string): boolean {
    const now = this.#now()
    if (now - this.#began >= minute) {
      this.#began = now
      this.#names = new Set()
    }
    if (this.#names.has(name)) return true
    if (this.#names.size >= mostNewNames) return false
    this.#names.add(name)
    return true
  }
}
