// What an expression in `when` can see. The table is the documentation; a test holds it, the classes and docs/policy.md together.
import { Environment } from '@marcbachmann/cel-js'
import { type Constraint, describeConstraint } from './delegation/constraints.ts'
import { compileGlob, type Glob } from './glob.ts'
import { secretHeaders } from './secret-headers.ts'
import type { View } from './view.ts'

interface Variable {
  readonly name: string
  /** Of CEL. */
  readonly type: string
  readonly description: string
  /** Its values stay out of records: they may hold what the agent or a user wrote. */
  readonly withheld?: true
}

export const variableTable = [
  { name: 'caller.id', type: 'string', description: 'SPIFFE ID of the caller.' },
  { name: 'caller.trust_domain', type: 'string', description: 'Its trust domain, such as `acme.example`.' },
  { name: 'caller.path', type: 'string', description: 'Its path, such as `/ns/agents/sa/researcher`.' },
  {
    name: 'caller.proofs',
    type: 'list<string>',
    description: 'What proves the caller, strongest first, such as `x509-svid`.',
  },
  {
    name: 'principal.kind',
    type: 'string',
    description: 'On whose behalf: `user`, or `agent` where no user is known.',
  },
  { name: 'principal.id', type: 'string', description: 'Who that is.' },
  {
    name: 'chain.depth',
    type: 'int',
    description: 'Number of handoffs; 0 when the caller acts on its own grant.',
  },
  { name: 'chain.agents', type: 'list<string>', description: 'SPIFFE IDs from the first agent to the caller.' },
  {
    name: 'chain.scopes',
    type: 'list<list<string>>',
    description: 'Scopes that each of them holds, in the same order; empty when none are known.',
  },
  {
    name: 'chain.constraints',
    type: 'map<string, string>',
    description:
      'Bounds of the last hop by key, as text such as `one_of api.crm.example`; several of one key joined by `; `. They hold in any case; rules may ask for more.',
  },
  {
    name: 'chain.txn',
    type: 'string',
    description: 'One for all that follows from one root; empty without a chain.',
  },
  { name: 'request.method', type: 'string', description: 'Method, as sent.' },
  { name: 'request.scheme', type: 'string', description: '`https` or `http`.' },
  { name: 'request.host', type: 'string', description: 'Host in its canonical form: lower case, no port.' },
  { name: 'request.port', type: 'int', description: 'Port.' },
  {
    name: 'request.path',
    type: 'string',
    description: 'Path without the query, in the form in which paths are compared.',
  },
  {
    name: 'request.query',
    type: 'map<string, string>',
    description: 'First value of each key of the query, decoded.',
    withheld: true,
  },
  {
    name: 'request.query_all',
    type: 'map<string, list<string>>',
    description: 'Every value of each key of the query, decoded.',
    withheld: true,
  },
  {
    name: 'request.headers',
    type: 'map<string, string>',
    description:
      'Header fields by lower-case name; the lines of a repeated field joined by `, `. Fields that carry credentials are absent.',
    withheld: true,
  },
  { name: 'now', type: 'timestamp', description: 'When the request is decided.' },
] as const satisfies readonly Variable[]

export const functionTable = [
  {
    signature: 'string.glob(string): bool',
    description: 'Whether the text fits a glob, in which `*` stands for any run of characters.',
  },
] as const

class CallerVariables {
  readonly #view: View

  constructor(view: View) {
    this.#view = view
  }

  get id(): string {
    return this.#view.question.caller.id
  }

  get trust_domain(): string {
    return this.id.split('/', 3)[2] ?? ''
  }

  get path(): string {
    return this.id.slice('spiffe://'.length + this.trust_domain.length)
  }

  get proofs(): readonly string[] {
    return this.#view.question.caller.proofs
  }
}

class PrincipalVariables {
  readonly #view: View

  constructor(view: View) {
    this.#view = view
  }

  get kind(): string {
    return this.#view.question.principal.kind
  }

  get id(): string {
    return this.#view.question.principal.id
  }
}

class ChainVariables {
  readonly #view: View
  #constraints: ReadonlyMap<string, string> | undefined

  constructor(view: View) {
    this.#view = view
  }

  get depth(): bigint {
    return BigInt(this.#view.question.chain.depth)
  }

  get agents(): readonly string[] {
    return this.#view.question.chain.agents
  }

  get scopes(): readonly (readonly string[])[] {
    return this.#view.question.chain.scopes
  }

  get constraints(): ReadonlyMap<string, string> {
    this.#constraints ??= boundsByKey(this.#view.question.chain.constraints ?? [])
    return this.#constraints
  }

  get txn(): string {
    return this.#view.question.chain.txn ?? ''
  }
}

function boundsByKey(constraints: readonly Constraint[]): ReadonlyMap<string, string> {
  const bounds = new Map<string, string>()
  for (const constraint of constraints) {
    const text = describeConstraint(constraint)
    const before = bounds.get(constraint.key)
    bounds.set(constraint.key, before === undefined ? text : `${before}; ${text}`)
  }
  return bounds
}

/** Reading what is unreadable throws; the expression then counts as one that could not be evaluated. */
class RequestVariables {
  readonly #view: View
  #first: ReadonlyMap<string, string> | undefined
  #headers: ReadonlyMap<string, string> | undefined

  constructor(view: View) {
    this.#view = view
  }

  get method(): string {
    return this.#view.question.request.method
  }

  get scheme(): string {
    return this.#view.question.request.scheme
  }

  get host(): string {
    return this.#view.question.request.host
  }

  get port(): bigint {
    return BigInt(this.#view.question.request.port)
  }

  get path(): string {
    const path = this.#view.path
    if (path === undefined) throw new Error('the path cannot be read')
    return path.exact.text
  }

  get query(): ReadonlyMap<string, string> {
    this.#first ??= new Map([...this.query_all].map(([key, values]) => [key, values[0] ?? '']))
    return this.#first
  }

  get query_all(): ReadonlyMap<string, readonly string[]> {
    const query = this.#view.query
    if (query === undefined) throw new Error('the query cannot be read')
    return query
  }

  get headers(): ReadonlyMap<string, string> {
    this.#headers ??= new Map(
      [...this.#view.headers]
        .filter(([name]) => !secretHeaders.has(name))
        .map(([name, lines]) => [name, lines.join(', ')]),
    )
    return this.#headers
  }
}

/** The variables of one question. */
export class Variables {
  readonly caller: CallerVariables
  readonly principal: PrincipalVariables
  readonly chain: ChainVariables
  readonly request: RequestVariables
  readonly #view: View

  constructor(view: View) {
    this.#view = view
    this.caller = new CallerVariables(view)
    this.principal = new PrincipalVariables(view)
    this.chain = new ChainVariables(view)
    this.request = new RequestVariables(view)
  }

  get now(): Date {
    return new Date(this.#view.question.now)
  }
}

/** Types of `group.field` for each row of the group. */
function fieldsOf(group: string): Record<string, string> {
  const rows = variableTable.filter((row) => row.name.startsWith(`${group}.`))
  return Object.fromEntries(rows.map((row) => [row.name.slice(group.length + 1), row.type]))
}

/** Globs of expressions; the operator wrote almost all of them, so the few that are put together at run time may push others out. */
const globs = new Map<string, Glob>()
const maxGlobs = 1_000

function glob(text: string, pattern: string): boolean {
  let compiled = globs.get(pattern)
  if (compiled === undefined) {
    if (globs.size >= maxGlobs) globs.clear()
    compiled = compileGlob(pattern)
    globs.set(pattern, compiled)
  }
  return compiled(text)
}

/** The environment that expressions are checked against and run in. */
export function makeEnvironment(): Environment {
  return new Environment({ limits: { maxAstNodes: 2_000, maxDepth: 50 } })
    .registerType('Caller', { ctor: CallerVariables, fields: fieldsOf('caller') })
    .registerType('Principal', { ctor: PrincipalVariables, fields: fieldsOf('principal') })
    .registerType('Chain', { ctor: ChainVariables, fields: fieldsOf('chain') })
    .registerType('Request', { ctor: RequestVariables, fields: fieldsOf('request') })
    .registerVariable('caller', 'Caller')
    .registerVariable('principal', 'Principal')
    .registerVariable('chain', 'Chain')
    .registerVariable('request', 'Request')
    .registerVariable('now', 'google.protobuf.Timestamp')
    .registerFunction(functionTable[0].signature, glob, { async: false })
}
