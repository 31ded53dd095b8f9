// Bounds of a delegation beside its scopes: how they are written, and which is within which. The order is a lattice.
import { readPath } from '../paths.ts'
import { canonical } from './canonical.ts'
import { malformed } from './error.ts'
import { isObject, type JsonObject, type JsonValue } from './strict-json.ts'

export type Scalar = string | number | boolean

interface Keyed {
  /** What it bounds: `host`, `method`, `path`, `calls`, `arg.amount`, … */
  readonly key: string
}

/** On each action by itself. */
interface Numeric extends Keyed {
  readonly type: 'max' | 'min'
  readonly bound: number
}

/** Totals that the enforcing proxy counts: of one token, or of it and all below it. */
export interface Cumulative extends Keyed {
  readonly type: 'max_lifetime' | 'max_subtree'
  readonly bound: number
}

interface Listed extends Keyed {
  readonly type: 'one_of' | 'not_one_of'
  readonly values: readonly Scalar[]
}

/** Of paths alone, in their compared form; it ends at a slash, so that /repos/acme is no prefix of /repos/acmeevil. */
interface Prefixed extends Keyed {
  readonly type: 'prefix'
  readonly prefix: string
}

/** A level among named ones, lowest first. */
interface Ranked extends Keyed {
  readonly type: 'rank'
  readonly rank: string
  readonly order: readonly string[]
}

/** Of a type not known here: carried on unchanged, and no action is within it. */
interface Unknown extends Keyed {
  readonly type: 'unknown'
  readonly name: string
  readonly value: JsonValue
}

export type Constraint = Numeric | Cumulative | Listed | Prefixed | Ranked | Unknown

const mostConstraints = 64
const mostValues = 256
const key = /^[a-z][A-Za-z0-9_.-]{0,63}$/
const typeName = /^[a-z][a-z0-9_]{0,63}$/

/**
 * A list as a token or a request for one holds it. Objects are closed; (key, type) is unique.
 * @throws ChainError chain_malformed
 */
export function readConstraints(value: JsonValue | undefined): readonly Constraint[] {
  if (!Array.isArray(value)) return malformed('constraints are not a list')
  if (value.length > mostConstraints) malformed(`more than ${mostConstraints} constraints`)
  const constraints = value.map(readConstraint)
  if (new Set(constraints.map(dimension)).size !== constraints.length) malformed('two constraints of one key and type')
  return constraints
}

/** As it stands in a token. */
export function writeConstraint(constraint: Constraint): JsonObject {
  switch (constraint.type) {
    case 'one_of':
    case 'not_one_of':
      return { key: constraint.key, [constraint.type]: constraint.values }
    case 'prefix':
      return { key: constraint.key, prefix: constraint.prefix }
    case 'rank':
      return { key: constraint.key, rank: constraint.rank, order: constraint.order }
    case 'unknown':
      return { key: constraint.key, [constraint.name]: constraint.value }
    default:
      return { key: constraint.key, [constraint.type]: constraint.bound }
  }
}

/** For people and for rules: the type and the bound, such as `one_of GET HEAD`, `prefix /repos/acme`. */
export function describeConstraint(constraint: Constraint): string {
  switch (constraint.type) {
    case 'one_of':
    case 'not_one_of':
      return `${constraint.type} ${constraint.values.join(' ')}`
    case 'prefix':
      return `prefix ${constraint.prefix}`
    case 'rank':
      return `rank ${constraint.rank}`
    case 'unknown':
      return constraint.name
    default:
      return `${constraint.type} ${constraint.bound}`
  }
}

/** The key and the type, by which constraints of two tokens are compared; nothing is inferred from one type to another. */
export function dimension(constraint: Constraint): string {
  return `${constraint.key} ${constraint.type === 'unknown' ? constraint.name : constraint.type}`
}

/** Whether it is a total, which is counted, not compared with one action. */
export function isCumulative(constraint: Constraint): constraint is Cumulative {
  return constraint.type === 'max_lifetime' || constraint.type === 'max_subtree'
}

/** Finds the first constraint of the parent that the child dropped or widened; undefined: the child is within. */
export function firstWidened(parent: readonly Constraint[], child: readonly Constraint[]): Constraint | undefined {
  const held = new Map(child.map((constraint) => [dimension(constraint), constraint]))
  return parent.find((bound) => {
    const own = held.get(dimension(bound))
    return own === undefined || !isWithin(bound, own)
  })
}

/**
 * What both lists allow: for each key and type the narrower bound.
 * @returns the dimension at which they have nothing in common, else the constraints
 */
export function meetConstraints(
  parent: readonly Constraint[],
  child: readonly Constraint[],
): readonly Constraint[] | { readonly nothingAt: string } {
  const met = new Map(parent.map((constraint) => [dimension(constraint), constraint]))
  for (const own of child) {
    const at = dimension(own)
    const bound = met.get(at)
    const both = bound === undefined ? own : meet(bound, own)
    if (both === undefined) return { nothingAt: at }
    met.set(at, both)
  }
  return met.size > mostConstraints ? { nothingAt: `more than ${mostConstraints} constraints` } : [...met.values()]
}

/** Whether an action with this value is within a bound that is looked at on each action. */
export function permits(constraint: Exclude<Constraint, Cumulative | Unknown>, value: Scalar): boolean {
  switch (constraint.type) {
    case 'max':
      return typeof value === 'number' && value <= constraint.bound
    case 'min':
      return typeof value === 'number' && value >= constraint.bound
    case 'one_of':
      return constraint.values.includes(value)
    case 'not_one_of':
      return !constraint.values.includes(value)
    case 'prefix': {
      const path = typeof value === 'string' ? readPath(value)?.exact.text : undefined
      return path !== undefined && isBelow(path, constraint.prefix)
    }
    case 'rank': {
      const level = typeof value === 'string' ? constraint.order.indexOf(value) : -1
      return level !== -1 && level <= constraint.order.indexOf(constraint.rank)
    }
  }
}

function isWithin(bound: Constraint, own: Constraint): boolean {
  switch (bound.type) {
    case 'min':
      return own.type === 'min' && own.bound >= bound.bound
    case 'max':
    case 'max_lifetime':
    case 'max_subtree':
      return own.type === bound.type && own.bound <= bound.bound
    case 'one_of':
      return own.type === 'one_of' && own.values.every((value) => bound.values.includes(value))
    case 'not_one_of':
      return own.type === 'not_one_of' && bound.values.every((value) => own.values.includes(value))
    case 'prefix':
      return own.type === 'prefix' && isBelow(own.prefix, bound.prefix)
    case 'rank':
      return (
        own.type === 'rank' &&
        sameList(own.order, bound.order) &&
        own.order.indexOf(own.rank) <= bound.order.indexOf(bound.rank)
      )
    case 'unknown':
      return own.type === 'unknown' && canonical(own.value) === canonical(bound.value)
  }
}

function meet(bound: Constraint, own: Constraint): Constraint | undefined {
  if (isWithin(bound, own)) return own
  if (isWithin(own, bound)) return bound
  if (bound.type === 'one_of' && own.type === 'one_of') {
    const values = own.values.filter((value) => bound.values.includes(value))
    return values.length === 0 ? undefined : { ...own, values }
  }
  if (bound.type === 'not_one_of' && own.type === 'not_one_of') {
    const values = [...new Set([...bound.values, ...own.values])]
    return values.length > mostValues ? undefined : { ...own, values }
  }
  return undefined
}

function isBelow(path: string, prefix: string): boolean {
  if (!path.startsWith(prefix)) return false
  return prefix.endsWith('/') || path.length === prefix.length || path[prefix.length] === '/'
}

function sameList(one: readonly string[], other: readonly string[]): boolean {
  return one.length === other.length && one.every((entry, index) => entry === other[index])
}

function readConstraint(value: JsonValue): Constraint {
  if (!isObject(value)) return malformed('a constraint is not an object')
  const { key: bounded, order, ...rest } = value
  if (typeof bounded !== 'string' || !key.test(bounded)) return malformed('the key of a constraint is not well-formed')
  const [entry, second] = Object.entries(rest)
  if (entry === undefined || second !== undefined) return malformed('a constraint has not exactly one type')
  const [type, bound] = entry
  if ((type === 'rank') !== (order !== undefined)) malformed('a rank has an order, and nothing else has')
  switch (type) {
    case 'max':
    case 'min':
      return { key: bounded, type, bound: typeof bound === 'number' ? bound : malformed('a bound is not a number') }
    case 'max_lifetime':
    case 'max_subtree':
      return { key: bounded, type, bound: isCount(bound) ? bound : malformed('a total is not a count') }
    case 'one_of':
    case 'not_one_of':
      return { key: bounded, type, values: readValues(bound) }
    case 'prefix':
      return { key: bounded, type, prefix: readPrefix(bound) }
    case 'rank':
      return readRank(bounded, bound, order)
    default:
      if (!typeName.test(type)) malformed('the type of a constraint is not well-formed')
      return { key: bounded, type: 'unknown', name: type, value: bound }
  }
}

function readValues(value: JsonValue): readonly Scalar[] {
  if (!Array.isArray(value) || value.length === 0) return malformed('a list of values is empty or no list')
  if (value.length > mostValues) malformed(`more than ${mostValues} values`)
  if (!value.every(isScalar)) return malformed('a value in a list is not a scalar')
  if (new Set(value).size !== value.length) malformed('a value stands twice')
  return value
}

function readPrefix(value: JsonValue): string {
  if (typeof value !== 'string' || readPath(value)?.exact.text !== value) {
    return malformed('a prefix is not a path in its normal form')
  }
  return value
}

function readRank(bounded: string, rank: JsonValue, order: JsonValue | undefined): Ranked {
  if (!Array.isArray(order) || order.length === 0 || order.length > mostValues || !order.every(isText)) {
    return malformed('the order of a rank is not a list of names')
  }
  if (new Set(order).size !== order.length) malformed('the order of a rank names a level twice')
  if (typeof rank !== 'string' || !order.includes(rank)) return malformed('a rank is outside its order')
  return { key: bounded, type: 'rank', rank, order }
}

function isCount(value: JsonValue): value is number {
  return typeof value === 'number' && Number.isSafeInteger(value) && value >= 0
}

function isScalar(value: JsonValue): value is Scalar {
  return typeof value === 'string' || typeof value === 'number' || typeof value === 'boolean'
}

function isText(value: JsonValue): value is string {
  return typeof value === 'string'
}
