// Path patterns, and the form in which paths are compared (RFC 3986 §6.2.2): what needs no encoding is decoded,
// hex digits are upper case, and an encoded slash stays inside its segment.
import { type Glob, globOfParts } from './glob.ts'

/** A path in the form in which it is compared. */
class ReadPath {
  readonly text: string
  #segments: readonly string[] | undefined

  constructor(text: string) {
    this.text = text
  }

  get segments(): readonly string[] {
    this.#segments ??= this.text.slice(1).split('/')
    return this.#segments
  }
}

/** The readings of one path. An allow looks at `exact` alone, a deny at both. */
export interface PathReadings {
  readonly exact: ReadPath
  /** As a lenient server would read it: `//` taken for `/`, `;parameters` and a trailing slash dropped. */
  readonly lenient: ReadPath
}

export type PathMatcher = (path: ReadPath) => boolean

const invalidEscape = /%(?![0-9A-Fa-f]{2})/
const anyEscape = /%[0-9A-Fa-f]{2}/g
/** What may stand in a segment as it is (`pchar`, RFC 3986 §3.3). */
const literalInSegment = /[A-Za-z0-9\-._~!$&'()*+,;=:@]/
const toBeEncoded = /[^A-Za-z0-9\-._~!$&'()*+,;=:@%/]/gu
const notAscii = /[^\x00-\x7f]/
/** A dot segment, also where an encoded slash or backslash borders it. */
const dotSegment = /(?:^|\/|%2F|%5C)\.{1,2}(?:\/|%2F|%5C|;|$)/

const decodedEscapes = new Map<string, string>()
for (let byte = 0; byte < 256; byte++) {
  const upper = `%${byte.toString(16).toUpperCase().padStart(2, '0')}`
  const character = String.fromCharCode(byte)
  const reading = byte < 0x80 && literalInSegment.test(character) ? character : upper
  const [high = '', low = ''] = upper.slice(1)
  for (const h of [high, high.toLowerCase()])
    for (const l of [low, low.toLowerCase()]) decodedEscapes.set(`%${h}${l}`, reading)
}

function normalise(text: string): string {
  const encoded = text.search(toBeEncoded) === -1 ? text : text.replace(toBeEncoded, encodeURIComponent)
  return encoded.includes('%') ? encoded.replace(anyEscape, (found) => decodedEscapes.get(found) ?? found) : encoded
}

/**
 * @param path absolute, without the query
 * @returns undefined when it cannot be read with certainty: invalid escapes, bytes outside ASCII, dot segments in any disguise
 */
export function readPath(path: string): PathReadings | undefined {
  if (!path.startsWith('/') || invalidEscape.test(path) || notAscii.test(path)) return undefined
  const text = normalise(path)
  if (text.includes('.') && dotSegment.test(text)) return undefined
  const exact = new ReadPath(text)
  const plain = !text.includes('//') && !text.includes(';') && !(text.length > 1 && text.endsWith('/'))
  return { exact, lenient: plain ? exact : new ReadPath(lenientForm(text)) }
}

function lenientForm(text: string): string {
  const segments: string[] = []
  for (const segment of text.split('/')) {
    const parameters = segment.indexOf(';')
    const bare = parameters === -1 ? segment : segment.slice(0, parameters)
    if (bare !== '') segments.push(bare)
  }
  return `/${segments.join('/')}`
}

/** What is wrong with a pattern, or undefined. */
export function pathPatternProblem(pattern: string): string | undefined {
  if (!pattern.startsWith('/')) return 'a path that begins with /'
  if (/[?#]/.test(pattern)) return 'a path without query; the query has a key of its own'
  if (invalidEscape.test(pattern)) return 'a path in which % is followed by two hex digits'
  if (!pattern.isWellFormed()) return 'a path of well-formed Unicode'
  for (const segment of pattern.split('/')) {
    if (segment.includes('**') && segment !== '**') return '** alone between slashes, such as /v1/**/items'
  }
  if (dotSegment.test(normalise(pattern))) return 'a path without . and .. segments; such requests are refused'
  return undefined
}

/** @param pattern one in which `pathPatternProblem` finds nothing */
export function compilePath(pattern: string): PathMatcher {
  const segments = pattern.slice(1).split('/')
  if (!pattern.includes('*')) {
    const literal = `/${segments.map(normalise).join('/')}`
    return (path) => path.text === literal
  }
  const before = segments.slice(0, -1)
  if (segments.at(-1) === '**' && !before.some((segment) => segment.includes('*'))) {
    const stem = before.map((segment) => `/${normalise(segment)}`).join('')
    const stemSlash = `${stem}/`
    return (path) => path.text.startsWith(stemSlash) || path.text === stem
  }
  const matchers = segments.map((segment) => (segment === '**' ? undefined : compileSegment(segment)))
  return (path) => matchSegments(matchers, path.segments)
}

function compileSegment(segment: string): Glob {
  // Alone in its segment an asterisk stands for one item; the empty segment of `/items/` is the collection, which is more.
  if (segment === '*') return (value) => value !== ''
  return globOfParts(segment.split('*').map(normalise))
}

/** @param matchers undefined stands for `**`. Going back to the last `**` alone is enough, so the time is bounded by the product of the lengths. */
function matchSegments(matchers: readonly (Glob | undefined)[], segments: readonly string[]): boolean {
  let m = 0
  let s = 0
  let star = -1
  let resume = 0
  while (s < segments.length) {
    const matcher = matchers[m]
    if (m < matchers.length && matcher === undefined) {
      star = m++
      resume = s
    } else if (matcher?.(segments[s] ?? '') === true) {
      m++
      s++
    } else if (star !== -1) {
      m = star + 1
      s = ++resume
    } else return false
  }
  while (m < matchers.length && matchers[m] === undefined) m++
  return m === matchers.length
}
