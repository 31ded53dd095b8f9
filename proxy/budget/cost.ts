// Finds in an answer what it cost, where a budget wants to know: in its fields, or in its JSON as it passes.
import type { Spending } from '../../policy/budgets/spending.ts'
import type { HeaderList } from '../exchange.ts'
import { EventStream } from './event-stream.ts'
import { JsonNumbers } from './json-numbers.ts'

/** Sees a body as it passes. */
export interface CostReader {
  push(chunk: Uint8Array): void
  /** Tells what was found. @param whole whether that was all of the body */
  end(whole: boolean): void
}

/** Tells what stands in header fields or trailers; of several values, the most. */
export function tellFields(spending: Spending, fields: HeaderList): void {
  for (const source of spending.costs) {
    if (source.kind !== 'header') continue
    const found = valuesOf(source.name, fields).map(Number).filter(isCost)
    if (found.length > 0) spending.tell(source, Math.max(...found), true)
  }
}

/** @returns undefined when no budget asks for JSON, or the body is none that can be read */
export function costReader(spending: Spending, headers: HeaderList): CostReader | undefined {
  if (!spending.costs.some(({ kind }) => kind === 'json')) return undefined
  // Codings are taken off where an answer is looked into for secrets, which comes before; what is coded here stays so.
  if (valuesOf('content-encoding', headers).some((coding) => coding.toLowerCase() !== 'identity')) return undefined
  const type = (valuesOf('content-type', headers)[0] ?? '').toLowerCase()
  const isStream = type.startsWith('text/event-stream')
  if (!isStream && !type.includes('json')) return undefined
  const readings = spending.costs.flatMap((source) => {
    if (source.kind !== 'json') return []
    const numbers = new JsonNumbers(source.paths)
    return [{ source, numbers, reader: isStream ? new EventStream(numbers) : numbers }]
  })
  return {
    push(chunk) {
      for (const { reader } of readings) reader.push(chunk)
    },
    end(whole) {
      for (const { source, numbers } of readings) {
        const found = numbers.found.filter((value) => value !== undefined && isCost(value))
        if (found.length === 0) continue
        const sum = found.reduce<number>((total, value) => total + (value ?? 0), 0)
        spending.tell(source, sum, whole)
      }
    },
  }
}

function valuesOf(name: string, fields: HeaderList): string[] {
  const values: string[] = []
  for (let at = 0; at + 1 < fields.length; at += 2) {
    const field = fields[at] ?? ''
    if (field.length !== name.length || field.toLowerCase() !== name) continue
    values.push(...(fields[at + 1] ?? '').split(',').map((value) => value.trim()))
  }
  return values.filter((value) => value !== '')
}

const isCost = (value: number) => Number.isFinite(value) && value >= 0
