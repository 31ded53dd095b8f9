// What the schema says is wrong, in words for whoever wrote the file.
import type { z } from 'zod'
import { nearest, oneOf } from './nearest.ts'
import type { Mistake } from './problems.ts'
import { type Form, formsAt, isRecord, keysOf } from './shape.ts'

type Issue = z.core.$ZodIssue

/**
 * @param form the JSON Schema of the whole
 * @param data what was validated
 */
export function mistakesOf(issues: readonly Issue[], form: Form, data: unknown): Mistake[] {
  const all = new Translation(form, data).all(issues, [])
  // A key that is mistyped is missing, too; that goes without saying.
  const meant = new Set(all.flatMap(({ path, nearest }) => (nearest === undefined ? [] : siblings(path, nearest))))
  return all.filter(({ path, message }) => message !== isMissing || !meant.has(JSON.stringify(path)))
}

const isMissing = 'is missing'
const siblings = (path: readonly string[], name: string) => [JSON.stringify([...path.slice(0, -1), name])]

class Translation {
  readonly #form: Form
  readonly #data: unknown

  constructor(form: Form, data: unknown) {
    this.#form = form
    this.#data = data
  }

  all(issues: readonly Issue[], before: readonly string[]): Mistake[] {
    return issues.flatMap((issue) => this.#one(issue, [...before, ...issue.path.map(String)]))
  }

  #one(issue: Issue, path: readonly string[]): Mistake | Mistake[] {
    switch (issue.code) {
      case 'unrecognized_keys': {
        const keys = keysOf(formsAt(this.#form, this.#data, path))
        return issue.keys.map((key) => unknownKey([...path, key], keys))
      }
      case 'invalid_type':
        return this.#wrongType(path, typeNames[issue.expected] ?? issue.expected)
      case 'invalid_value':
        return this.#notOneOf(path, issue.values)
      case 'invalid_key':
        return issue.issues.map((inner) => ({ ...worded(inner, path), atKey: true }))
      case 'invalid_union':
        if (issue.discriminator === undefined) return this.#noAlternative(issue.errors, path)
        return this.#notOneOf(path, 'options' in issue ? (issue.options ?? []) : [])
      default:
        return worded(issue, path)
    }
  }

  #wrongType(path: readonly string[], expected: string): Mistake {
    const value = valueAt(this.#data, path)
    if (value === undefined) return missing(path, expected)
    const quote = expected === 'text' && typeof value !== 'object' ? ' (put it in quotes)' : ''
    return { path, message: `${typeOf(value)} stands here`, expected: `${expected}${quote}` }
  }

  #notOneOf(path: readonly string[], values: readonly unknown[]): Mistake {
    const words = values.map(String)
    const expected = oneOf(words)
    const value = valueAt(this.#data, path)
    if (value === undefined) return missing(path, expected)
    if (typeof value === 'object') return { path, message: `${typeOf(value)} stands here`, expected }
    return {
      path,
      message: 'not a valid value',
      expected,
      nearest: typeof value === 'string' ? nearest(value, words) : undefined,
    }
  }

  /** Tells what is wrong with the alternative that was most likely meant. */
  #noAlternative(alternatives: readonly (readonly Issue[])[], path: readonly string[]): Mistake[] {
    const isWhole = (issue: Issue) =>
      issue.path.length === 0 && (issue.code === 'invalid_type' || issue.code === 'invalid_value')
    const sameType = alternatives.filter((issues) => !issues.some(isWhole))
    const [likely] = sameType.toSorted((a, b) => a.length - b.length)
    if (likely === undefined) {
      const all = alternatives.flat()
      const words = all.flatMap((issue) => (issue.code === 'invalid_value' ? issue.values : []))
      const types = all.flatMap((issue) => (issue.code === 'invalid_type' ? (typeNames[issue.expected] ?? []) : []))
      const value = valueAt(this.#data, path)
      if (words.length > 0 && typeof value === 'string')
        return [{ ...this.#notOneOf(path, words), ...alsoOf(words, types) }]
      return [{ ...this.#wrongType(path, ''), ...alsoOf(words, types) }]
    }
    const unknown = likely.filter((issue) => issue.code === 'unrecognized_keys')
    return this.all(unknown.length > 0 ? unknown : likely, path)
  }
}

/** `one of …, or a map`. */
function alsoOf(words: readonly unknown[], types: readonly string[]): { expected: string } {
  const quoted = words.map((word) => `\`${word}\``)
  return { expected: [...new Set([...quoted, ...types])].join(', ').replace(/, (?=[^,]*$)/, ' or ') }
}

function unknownKey(path: readonly string[], keys: readonly string[]): Mistake {
  const key = path.at(-1) ?? ''
  return { path, atKey: true, message: 'unknown key', expected: oneOf(keys), nearest: nearest(key, keys) }
}

function missing(path: readonly string[], expected: string | undefined): Mistake {
  return { path, atKey: true, message: isMissing, expected }
}

/** Messages of our own schemas: a sentence in `custom`, and what was expected where a pattern did not match. */
function worded(issue: Issue, path: readonly string[]): Mistake {
  if (issue.code === 'invalid_format') {
    const expected = issue.message.startsWith('Invalid') ? `text that matches ${issue.pattern}` : issue.message
    return { path, message: 'not in the right form', expected }
  }
  const params = issue.code === 'custom' ? issue.params : undefined
  const text = (value: unknown) => (typeof value === 'string' ? value : undefined)
  const message = issue.message.charAt(0).toLowerCase() + issue.message.slice(1)
  return { path, message, expected: text(params?.expected), nearest: text(params?.nearest) }
}

const typeNames: Readonly<Record<string, string>> = {
  string: 'text',
  number: 'a number',
  int: 'a whole number',
  boolean: 'true or false',
  array: 'a list',
  tuple: 'a list',
  object: 'a map',
  record: 'a map',
}

function typeOf(value: unknown): string {
  if (value === null) return 'nothing'
  if (Array.isArray(value)) return 'a list'
  return typeNames[typeof value] ?? typeof value
}

function valueAt(data: unknown, path: readonly string[]): unknown {
  return path.reduce<unknown>(
    (here, key) => (isRecord(here) || Array.isArray(here) ? Reflect.get(here, key) : undefined),
    data,
  )
}
