// What is wrong with a configuration: told with file, line and column, and shown with the line itself.

export interface Problem {
  readonly file: string
  /** From 1, as is the column. */
  readonly line: number
  readonly column: number
  /** Such as `rules[0].allow.methods`; '' for the file as a whole. */
  readonly path: string
  readonly message: string
  /** What could stand there. */
  readonly expected?: string
  /** The valid word that is nearest to what stands there. */
  readonly nearest?: string
}

/** A problem before its place in the text is known. */
export interface Mistake {
  readonly path: readonly string[]
  /** Whether it concerns the key at `path`, not what stands behind it. */
  readonly atKey?: boolean
  readonly message: string
  readonly expected?: string | undefined
  readonly nearest?: string | undefined
}

/** A problem and the line of the file that it is on, marked. */
export interface Shown {
  readonly problem: Problem
  readonly excerpt: string
}

/** Whoever has this many problems has another one. */
export const shownAtMost = 100

/** A configuration that cannot be used, with everything that is wrong with it. */
export class ConfigError extends Error {
  override readonly name = 'ConfigError'
  /** In the order of the file; never empty. */
  readonly problems: readonly Problem[]
  /** `unreadable`: the file is not there or cannot be opened. */
  readonly kind: 'invalid' | 'unreadable'
  readonly #excerpts: readonly string[]

  constructor(shown: readonly Shown[], kind: ConfigError['kind']) {
    const problems = shown.map(({ problem }) => problem)
    super(problems.map(sentence).join('\n'))
    this.problems = problems
    this.kind = kind
    this.#excerpts = shown.map(({ excerpt }) => excerpt)
  }

  /** For people: each problem with its line and a caret under what it is about. Values that may be secret are blanked. */
  render(): string {
    const blocks = this.problems.map((problem, index) => `${sentence(problem)}\n${this.#excerpts[index] ?? ''}`)
    return `${blocks.join('\n')}\n${blocks.length === 1 ? '1 problem' : `${blocks.length} problems`}\n`
  }
}

/** A problem with the file as a whole, where there is no text to point at. */
export function fileError(file: string, message: string, kind: ConfigError['kind']): ConfigError {
  const problem = { file: printable(file), line: 1, column: 1, path: '', message: printable(message) }
  return new ConfigError([{ problem, excerpt: '' }], kind)
}

/** A problem in one line, as compilers tell theirs. */
export function sentence({ file, line, column, path, message, expected, nearest }: Problem): string {
  return `${file}:${line}:${column}: ${path === '' ? '' : `${path}: `}${message}${hint(expected, nearest)}`
}

function hint(expected: string | undefined, nearest: string | undefined): string {
  if (nearest !== undefined) return `; did you mean \`${nearest}\`?`
  return expected === undefined ? '' : `; expected ${expected}`
}

/** Control and formatting characters would let a file write to the terminal, or read backwards there. */
export const printable = (text: string) => text.replace(/[\p{Cc}\p{Cf}\p{Cs}\u2028\u2029]/gu, '\ufffd')
