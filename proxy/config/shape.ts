// What may stand at a place of the configuration, read from its JSON Schema: for suggestions, and to know paths and secrets.

/** The part of JSON Schema (2020-12) that is generated here. */
export interface Form {
  readonly type?: string
  readonly description?: string
  readonly default?: unknown
  readonly format?: string
  readonly pattern?: string
  readonly const?: unknown
  readonly enum?: readonly unknown[]
  readonly minimum?: number
  readonly maximum?: number
  readonly properties?: Readonly<Record<string, Form>>
  readonly required?: readonly string[]
  readonly additionalProperties?: Form | boolean
  readonly items?: Form | boolean
  readonly prefixItems?: readonly Form[]
  readonly anyOf?: readonly Form[]
  readonly oneOf?: readonly Form[]
}

type Visit = (value: unknown, forms: readonly Form[], path: readonly string[]) => unknown

/** Copies data, with each scalar replaced by what `visit` returns for it. A scalar at an unknown key has no forms. */
export function mapScalars(data: unknown, form: Form, visit: Visit): unknown {
  return mapped(data, alternatives([form], data), [], visit)
}

function mapped(data: unknown, forms: readonly Form[], path: readonly string[], visit: Visit): unknown {
  const child = (key: string, value: unknown) => mapped(value, below(forms, key, value), [...path, key], visit)
  if (Array.isArray(data)) return data.map((item, index) => child(String(index), item))
  if (!isRecord(data)) return visit(data, forms, path)
  const copy: Record<string, unknown> = Object.create(null)
  for (const [key, value] of Object.entries(data)) copy[key] = child(key, value)
  return copy
}

/** The forms that fit what stands at `path`; all that are possible there where none fits. */
export function formsAt(form: Form, data: unknown, path: readonly string[]): readonly Form[] {
  let forms = alternatives([form], data)
  let here = data
  for (const key of path) {
    here = isRecord(here) || Array.isArray(here) ? Reflect.get(here, key) : undefined
    forms = below(forms, key, here)
  }
  return forms
}

export const keysOf = (forms: readonly Form[]): string[] => [
  ...new Set(forms.flatMap((form) => Object.keys(form.properties ?? {}))),
]

function below(forms: readonly Form[], key: string, value: unknown): readonly Form[] {
  return alternatives(
    forms.flatMap((form) => childOf(form, key) ?? []),
    value,
  )
}

function childOf(form: Form, key: string): Form | undefined {
  const { properties, additionalProperties, prefixItems, items } = form
  if (properties !== undefined && Object.hasOwn(properties, key)) return properties[key]
  const other = form.type === 'array' ? (prefixItems?.[Number(key)] ?? items) : additionalProperties
  return typeof other === 'object' ? other : undefined
}

function alternatives(forms: readonly Form[], data: unknown): readonly Form[] {
  const all = forms.flatMap(flat)
  const fitting = all.filter((form) => fits(form, data))
  // `stdout` is the constant where a path could stand as well.
  const named = fitting.filter((form) => form.const !== undefined || form.enum !== undefined)
  return named.length > 0 ? named : fitting.length > 0 ? fitting : all
}

function flat(form: Form): readonly Form[] {
  const inner = form.anyOf ?? form.oneOf
  return inner === undefined ? [form] : inner.flatMap(flat)
}

/** Whether it is of this type and, for an object, its constant members (such as `kind`) say the same. */
function fits(form: Form, data: unknown): boolean {
  if (Array.isArray(data)) return form.type === 'array'
  if (!isRecord(data)) {
    if (form.const !== undefined) return form.const === data
    return form.enum?.includes(data) ?? (form.type !== 'array' && form.type !== 'object')
  }
  if (form.type !== 'object') return false
  return Object.entries(form.properties ?? {}).every(
    ([key, member]) => member.const === undefined || member.const === data[key],
  )
}

export function isRecord(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

/** Members of a map, items of a list, text: of data as written, of which nothing is known yet. */
export const member = (value: unknown, key: string): unknown => (isRecord(value) ? value[key] : undefined)
export const entriesOf = (value: unknown): [string, unknown][] => (isRecord(value) ? Object.entries(value) : [])
export const itemsOf = (value: unknown): readonly unknown[] => (Array.isArray(value) ? value : [])
export const textOf = (value: unknown): string | undefined => (typeof value === 'string' ? value : undefined)
