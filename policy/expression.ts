// Expressions of `when`: CEL, checked when the policy is loaded, run in well under a microsecond each.
import { type ASTNode, EvaluationError, ParseError, TypeError as TypeFault } from '@marcbachmann/cel-js'
import { makeEnvironment, variableTable } from './environment.ts'
import type { Outcome } from './outcome.ts'
import type { View } from './view.ts'

/** Longest text of an expression. */
export const maxLength = 4_000

export interface Expression {
  readonly text: string
  test(view: View): Outcome
  /** What came out, and what the variables that it mentions were. Values that records must not hold are left out unless asked for. */
  describe(view: View, withValues: boolean): string
}

const environment = makeEnvironment()

/** What is wrong with an expression, or undefined. */
export function expressionProblem(text: string): string | undefined {
  const checked = check(text)
  return typeof checked === 'string' ? checked : undefined
}

/** @throws Error when there is something wrong with it */
export function compileExpression(text: string): Expression {
  const run = check(text)
  if (typeof run === 'string') throw new Error(`not an expression: ${run}`)
  const mentioned = variableTable.filter((variable) => mentions(text, variable.name))
  return {
    text,
    test(view) {
      try {
        return run(view.variables) === true ? 'met' : 'unmet'
      } catch {
        return 'unreadable'
      }
    },
    describe(view, withValues) {
      const shown = mentioned
        .filter((variable) => withValues || !('withheld' in variable))
        .map((variable) => `${variable.name} = ${show(variableOf(view, variable.name))}`)
      return [outcomeOf(run, view, text), ...shown].join(', ')
    },
  }
}

type Run = (context: object) => unknown

function check(text: string): Run | string {
  if (text.length > maxLength) return `an expression of at most ${maxLength} characters`
  try {
    const parsed = environment.parse(text)
    if (callsMatches(parsed.ast)) {
      return 'matches() is not available, since a regular expression can be made to run for hours by what it is tried on; use glob(), startsWith(), endsWith(), contains() or split()'
    }
    const { valid, type, error } = parsed.check()
    if (!valid) return error === undefined ? 'not well-formed' : fault(error, text)
    return type === 'bool' ? parsed : `an expression that is true or false; this one is of type ${type}`
  } catch (error) {
    return fault(error, text)
  }
}

/** Looks through the syntax tree as it was written, macros not yet expanded. */
function callsMatches(node: unknown): boolean {
  if (Array.isArray(node)) return node.some(callsMatches)
  if (!isNode(node)) return false
  if (node.op === 'rcall' && Array.isArray(node.args) && node.args[0] === 'matches') return true
  return callsMatches(node.args)
}

function isNode(value: unknown): value is ASTNode {
  return typeof value === 'object' && value !== null && 'op' in value && 'args' in value
}

function outcomeOf(run: Run, view: View, text: string): string {
  try {
    return String(run(view.variables))
  } catch (error) {
    return `could not be evaluated (${runtimeFault(error, text)})`
  }
}

/** Messages of the evaluator may repeat values of the request, so only the code and the place in the expression are told. */
function runtimeFault(error: unknown, text: string): string {
  if (!(error instanceof EvaluationError)) return 'the request cannot be read'
  return `${error.code.replaceAll('_', ' ')}${place(error.range, text)}`
}

function fault(error: unknown, text: string): string {
  if (error instanceof ParseError || error instanceof TypeFault) return `${error.summary}${place(error.range, text)}`
  return error instanceof Error ? error.message : String(error)
}

function place(range: { readonly start: number; readonly end: number } | undefined, text: string): string {
  if (range === undefined) return ''
  const piece = text.slice(range.start, Math.max(range.end, range.start + 1))
  return piece === '' ? ' at the end' : ` at character ${range.start + 1}, \`${piece}\``
}

function mentions(text: string, name: string): boolean {
  const at = text.indexOf(name)
  if (at === -1) return false
  return [...text.matchAll(new RegExp(`(?<![\\w.])${name.replace('.', '\\.')}(?!\\w)`, 'g'))].length > 0
}

function variableOf(view: View, name: string): unknown {
  const [group = '', field] = name.split('.')
  try {
    const found: unknown = Reflect.get(view.variables, group)
    return field === undefined || typeof found !== 'object' || found === null ? found : Reflect.get(found, field)
  } catch {
    return undefined
  }
}

function show(value: unknown): string {
  if (value === undefined) return 'unreadable'
  if (value instanceof Date) return value.toISOString()
  if (value instanceof Map) return JSON.stringify(Object.fromEntries(value))
  return typeof value === 'bigint' ? value.toString() : JSON.stringify(value)
}
