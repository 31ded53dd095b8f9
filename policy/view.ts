// A question, with what has to be read out of it read at most once and only when a rule asks.
import { Agent } from './agents.ts'
import type { Question } from './engine.ts'
import { Variables } from './environment.ts'
import { type PathReadings, readPath } from './paths.ts'
import { parseQuery, type Query } from './query.ts'

type Headers = ReadonlyMap<string, readonly string[]>

export class View {
  readonly question: Question
  readonly caller: Agent
  #path: { readonly readings: PathReadings | undefined } | undefined
  #query: { readonly pairs: Query | undefined } | undefined
  #headers: Headers | undefined
  #variables: Variables | undefined

  constructor(question: Question) {
    this.question = question
    this.caller = new Agent(question.caller.id)
  }

  /** undefined: unreadable. */
  get path(): PathReadings | undefined {
    this.#path ??= { readings: readPath(this.question.request.path) }
    return this.#path.readings
  }

  /** undefined: unreadable. */
  get query(): Query | undefined {
    this.#query ??= { pairs: parseQuery(this.question.request.query) }
    return this.#query.pairs
  }

  /** Lower-case name → the value of each line. */
  get headers(): Headers {
    this.#headers ??= collect(this.question.request.headers)
    return this.#headers
  }

  /** What expressions see. */
  get variables(): Variables {
    this.#variables ??= new Variables(this)
    return this.#variables
  }
}

function collect(flat: readonly string[]): Headers {
  const headers = new Map<string, string[]>()
  for (let at = 0; at + 1 < flat.length; at += 2) {
    const name = (flat[at] ?? '').toLowerCase()
    const value = flat[at + 1] ?? ''
    const values = headers.get(name)
    if (values === undefined) headers.set(name, [value])
    else values.push(value)
  }
  return headers
}
