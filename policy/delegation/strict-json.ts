// JSON as tokens may hold it (RFC 8259, I-JSON RFC 7493): what JSON.parse would pass over in silence is an error.
import { ChainError, malformed } from './error.ts'

export type JsonValue = null | boolean | number | string | readonly JsonValue[] | JsonObject
/** Without a prototype, so that no member name means anything to JavaScript. */
export interface JsonObject {
  readonly [name: string]: JsonValue
}

/** Arrays and objects inside one another; a token needs five. */
const deepest = 16
const number = /-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?/y
const notFinite = /-?(?:NaN|Infinity)/y
const space = /[ \t\n\r]*/y
const strictUtf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true })

/** @throws ChainError (malformed, duplicate member, non finite) */
export function readJson(bytes: Uint8Array): JsonValue {
  let text: string
  try {
    text = strictUtf8.decode(bytes)
  } catch {
    return malformed('it is not UTF-8')
  }
  const reader = new Reader(text)
  const value = reader.value(0)
  reader.end()
  return value
}

export function isObject(value: JsonValue | undefined): value is JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

class Reader {
  readonly #text: string
  #at = 0

  constructor(text: string) {
    this.#text = text
  }

  value(depth: number): JsonValue {
    this.#skipSpace()
    switch (this.#text[this.#at]) {
      case '{':
        return this.#object(depth + 1)
      case '[':
        return this.#array(depth + 1)
      case '"':
        return this.#string()
      case 't':
        return this.#word('true', true)
      case 'f':
        return this.#word('false', false)
      case 'n':
        return this.#word('null', null)
      default:
        return this.#number()
    }
  }

  end(): void {
    this.#skipSpace()
    if (this.#at !== this.#text.length) malformed('something follows the JSON value')
  }

  #object(depth: number): JsonObject {
    if (depth > deepest) malformed(`more than ${deepest} levels`)
    const members: Record<string, JsonValue> = Object.create(null)
    this.#at++
    this.#skipSpace()
    if (this.#take('}')) return members
    do {
      this.#skipSpace()
      if (this.#text[this.#at] !== '"') malformed('a member has no name')
      const name = this.#string()
      if (name in members) throw new ChainError('chain_duplicate_member', 'a member stands twice')
      this.#skipSpace()
      if (!this.#take(':')) malformed('a member has no value')
      members[name] = this.value(depth)
      this.#skipSpace()
    } while (this.#take(','))
    if (!this.#take('}')) malformed('an object does not end')
    return members
  }

  #array(depth: number): readonly JsonValue[] {
    if (depth > deepest) malformed(`more than ${deepest} levels`)
    const elements: JsonValue[] = []
    this.#at++
    this.#skipSpace()
    if (this.#take(']')) return elements
    do {
      elements.push(this.value(depth))
      this.#skipSpace()
    } while (this.#take(','))
    if (!this.#take(']')) malformed('an array does not end')
    return elements
  }

  /** Where it ends is found here; JSON.parse, which is strict about what stands inside, takes out the escapes. */
  #string(): string {
    const start = this.#at
    let end = start + 1
    for (; this.#text[end] !== '"'; end++) {
      if (end >= this.#text.length) malformed('a string does not end')
      if (this.#text[end] === '\\') end++
    }
    this.#at = end + 1
    let value: string
    try {
      value = JSON.parse(this.#text.slice(start, this.#at))
    } catch {
      return malformed('a string is not well-formed')
    }
    return value.isWellFormed() ? value : malformed('a string has a lone surrogate')
  }

  #number(): number {
    number.lastIndex = this.#at
    const found = number.exec(this.#text)
    if (found === null) {
      notFinite.lastIndex = this.#at
      if (notFinite.test(this.#text)) throw new ChainError('chain_non_finite', 'a number is not finite')
      return malformed('it is not JSON')
    }
    this.#at = number.lastIndex
    const value = Number(found[0])
    if (!Number.isFinite(value)) throw new ChainError('chain_non_finite', 'a number is not finite')
    if (Number.isInteger(value) && !Number.isSafeInteger(value)) malformed('an integer is beyond 2^53-1')
    return value
  }

  #word<Value extends boolean | null>(word: string, value: Value): Value {
    if (!this.#text.startsWith(word, this.#at)) malformed('it is not JSON')
    this.#at += word.length
    return value
  }

  #take(character: string): boolean {
    if (this.#text[this.#at] !== character) return false
    this.#at++
    return true
  }

  #skipSpace(): void {
    space.lastIndex = this.#at
    space.test(this.#text)
    this.#at = space.lastIndex
  }
}
