// JSON (RFC 8259) read strictly: a member that stands twice is an error, where JSON.parse lets the last one win.

/** Objects are maps, so that no member name means anything to JavaScript. Integers beyond 2^53 are exact. */
export type JsonValue = null | boolean | number | bigint | string | readonly JsonValue[] | JsonObject
export type JsonObject = ReadonlyMap<string, JsonValue>

export type JsonFault = 'syntax' | 'duplicate_member' | 'too_deep' | 'too_large'

export class JsonError extends Error {
  override readonly name = 'JsonError'
  readonly code: JsonFault

  /** @param detail holds nothing of the text, which may be hostile */
  constructor(code: JsonFault, detail: string) {
    super(detail)
    this.code = code
  }
}

export interface JsonLimits {
  /** Characters of the whole text. */
  readonly length: number
  /** Arrays and objects inside one another. */
  readonly depth: number
}

/** More digits are no number that anybody means. */
const mostDigits = 40
const number = /-?(?:0|[1-9]\d*)(\.\d+)?([eE][+-]?\d+)?/y
const space = /[ \t\n\r]*/y
const words: readonly (readonly [string, JsonValue])[] = [
  ['true', true],
  ['false', false],
  ['null', null],
]

/** @throws JsonError */
export function parseJson(text: string, limits: JsonLimits): JsonValue {
  if (text.length > limits.length) throw new JsonError('too_large', `it is longer than ${limits.length} characters`)
  const parser = new Parser(text, limits.depth)
  const value = parser.value(0)
  parser.end()
  return value
}

class Parser {
  readonly #text: string
  readonly #depth: number
  #at = 0

  constructor(text: string, depth: number) {
    this.#text = text
    this.#depth = depth
  }

  value(depth: number): JsonValue {
    if (depth > this.#depth) throw new JsonError('too_deep', `it is deeper than ${this.#depth} levels`)
    this.#skip()
    switch (this.#text[this.#at]) {
      case '{':
        return this.#object(depth)
      case '[':
        return this.#array(depth)
      case '"':
        return this.#string()
      default:
        return this.#scalar()
    }
  }

  end(): void {
    this.#skip()
    if (this.#at < this.#text.length) throw this.#wrong()
  }

  #object(depth: number): JsonObject {
    const members = new Map<string, JsonValue>()
    this.#at++
    if (this.#takes('}')) return members
    do {
      this.#skip()
      if (this.#text[this.#at] !== '"') throw this.#wrong()
      // Compared as it means, not as it is written: "\u0061" is "a".
      const name = this.#string()
      if (members.has(name)) throw new JsonError('duplicate_member', 'a member of an object stands twice')
      this.#must(':')
      members.set(name, this.value(depth + 1))
    } while (this.#takes(','))
    this.#must('}')
    return members
  }

  #array(depth: number): readonly JsonValue[] {
    const items: JsonValue[] = []
    this.#at++
    if (this.#takes(']')) return items
    do items.push(this.value(depth + 1))
    while (this.#takes(','))
    this.#must(']')
    return items
  }

  #string(): string {
    const start = this.#at
    let escaped = false
    for (let at = start + 1; at < this.#text.length; at++) {
      const code = this.#text.charCodeAt(at)
      if (code === 0x5c) {
        escaped = true
        at++
      } else if (code === 0x22) {
        this.#at = at + 1
        return this.#unescaped(start, at + 1, escaped)
      } else if (code < 0x20) break
    }
    throw this.#wrong()
  }

  #unescaped(start: number, end: number, escaped: boolean): string {
    const text = escaped ? this.#escapes(this.#text.slice(start, end)) : this.#text.slice(start + 1, end - 1)
    // Two readers make different text of half a character (RFC 8259 §8.2).
    if (!text.isWellFormed()) throw this.#wrong()
    return text
  }

  #escapes(literal: string): string {
    try {
      return String(JSON.parse(literal))
    } catch {
      throw this.#wrong()
    }
  }

  #scalar(): JsonValue {
    for (const [word, value] of words) {
      if (!this.#text.startsWith(word, this.#at)) continue
      this.#at += word.length
      return value
    }
    number.lastIndex = this.#at
    const [literal, fraction, exponent] = number.exec(this.#text) ?? []
    if (literal === undefined || literal.length > mostDigits) throw this.#wrong()
    this.#at += literal.length
    const value = Number(literal)
    if (!Number.isFinite(value)) throw this.#wrong()
    return fraction === undefined && exponent === undefined && !Number.isSafeInteger(value) ? BigInt(literal) : value
  }

  #takes(mark: string): boolean {
    this.#skip()
    if (this.#text[this.#at] !== mark) return false
    this.#at++
    return true
  }

  #must(mark: string): void {
    if (!this.#takes(mark)) throw this.#wrong()
  }

  #skip(): void {
    space.lastIndex = this.#at
    space.exec(this.#text)
    this.#at = space.lastIndex
  }

  #wrong(): JsonError {
    return new JsonError('syntax', `it is not JSON at character ${this.#at}`)
  }
}
