// Changes JSON, or YAML, as somebody who can write it: a member is renamed, taken out, doubled, or gets another value.
import type { Random } from './random.ts'

type Value = unknown

/** What JSON is made of, besides what stands in it. */
export const jsonSigns: readonly string[] = ['{', '}', '[', ']', ',', ':', '"']

export interface JsonMaterial {
  /** Names of members that mean something. */
  readonly names: readonly string[]
  /** Values that mean something somewhere. */
  readonly values: readonly Value[]
}

const plain: readonly Value[] = [
  null,
  true,
  false,
  0,
  1,
  -1,
  0.5,
  2 ** 53,
  '',
  'a',
  '\u0000',
  '__proto__',
  [],
  {},
  [[]],
  'é',
]

/** @param root is changed in place, so far as it can be */
export function mutatedValue(root: Value, random: Random, material: JsonMaterial): Value {
  let whole = root
  for (let left = 1 + random.below(3); left > 0; left--) {
    const holders: (Value[] | Record<string, Value>)[] = []
    collect(whole, holders, 0)
    if (holders.length === 0) return anyValue(random, material, whole)
    const holder = random.pick(holders)
    if (Array.isArray(holder)) changeList(holder, random, material, whole)
    else changeObject(holder, random, material, whole)
    if (random.oneIn(200)) whole = anyValue(random, material, whole)
  }
  return whole
}

function changeList(list: Value[], random: Random, material: JsonMaterial, whole: Value): void {
  const at = random.below(list.length)
  switch (random.below(4)) {
    case 0:
      list.splice(at, 1)
      break
    case 1:
      list.splice(at, 0, copyOf(list[at]))
      break
    case 2:
      list.splice(random.below(list.length + 1), 0, anyValue(random, material, whole))
      break
    default:
      list[at] = changed(list[at], random, material, whole)
  }
}

function changeObject(object: Record<string, Value>, random: Random, material: JsonMaterial, whole: Value): void {
  const keys = Object.keys(object)
  const key = keys.length === 0 ? '' : random.pick(keys)
  const name = random.oneIn(20)
    ? random.pick(['', '__proto__', 'constructor', 'toString', 'é'])
    : random.pick(material.names)
  switch (random.below(5)) {
    case 0:
      delete object[key]
      break
    case 1: {
      const value = object[key]
      delete object[key]
      put(object, name, value)
      break
    }
    case 2:
      put(object, name, anyValue(random, material, whole))
      break
    default:
      put(object, key, changed(object[key], random, material, whole))
  }
}

/** As `structuredClone`, of what JSON and YAML can say, many times faster. What occurs twice does so afterwards. */
export function copyOf(value: Value, known: Map<object, Value> = new Map()): Value {
  if (typeof value !== 'object' || value === null) return value
  const before = known.get(value)
  if (before !== undefined) return before
  if (Array.isArray(value)) {
    const list: Value[] = []
    known.set(value, list)
    for (const each of value) list.push(copyOf(each, known))
    return list
  }
  // Times, sets and bytes, which YAML 1.1 has.
  if (Object.getPrototypeOf(value) !== Object.prototype) return structuredClone(value)
  const object: Record<string, Value> = {}
  known.set(value, object)
  for (const [key, each] of Object.entries(value)) put(object, key, copyOf(each, known))
  return object
}

/** A plain assignment to `__proto__` would change something else. */
function put(object: Record<string, Value>, key: string, value: Value): void {
  if (key !== '__proto__') object[key] = value
  else Object.defineProperty(object, key, { value, enumerable: true, configurable: true, writable: true })
}

function changed(value: Value, random: Random, material: JsonMaterial, whole: Value): Value {
  if (typeof value === 'number' && random.oneIn(2)) return value + random.pick([1, -1, 65_536, 0.5, -value * 2])
  if (typeof value === 'string' && random.oneIn(2)) {
    const at = random.below(value.length + 1)
    const piece = random.pick(['', ' ', '/', '..', '*', ':', '0', '\n', 'x'.repeat(70), value])
    return value.slice(0, at) + piece + value.slice(at + random.below(4))
  }
  return anyValue(random, material, whole)
}

function anyValue(random: Random, { values }: JsonMaterial, whole: Value): Value {
  if (random.oneIn(3)) return copyOf(random.pick(plain))
  if (random.oneIn(4)) {
    const parts: (Value[] | Record<string, Value>)[] = []
    collect(whole, parts, 0)
    // A piece of itself, unless it would grow without end.
    if (parts.length > 0 && parts.length < 600) return copyOf(random.pick(parts))
  }
  return copyOf(random.pick(values))
}

function collect(value: Value, into: (Value[] | Record<string, Value>)[], depth: number): void {
  if (typeof value !== 'object' || value === null || depth > 40) return
  // Once for each member, so that those of large objects have their turn as well.
  for (let left = Math.max(1, Math.min(16, Object.keys(value).length)); left > 0; left--)
    into.push(value as Value[] | Record<string, Value>)
  for (const each of Object.values(value)) collect(each, into, depth + 1)
}

/** For targets whose input is JSON. */
export function mutatedJson(input: Uint8Array, random: Random, material: JsonMaterial): Uint8Array {
  let value: Value
  try {
    value = JSON.parse(Buffer.from(input).toString('utf8'))
  } catch {
    value = copyOf(random.pick(material.values))
  }
  return Buffer.from(JSON.stringify(mutatedValue(value, random, material)) ?? '')
}
