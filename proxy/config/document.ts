// Text → plain data, with the place in the text of every key and value. YAML 1.2 with the core schema, and no more.
import { isAlias, isMap, isScalar, isSeq, parseDocument, type YAMLError, type YAMLMap, type YAMLSeq } from 'yaml'

/** Half-open, as offsets into the text. */
export type Range = readonly [start: number, end: number]

/** Where a value stands, and all that is within it. Items of a sequence are called '0', '1', … */
export interface Place {
  readonly range: Range
  readonly entries: ReadonlyMap<string, Entry>
}

interface Entry {
  /** Of the key; in a sequence, of the value itself. */
  readonly key: Range
  readonly place: Place
}

/** Something wrong at a place that is known. */
export interface Fault {
  readonly range: Range
  readonly path: readonly string[]
  readonly message: string
}

export interface ReadDocument {
  /** Objects have no prototype. */
  readonly data: unknown
  readonly root: Place
  readonly faults: readonly Fault[]
  /** False when the text is not YAML, or so large that its data should not be looked at any further. */
  readonly usable: boolean
}

// Bounds on what a few bytes can be blown up to, by aliases and by nesting.
export const maxValues = 100_000
export const maxDepth = 64
// Brackets in text and comments count here, too, and need not be closed.
const manyBrackets = 10_000

/** Never throws: what is wrong comes back as faults. */
export function readDocument(text: string): ReadDocument {
  const bomb = deepBracket(text)
  if (bomb !== undefined) {
    const range: Range = [bomb, bomb + 1]
    return {
      data: null,
      root: { range, entries: none },
      faults: [{ range, path: [], message: tooDeep }],
      usable: false,
    }
  }
  const document = parseDocument(text, {
    version: '1.2',
    schema: 'core',
    merge: false,
    resolveKnownTags: false,
    stringKeys: true,
    // Found by the reader below: the package compares each key with every other.
    uniqueKeys: false,
    prettyErrors: false,
  })
  const reader = new Reader()
  for (const error of [...document.errors, ...document.warnings]) {
    reader.unusable([error.pos[0], Math.max(error.pos[1], error.pos[0] + 1)], [], messageOf(error))
  }
  if (document.directives.yaml.version !== '1.2') reader.unusable([0, 1], [], 'only YAML 1.2 is read')
  const { value, place } = reader.read(document.contents, [])
  if (value === null && reader.usable) reader.unusable([0, 0], [], 'the file is empty')
  return { data: value, root: place, faults: reader.faults, usable: reader.usable }
}

/** Where more brackets are open than any file has in earnest: the package would take seconds to find that out. */
function deepBracket(text: string): number | undefined {
  let open = 0
  for (let at = 0; at < text.length; at++) {
    const character = text.charCodeAt(at)
    if (character === 0x5b || character === 0x7b) open++
    else if (character === 0x5d || character === 0x7d) open--
    if (open > manyBrackets) return at
  }
  return undefined
}

function messageOf(error: YAMLError): string {
  if (error.code === 'RESOURCE_EXHAUSTION') return tooDeep
  if (error.code === 'TAG_RESOLVE_FAILED') return 'tags are not used here'
  if (error.code === 'MULTIPLE_DOCS') return 'a second document; there can be one only'
  return error.message.charAt(0).toLowerCase() + error.message.slice(1)
}

const tooDeep = `nested deeper than ${maxDepth} levels`

interface Reading {
  readonly value: unknown
  readonly place: Place
  /** How many values it stands for, aliases followed. */
  readonly size: number
}

class Reader {
  readonly faults: Fault[] = []
  usable = true
  readonly #anchors = new Map<string, Reading>()

  unusable(range: Range, path: readonly string[], message: string): void {
    this.usable = false
    this.faults.push({ range, path, message })
  }

  read(node: unknown, path: readonly string[]): Reading {
    const reading = this.#node(node, path)
    if (reading.size > maxValues && this.usable) {
      this.unusable(reading.place.range, path, `more than ${maxValues} values, aliases followed`)
    }
    return reading
  }

  #node(node: unknown, path: readonly string[]): Reading {
    if (isAlias(node)) {
      // Known only once it is complete, so that nothing can contain itself.
      const reading = this.#anchors.get(node.source)
      if (reading !== undefined) return reading
      this.unusable(rangeOf(node), path, 'the alias stands for nothing that is complete before it')
      return scalar(null, rangeOf(node))
    }
    if (!isMap(node) && !isSeq(node))
      return isScalar(node) ? this.#keep(node, scalar(node.value, rangeOf(node))) : scalar(null, [0, 0])
    if (path.length < maxDepth)
      return this.#keep(node, isMap(node) ? this.#map(node, path) : this.#sequence(node, path))
    this.unusable(rangeOf(node), path, tooDeep)
    return scalar(null, rangeOf(node))
  }

  #keep(node: { readonly anchor?: string }, reading: Reading): Reading {
    if (node.anchor !== undefined) this.#anchors.set(node.anchor, reading)
    return reading
  }

  #sequence(node: YAMLSeq, path: readonly string[]): Reading {
    const entries = new Map<string, Entry>()
    let size = 1
    const value = node.items.map((item, index) => {
      const reading = this.read(item, [...path, String(index)])
      size += reading.size
      entries.set(String(index), { key: reading.place.range, place: reading.place })
      return reading.value
    })
    return { value, place: { range: rangeOf(node), entries }, size }
  }

  #map(node: YAMLMap, path: readonly string[]): Reading {
    const entries = new Map<string, Entry>()
    const value: Record<string, unknown> = Object.create(null)
    let size = 1
    for (const { key, value: item } of node.items) {
      if (!isScalar(key)) continue
      const name = String(key.value)
      const range = rangeOf(key)
      const reading = this.read(item, [...path, name])
      size += reading.size
      // Objects made from this further on would take it for something else than a name.
      if (name === '__proto__')
        this.faults.push({ range, path: [...path, name], message: '`__proto__` cannot be a name' })
      else if (entries.has(name))
        this.faults.push({ range, path: [...path, name], message: `\`${name}\` stands twice` })
      else {
        value[name] = reading.value
        entries.set(name, { key: range, place: item === null ? { range, entries: none } : reading.place })
      }
    }
    return { value, place: { range: rangeOf(node), entries }, size }
  }
}

const none: ReadonlyMap<string, Entry> = new Map()
const scalar = (value: unknown, range: Range): Reading => ({ value, place: { range, entries: none }, size: 1 })

function rangeOf(node: { readonly range?: readonly [number, number, number] | null }): Range {
  return node.range == null ? [0, 0] : [node.range[0], node.range[1]]
}
