// Reads a file of policy cases, and knows on which line each stands.
import { readFileSync } from 'node:fs'
import { isNode, LineCounter, parseDocument } from 'yaml'
import { caseFileSchema, type PolicyCase } from '../../policy/case.ts'
import { CommandError, exit } from '../exit.ts'

export interface PlacedCase {
  readonly file: string
  /** From 1. */
  readonly line: number
  readonly policyCase: PolicyCase
}

const maxBytes = 4 * 1_048_576

/** @throws CommandError with everything that is wrong in the file, each with its line and column */
export function readCaseFile(file: string): PlacedCase[] {
  const text = readText(file)
  const lines = new LineCounter()
  const document = parseDocument(text, { version: '1.2', lineCounter: lines, prettyErrors: false })
  const place = (offset: number) => {
    const { line, col } = lines.linePos(offset)
    return `${file}:${line}:${col}`
  }
  const offsetOf = (path: readonly PropertyKey[]): number => {
    const node = document.getIn(path, true)
    const start = isNode(node) ? node.range?.[0] : undefined
    return start ?? (path.length === 0 ? 0 : offsetOf(path.slice(0, -1)))
  }
  const broken = document.errors.map(({ pos, message }) => `${place(pos[0])}: ${message}`)
  if (broken.length > 0) throw new CommandError(exit.data, broken.join('\n'))

  const parsed = caseFileSchema.safeParse(data(document, file))
  if (!parsed.success) {
    const wrong = parsed.error.issues.map(
      ({ path, message }) => `${place(offsetOf(path))}: ${[...path.map(String), message].join(': ')}`,
    )
    throw new CommandError(exit.data, wrong.join('\n'))
  }
  return parsed.data.cases.map((policyCase, index) => ({
    file,
    line: lines.linePos(offsetOf(['cases', index])).line,
    policyCase,
  }))
}

function data(document: { toJS(): unknown }, file: string): unknown {
  try {
    return document.toJS()
  } catch (error) {
    // Aliases that blow up.
    throw new CommandError(exit.data, `${file}: ${error instanceof Error ? error.message : String(error)}`)
  }
}

function readText(file: string): string {
  const text = readFileSync(file, 'utf8')
  if (text.length > maxBytes) throw new CommandError(exit.data, `${file} is larger than ${maxBytes} bytes.`)
  return text
}
