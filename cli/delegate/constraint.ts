// A bound as it is written on the command line, such as path:prefix=/v1/contacts, in the form of the agent's door.
import { InvalidArgumentError } from 'commander'

type Scalar = string | number | boolean

export type WrittenConstraint = Readonly<Record<string, Scalar | readonly Scalar[]>>

const forms =
  'KEY:TYPE=VALUE: host:one_of=a.example,b.example, path:prefix=/v1, calls:max_lifetime=10, arg.amount:max=50, level:rank=low@low,middle,high'

/** What is permitted of these the proxy says; here is only looked at how it is written. */
const numeric = new Set(['max', 'min', 'max_lifetime', 'max_subtree'])
const listed = new Set(['one_of', 'not_one_of'])

/** @throws InvalidArgumentError */
export function constraintOf(text: string): WrittenConstraint {
  const [, key, type = '', value = ''] = /^([^:=]+):([a-z_]+)=([\s\S]*)$/.exec(text) ?? []
  if (key === undefined || value === '') throw new InvalidArgumentError(`Write it as ${forms}.`)
  if (listed.has(type)) return { key, [type]: valuesOf(value) }
  if (type === 'prefix') return { key, prefix: value }
  if (type === 'rank') return { key, ...rankOf(value) }
  if (!numeric.has(type)) {
    throw new InvalidArgumentError(`There are ${[...numeric, ...listed].join(', ')}, prefix and rank, not ${type}.`)
  }
  const bound = scalarOf(value)
  if (typeof bound !== 'number') throw new InvalidArgumentError(`${type} takes a whole number.`)
  return { key, [type]: bound }
}

/** With commas; values that hold one, or look like a number and are text, as a list in JSON. */
function valuesOf(text: string): readonly Scalar[] {
  if (!text.startsWith('[')) return text.split(',').map(scalarOf)
  try {
    const values: unknown = JSON.parse(text)
    if (Array.isArray(values) && values.every(isScalar)) return values
  } catch {
    // Told below.
  }
  throw new InvalidArgumentError('Not a list in JSON of texts, numbers, true and false.')
}

const isScalar = (value: unknown): value is Scalar => ['string', 'number', 'boolean'].includes(typeof value)

function scalarOf(text: string): Scalar {
  if (text === 'true' || text === 'false') return text === 'true'
  return /^(?:0|-?[1-9]\d{0,14})$/.test(text) ? Number(text) : text
}

function rankOf(text: string): WrittenConstraint {
  const [rank = '', order, ...rest] = text.split('@')
  if (order === undefined || rest.length > 0) {
    throw new InvalidArgumentError(
      'Write the rank and, behind @, all of them from the lowest: rank=low@low,middle,high.',
    )
  }
  return { rank, order: order.split(',') }
}
