// The forms in which a secret may stand in an answer: as it is, and as the usual encoders write it.

/** Shorter secrets are not looked for: they would be found in any text. */
export const shortestSecret = 4
/** A derived form shorter than this is not looked for, for the same reason. */
const shortestDerived = 8

/** One byte sequence to look for. */
export interface Form {
  readonly bytes: Uint8Array
  /** Hexadecimal digits: `a`–`f` and `A`–`F` count as the same. */
  readonly anyCase: boolean
}

type Alignment = 0 | 1 | 2
type Alphabet = 'base64' | 'base64url'

const alignments: readonly Alignment[] = [0, 1, 2]
const alphabets: readonly Alphabet[] = ['base64', 'base64url']

/**
 * The characters of a base64 text (RFC 4648 §4, §5) that are made of `bytes` alone, whatever stands before and after:
 * `alignment` bytes (modulo 3) stand before. The characters at the edges, which hold two or four bits of a neighbour, are
 * not among them.
 */
export function base64Core(bytes: Uint8Array, alignment: Alignment, alphabet: Alphabet): string {
  const padded = Buffer.concat([Buffer.alloc(alignment), bytes])
  const first = alignment === 0 ? 0 : alignment + 1
  return padded.toString(alphabet).slice(first, Math.floor((padded.length * 8) / 6))
}

/** The secret's own bytes, as HTTP carries them: UTF-8, or one byte a character in header fields. */
function plain(value: string): string[] {
  const utf8 = Buffer.from(value, 'utf8').toString('latin1')
  return /^[\0-\xff]*$/.test(value) ? [utf8, value] : [utf8]
}

/** The secret as URL and JSON writers put it, so far as that changes it; for texts that are then encoded once more. */
function written(value: string): string[] {
  const component = value.isWellFormed() ? encodeURIComponent(value) : value
  const form = component.replaceAll('%20', '+')
  const json = Buffer.from(JSON.stringify(value).slice(1, -1), 'utf8').toString('latin1')
  return [component, form, json]
}

function cores(text: string): string[] {
  const bytes = Buffer.from(text, 'latin1')
  return alphabets.flatMap((alphabet) => alignments.map((alignment) => base64Core(bytes, alignment, alphabet)))
}

/**
 * All forms of a secret, without duplicates.
 *
 * Percent, JSON and HTML escapes are no forms of their own: the scanner takes them off the text (`escapes.ts`), which also
 * finds texts that are escaped in part, in mixed case, or twice. What stands in base64 or hexadecimal cannot be undone
 * that way, so the forms inside of these are listed.
 */
export function formsOf(value: string): Form[] {
  const raw = plain(value).filter((text) => text.length >= shortestSecret)
  if (raw.length === 0) return []
  // A form decoder turns `+` into a space.
  const spaced = raw.map((text) => text.replaceAll(' ', '+'))
  const inner = new Set([...raw, ...written(value)])
  const encoded = new Set([...inner].flatMap(cores))
  // Base64 in base64: a Basic value inside of a token, a Docker configuration inside of a Kubernetes secret.
  const twice = new Set([...new Set(raw.flatMap(cores))].flatMap(cores))
  const hex = new Set([...inner].map((text) => Buffer.from(text, 'latin1').toString('hex')))

  const derived = [...encoded, ...twice].filter((text) => text.length >= shortestDerived)
  const exact = new Set([...raw, ...spaced, ...derived])
  return [
    ...[...exact].map((text) => ({ bytes: Buffer.from(text, 'latin1'), anyCase: false })),
    ...[...hex].map((text) => ({ bytes: Buffer.from(text, 'latin1'), anyCase: true })),
  ]
}
