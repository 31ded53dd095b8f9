// The text of a configuration file, for telling where in it something is wrong.
import type { Place, Range } from './document.ts'
import { ConfigError, type Mistake, type Problem, printable, type Shown, sentence, shownAtMost } from './problems.ts'

/** Without a range it is looked for by its path. */
type Placed = Mistake & { readonly range?: Range }

export class Source {
  readonly #file: string
  readonly #text: string
  readonly #shown: () => string
  readonly #root: Place
  readonly #lineStarts: readonly number[]

  /** @param shown makes the same text with blanks, character for character, where it must not be shown */
  constructor(file: string, text: string, shown: () => string, root: Place) {
    this.#file = file
    this.#text = text
    this.#shown = shown
    this.#root = root
    const starts = [0]
    for (let at = text.indexOf('\n'); at !== -1; at = text.indexOf('\n', at + 1)) starts.push(at + 1)
    this.#lineStarts = starts
  }

  /** @param mistakes at least one */
  error(mistakes: readonly Placed[]): ConfigError {
    const text = this.#shown()
    const shown = this.#inOrder(mistakes).map(([mistake, range]): Shown => {
      const problem = this.#problem(mistake, range)
      return { problem, excerpt: this.#excerpt(text, problem, range[1] - range[0]) }
    })
    const distinct = new Map(shown.map((each) => [sentence(each.problem), each]))
    return new ConfigError([...distinct.values()].slice(0, shownAtMost), 'invalid')
  }

  /** Where things stand that are worth saying but do not make the file unusable. */
  problems(mistakes: readonly Mistake[]): Problem[] {
    return this.#inOrder(mistakes).map(([mistake, range]) => this.#problem(mistake, range))
  }

  #inOrder(mistakes: readonly Placed[]): [Placed, Range][] {
    return mistakes
      .map((mistake): [Placed, Range] => [mistake, mistake.range ?? this.#find(mistake)])
      .sort(([, a], [, b]) => a[0] - b[0])
  }

  /** The key or value at a path; of what is missing there, the key that it is missing under. */
  #find({ path, atKey }: Mistake): Range {
    let key: Range = [0, 0]
    let place = this.#root
    for (const [index, name] of path.entries()) {
      const entry = place.entries.get(name)
      if (entry === undefined) return index === 0 ? [0, 0] : key
      key = entry.key
      place = entry.place
    }
    return atKey === true ? key : place.range
  }

  #problem({ path, message, expected, nearest }: Mistake, [start]: Range): Problem {
    const line = this.#lineAt(start)
    return {
      file: printable(this.#file),
      line: line + 1,
      column: start - (this.#lineStarts[line] ?? 0) + 1,
      path: printable(pathText(path)),
      message: printable(message),
      ...(expected === undefined ? {} : { expected: printable(expected) }),
      ...(nearest === undefined ? {} : { nearest: printable(nearest) }),
    }
  }

  #lineAt(offset: number): number {
    let low = 0
    let high = this.#lineStarts.length - 1
    while (low < high) {
      const middle = (low + high + 1) >> 1
      if ((this.#lineStarts[middle] ?? 0) <= offset) low = middle
      else high = middle - 1
    }
    return low
  }

  #excerpt(shown: string, { line, column }: Problem, length: number): string {
    const start = this.#lineStarts[line - 1] ?? 0
    const end = (this.#lineStarts[line] ?? this.#text.length + 1) - 1
    return excerpt(line, shown.slice(start, end), column - 1, length)
  }
}

const widest = 120

function excerpt(number: number, line: string, column: number, length: number): string {
  // A window around the caret, where the line is longer than a screen is wide.
  const from = Math.max(0, Math.min(column - widest / 2, line.length - widest))
  const text = printable(line.slice(from, from + widest).replaceAll('\t', ' ')).trimEnd()
  const caret = column - from
  const marks = '^'.repeat(Math.max(1, Math.min(length, text.length - caret)))
  const margin = String(number)
  return ` ${margin} | ${text}\n ${' '.repeat(margin.length)} | ${' '.repeat(caret)}${marks}\n`
}

function pathText(path: readonly string[]): string {
  return path.reduce((text, key) => {
    if (/^\d+$/.test(key)) return `${text}[${key}]`
    const step = /^[\w-]+$/.test(key) ? key : JSON.stringify(key)
    return text === '' ? step : `${text}.${step}`
  }, '')
}
