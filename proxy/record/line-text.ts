// Writes a record as its line: byte for byte what JSON.stringify would write. What stays from record to record, such as the
// caller and the connection, is written out once.
import type { AuditRecord } from './line.ts'

/** The text of each part that lasts. */
const texts = new WeakMap<object, string>()

/** Marks a part that will stand in many records; it must not change from here on. */
export function lasting<Part extends object>(part: Part): Part {
  texts.set(part, JSON.stringify(part))
  return part
}

/** The canonical line, without its end: fields in the order of the schema, absent ones left out. */
export function lineOf(record: AuditRecord): string {
  let line = '{'
  for (const name in record) {
    const value = record[name as keyof AuditRecord]
    if (value === undefined) continue
    line += `${line === '{' ? '' : ','}"${name}":${textOf(value)}`
  }
  return `${line}}`
}

function textOf(value: string | number | object): string {
  return (typeof value === 'object' ? texts.get(value) : undefined) ?? JSON.stringify(value)
}
