// All that is to be looked for after a request that carried certain secrets. Made once for each secret.
import type { Secret } from '../secret.ts'
import { type Form, formsOf, shortestSecret } from './encodings.ts'
import { EscapeFinder } from './escape-finder.ts'
import { introduces } from './escapes.ts'
import { Matcher, type Spans } from './matcher.ts'
import { Plausible } from './plausible.ts'
import { Unescaped } from './unescaped.ts'

/** An escaped byte may take so many bytes of the text (`%252525252F`, `\\\\\\\\u002f`) before it is no longer waited for. */
const mostPerByte = 12

// Used within one call each time, so one serves all.
const unescaped = new Unescaped()

export class Needles {
  readonly #matcher: Matcher
  readonly #plausible: Plausible

  private constructor(make: () => readonly Form[]) {
    this.#matcher = new Matcher(make)
    this.#plausible = new Plausible(this.#matcher)
  }

  /** @returns undefined when the secrets are too short to be looked for */
  static of(secrets: readonly Secret[]): Needles | undefined {
    let node = root
    for (const secret of secrets) node = node.with(secret)
    if (node.needles === null) {
      const make = () => secrets.flatMap((secret) => withoutEscapesToo(formsOf(secret.reveal())))
      node.needles = make().length === 0 ? undefined : new Needles(make)
    }
    return node.needles
  }

  /**
   * Finds all forms, escaped in whatever way.
   *
   * @param found gets the spans, in no order, and some of them twice
   * @returns where the first form begins that is not complete at the end of the text; the text's length when there is none
   */
  find(text: Buffer, found: Spans): number {
    const end = text.length
    let open = this.#matcher.scan(text, end, end, found)
    const reach = this.#matcher.longest
    const escapes = new EscapeFinder(text, this.#plausible)
    let at = escapes.next(0)
    while (at < end) {
      at = unescaped.take(text, at, escapes, reach)
      const atEnd = unescaped.consumed === end
      const settled = atEnd ? unescaped.settled() : unescaped.length
      const first = found.length
      const start = this.#matcher.scan(unescaped.bytes, unescaped.length, settled, found)
      for (let index = first; index < found.length; index++) found[index] = unescaped.originOf(found[index] ?? 0)
      if (atEnd) open = Math.min(open, unescaped.originOf(start))
    }
    return Math.max(open, end - reach * mostPerByte)
  }

  /** Finds what the end of a broken-off text gives away: a form of which much, but not all, is there. */
  findTruncated(text: Buffer, found: Spans): void {
    this.#matcher.scanTruncated(text, text.length, found)
    const escapes = new EscapeFinder(text, this.#plausible)
    let at = escapes.next(0)
    while (at < text.length) {
      at = unescaped.take(text, at, escapes, this.#matcher.longest)
      const first = found.length
      if (unescaped.consumed === text.length) this.#matcher.scanTruncated(unescaped.bytes, unescaped.settled(), found)
      for (let index = first; index < found.length; index += 2) {
        found[index] = unescaped.originOf(found[index] ?? 0)
        found[index + 1] = text.length
      }
    }
  }
}

/** A form that itself reads as an escape somewhere looks different in a text whose escapes were undone. */
function withoutEscapesToo(forms: readonly Form[]): Form[] {
  // Not the common one: forms are made again in the middle of a search.
  const own = new Unescaped()
  const plain = forms
    .filter(({ bytes }) => bytes.some((byte) => introduces[byte] === 1))
    .map((form) => ({ ...form, bytes: own.takeAll(form.bytes) }))
    .filter(({ bytes }) => bytes.length >= shortestSecret)
  return [...forms, ...plain]
}

/** The needles of a list of secrets are kept as long as the secrets are. */
class Node {
  /** null: not made yet. */
  needles: Needles | undefined | null = null
  readonly #next = new WeakMap<Secret, Node>()

  with(secret: Secret): Node {
    const present = this.#next.get(secret)
    if (present !== undefined) return present
    const made = new Node()
    this.#next.set(secret, made)
    return made
  }
}

const root = new Node()
