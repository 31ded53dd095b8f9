// A JSON Patch (RFC 6902) that leads from one document to another.
import { equal, isObject, member } from './equal.ts'

export type Operation =
  | { readonly op: 'add' | 'replace'; readonly path: string; readonly value: unknown }
  | { readonly op: 'remove'; readonly path: string }
  | { readonly op: 'move'; readonly from: string; readonly path: string }

/** Items of the lists of a pod are told apart by their name, mounts by their path; other lists are replaced as a whole. */
export function diff(before: unknown, after: unknown): Operation[] {
  const operations: Operation[] = []
  compare(before, after, '', operations)
  return operations
}

function compare(before: unknown, after: unknown, path: string, operations: Operation[]): void {
  if (equal(before, after)) return
  const [oldKeys, newKeys] = [keysOf(before), keysOf(after)]
  if (isObject(before) && isObject(after)) {
    compareObjects(before, after, path, operations)
  } else if (oldKeys !== undefined && newKeys !== undefined && Array.isArray(before) && Array.isArray(after)) {
    compareLists(before, oldKeys, after, newKeys, path, operations)
  } else {
    operations.push({ op: 'replace', path, value: after })
  }
}

function compareObjects(
  before: Readonly<Record<string, unknown>>,
  after: Readonly<Record<string, unknown>>,
  path: string,
  operations: Operation[],
): void {
  for (const key of Object.keys(before)) {
    if (member(after, key) === undefined) operations.push({ op: 'remove', path: `${path}/${escaped(key)}` })
  }
  for (const [key, value] of Object.entries(after)) {
    if (value === undefined) continue
    const below = `${path}/${escaped(key)}`
    if (member(before, key) !== undefined) compare(before[key], value, below, operations)
    else operations.push({ op: 'add', path: below, value })
  }
}

/** Brings each item to its place, from the front, and then removes what is left over. */
function compareLists(
  before: readonly unknown[],
  oldKeys: readonly string[],
  after: readonly unknown[],
  newKeys: readonly string[],
  path: string,
  operations: Operation[],
): void {
  const wanted = new Set(newKeys)
  const list = before.map((value, index) => ({ key: oldKeys[index] ?? '', value }))
  for (let index = list.length - 1; index >= 0; index--) {
    if (wanted.has(list[index]?.key ?? '')) continue
    operations.push({ op: 'remove', path: `${path}/${index}` })
    list.splice(index, 1)
  }
  for (const [index, value] of after.entries()) {
    const key = newKeys[index] ?? ''
    const at = list.findIndex((item) => item.key === key)
    if (at === -1) {
      operations.push({ op: 'add', path: `${path}/${index}`, value })
      list.splice(index, 0, { key, value })
      continue
    }
    const [item] = at === index ? [list[at]] : list.splice(at, 1)
    if (item === undefined) continue
    if (at !== index) {
      operations.push({ op: 'move', from: `${path}/${at}`, path: `${path}/${index}` })
      list.splice(index, 0, item)
    }
    compare(item.value, value, `${path}/${index}`, operations)
  }
}

/** @returns undefined when the items cannot be told apart */
function keysOf(list: unknown): string[] | undefined {
  if (!Array.isArray(list)) return undefined
  const keys = list.map((item) => {
    if (!isObject(item)) return undefined
    const key = item.mountPath ?? item.name
    return typeof key === 'string' ? key : undefined
  })
  const known = keys.filter((key) => key !== undefined)
  return known.length === list.length && new Set(known).size === list.length ? known : undefined
}

/** RFC 6901 §3. */
const escaped = (key: string) => key.replaceAll('~', '~0').replaceAll('/', '~1')
